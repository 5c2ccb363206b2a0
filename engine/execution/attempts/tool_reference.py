"""How another process finds a tool: by the name of its module, or by its file."""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict

from engine.model.tool import Tool
from engine.tools.signature import build_tool

SCRIPT = "__mp_main__"
"""What a program's own file is called in a process for tools, as multiprocessing calls it."""


class ToolReference(TypedDict):
    """Where a tool is. ``path`` is that of its file, where the module is not found by its name."""

    name: str
    module: str
    qualname: str
    path: str | None


class NoReference(Exception):
    """The tool cannot be found by another process; ``str`` says why, after "since"."""


def find_reference(tool: Tool) -> ToolReference:
    """Where another process finds the tool. Some microseconds, and a look at the disk the first time.

    Raises:
        NoReference: it is a lambda, a closure, a method of an object, or lives in an interactive session.
    """
    function = tool.function
    module_name, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module_name, str) or not isinstance(qualname, str):
        raise NoReference(f"it is no plain function but an object ({type(function).__name__})")
    if "<lambda>" in qualname:
        raise NoReference("it is a lambda")
    if "<locals>" in qualname:
        raise NoReference("it is defined inside another function")
    module = sys.modules.get(module_name)
    if module is None or _look_up(module, qualname) is not function:
        raise NoReference(f"{module_name}.{qualname} is not, or no longer, this function")
    if module_name == "__main__":
        return ToolReference(name=tool.name, module=SCRIPT, qualname=qualname, path=_script_path(module))
    return ToolReference(name=tool.name, module=module_name, qualname=qualname, path=_module_path(module))


def load_tool(reference: ToolReference) -> Tool:
    """The tool, imported if need be. Whatever importing it raises is raised."""
    name, path = reference["module"], reference["path"]
    module = sys.modules.get(name)
    if module is None:
        module = importlib.import_module(name) if path is None else _import_path(name, path)
    function = _look_up(module, reference["qualname"])
    if function is None:
        raise ImportError(f"{module.__name__} has no {reference['qualname']}")
    return build_tool(reference["name"], function)


def is_script(reference: ToolReference) -> bool:
    """Whether finding the tool means to run the program's own file again, without its main part."""
    return reference["module"] == SCRIPT


def _look_up(module: ModuleType, qualname: str) -> Callable[..., Any] | None:
    found: Any = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found if callable(found) else None


def _script_path(module: ModuleType) -> str:
    path: str | None = getattr(module, "__file__", None)
    if path is None or getattr(sys, "ps1", None) is not None or not Path(path).is_file():
        raise NoReference("it was defined in an interactive session")
    return os.path.abspath(path)  # noqa: PTH100 - links stay as they are: imports go by the folder


@functools.lru_cache(256)
def _module_path(module: ModuleType) -> str | None:
    spec = getattr(module, "__spec__", None)
    origin = getattr(spec, "origin", None) or getattr(module, "__file__", None)
    try:
        parent = spec.name.rpartition(".")[0] if spec is not None else ""
        path = None if not parent else getattr(sys.modules.get(parent), "__path__", None)
        found = importlib.machinery.PathFinder.find_spec(module.__name__, path)
    except (ImportError, ValueError, AttributeError):
        found = None
    if found is not None and found.origin == origin:
        return None
    if origin is None or not Path(origin).is_file():
        if module.__name__ in sys.builtin_module_names:
            return None
        raise NoReference(f"its module {module.__name__} has no file")
    return str(origin)


def _import_path(name: str, path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if name == SCRIPT:
        sys.path.insert(0, str(Path(path).parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
