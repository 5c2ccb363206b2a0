"""Loads tools from a folder of Python files. A file that is broken is reported and never stops the start."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from engine.errors import ToolDefinitionError
from engine.tools.decorator import find_declaration
from engine.tools.registry import ToolRegistry


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """A file, or one tool of it, that could not be loaded. ``line`` counts from 1, where it is known."""

    path: Path
    message: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{place}: {self.message}"


def load_tools_dir(registry: ToolRegistry, folder: Path | str) -> list[LoadFailure]:
    """Import each ``.py`` file of a folder and register its functions that carry ``@tool``.

    Files are taken in the order of their names; those that start with ``_`` or ``.``, folders, and links that lead
    out of the folder are not loaded. Each file is a module of its own and cannot import its neighbours by name.
    What went wrong is returned, one entry a fault; everything else is registered all the same. Runs the files'
    code: call it with folders that the user named only.
    """
    root = Path(folder)
    try:
        root = root.resolve(strict=True)
        files = sorted(path for path in root.iterdir() if path.suffix == ".py" and path.name[0] not in "_.")
    except OSError as error:
        return [LoadFailure(root, f"The folder of tools cannot be read: {error.strerror or error}.")]
    failures: list[LoadFailure] = []
    for path in files:
        if path.is_dir():
            continue
        if not path.resolve().is_relative_to(root):
            failures.append(
                LoadFailure(
                    path, "The file is a link that leads out of the folder of tools; it was not loaded."
                )
            )
            continue
        failures.extend(_load_file(registry, path))
    return failures


def _load_file(registry: ToolRegistry, path: Path) -> Iterator[LoadFailure]:
    name = module_name(path)
    try:
        module = _import_file(name, path)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - anything may go wrong in a user's file
        sys.modules.pop(name, None)
        yield _explain(path, error)
        return
    functions = list(_marked_functions(module))
    for function in functions:
        try:
            registry.register(function)
        except ToolDefinitionError as error:
            yield LoadFailure(path, error.message, _line_of(function))
    if not functions:
        yield LoadFailure(path, "The file has no function marked with @tool.")


def module_name(path: Path) -> str:
    """The name a tool file is imported under: the same for the same file, and no other module's."""
    folder = hashlib.sha256(str(path.parent).encode()).hexdigest()[:10]
    return f"workflow_tools_{folder}_{path.stem}"


def _import_file(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look their module up while it is being imported
    spec.loader.exec_module(module)
    return module


def _marked_functions(module: ModuleType) -> Iterator[Callable[..., Any]]:
    """The functions with a mark that were written in this module, each once, in the order of their definition."""
    seen: set[int] = set()
    for value in list(vars(module).values()):
        if find_declaration(value) is not None and id(value) not in seen:
            seen.add(id(value))
            if getattr(value, "__module__", None) == module.__name__:
                yield value


def _explain(path: Path, error: BaseException) -> LoadFailure:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return LoadFailure(path, f"Python cannot read the file: {error.msg}.", error.lineno)
    if isinstance(error, SystemExit):
        message = "The file ends the program when it is imported; it was stopped from that."
    else:
        message = f"Importing the file failed: {type(error).__name__}: {error}"
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    return LoadFailure(path, message, lines[-1] if lines else None)


def _line_of(function: object) -> int | None:
    code = getattr(function, "__code__", None)
    return code.co_firstlineno if code is not None else None
