"""Which tools another process can find, and how."""

import functools
import json
import subprocess
import sys
import textwrap

import pytest

from engine.execution.attempts.tool_reference import NoReference, find_reference, is_script, load_tool
from engine.tools.builtin import register_builtin_tools
from engine.tools.discovery import load_tools_dir
from engine.tools.registry import ToolRegistry


def plain(x: int) -> int:
    return x


class Holder:
    @staticmethod
    def inside(x: int) -> int:
        return x

    def method(self, x: int) -> int:
        return x


def changed(x: int) -> int:
    return x


first = changed


def changed(x: int) -> int:
    return -x


def reference_of(function):
    return find_reference(ToolRegistry().register_tool("t", function))


def test_a_function_of_a_module_is_found_by_name():
    assert reference_of(plain) == {"name": "t", "module": __name__, "qualname": "plain", "path": None}
    assert reference_of(Holder.inside)["qualname"] == "Holder.inside"
    assert load_tool(reference_of(plain)).function is plain


def test_every_built_in_tool_is_found_by_name(tmp_path):
    registry = ToolRegistry()
    register_builtin_tools(registry, tmp_path)
    references = [find_reference(tool) for tool in registry.list_tools().values()]
    assert all(reference["path"] is None for reference in references)
    assert references


def test_a_tool_of_a_folder_is_found_by_its_file(tmp_path):
    (tmp_path / "mine.py").write_text("from engine import tool\n@tool\ndef mine(): return 1\n")
    registry = ToolRegistry()
    assert load_tools_dir(registry, tmp_path) == []
    reference = find_reference(registry.get_tool("mine"))
    assert reference["path"] == str(tmp_path / "mine.py")


def closure():
    def inner(x: int) -> int:
        return x

    return inner


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda: 1, "it is a lambda"),
        (closure(), "it is defined inside another function"),
        (functools.partial(plain, x=1), "it is no plain function but an object (partial)"),
        (Holder().method, "is not, or no longer, this function"),
        (first, "is not, or no longer, this function"),
    ],
)
def test_what_no_process_can_find_says_why(function, reason):
    with pytest.raises(NoReference, match=r".") as caught:
        reference_of(function)
    assert str(caught.value).endswith(reason)


def test_functions_of_the_standard_library_are_found():
    assert reference_of(textwrap.indent)["module"] == "textwrap"


def test_the_programs_own_file_is_found_but_is_a_script(tmp_path):
    (tmp_path / "script.py").write_text(
        "import json\n"
        "from engine.execution.attempts.tool_reference import find_reference\n"
        "from engine.tools.registry import ToolRegistry\n"
        "def f(): return 1\n"
        "if __name__ == '__main__': print(json.dumps(find_reference(ToolRegistry().register_tool('f', f))))\n"
    )
    script = [sys.executable, str(tmp_path / "script.py")]
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    done = subprocess.run(script, capture_output=True, text=True, check=True, env=environment)
    reference = json.loads(done.stdout)
    assert is_script(reference)
    assert reference["path"] == str(tmp_path / "script.py")
    assert load_tool(reference).function() == 1
    del sys.modules["__mp_main__"]
    sys.path.remove(str(tmp_path))
