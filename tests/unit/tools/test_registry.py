"""The registry, and tools from folders."""

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ToolAlreadyRegistered, ToolDefinitionError, ToolNotFound
from engine.tools.decorator import find_declaration, tool
from engine.tools.discovery import load_tools_dir, module_name
from engine.tools.registry import ToolRegistry


def double(x: int) -> int:
    """Twice x."""
    return 2 * x


def test_a_registered_tool_is_found_by_its_name() -> None:
    registry = ToolRegistry()
    made = registry.register_tool("double", double, "Doubles")
    assert registry.get_tool("double") is made is registry.find_tool("double")
    assert (made.description, made.function(4)) == ("Doubles", 8)
    assert list(registry.list_tools()) == ["double"]


def test_a_second_tool_of_the_same_name_is_refused() -> None:
    registry = ToolRegistry()
    first = registry.register_tool("double", double)
    with pytest.raises(ToolAlreadyRegistered, match='"double" is already registered'):
        registry.register_tool("double", lambda x: x)
    assert registry.get_tool("double") is first


def test_an_unknown_name_is_answered_with_the_closest_ones() -> None:
    registry = ToolRegistry()
    for name in ("code.analyze", "text.analyze", "quality_gate"):
        registry.register_tool(name, double)
    with pytest.raises(ToolNotFound, match=r'name "code\.analyse"\. Did you mean "code\.analyze"') as caught:
        registry.get_tool("code.analyse")
    assert caught.value.details["closest"][0] == "code.analyze"
    assert registry.closest("Quality_Gate") == ["quality_gate"]
    assert set(registry.closest("analyze")) == {"code.analyze", "text.analyze"}
    assert registry.closest("zzz") == []
    assert registry.find_tool("zzz") is None


def test_an_unregistered_tool_is_gone() -> None:
    registry = ToolRegistry()
    registry.register_tool("double", double)
    registry.unregister_tool("double")
    assert registry.list_tools() == {}
    with pytest.raises(ToolNotFound):
        registry.unregister_tool("double")


def test_the_list_of_tools_is_a_copy() -> None:
    registry = ToolRegistry()
    registry.register_tool("double", double)
    registry.list_tools().clear()
    assert "double" in registry.list_tools()


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201, None])
def test_a_bad_name_is_refused(name: Any) -> None:
    with pytest.raises(ToolDefinitionError):
        ToolRegistry().register_tool(name, double)


def test_a_marked_function_stays_a_plain_function() -> None:
    @tool(name="sums.double", category="Sums")
    def marked(x: int) -> int:
        return 2 * x

    registry = ToolRegistry()
    made = registry.register(marked)
    assert (made.name, made.category, made.label) == ("sums.double", "Sums", "Double")
    assert marked(3) == 6


def test_the_mark_works_without_brackets_and_a_name_is_not_needed() -> None:
    @tool
    def marked(x: int) -> int:
        return x

    assert find_declaration(marked) is not None
    assert ToolRegistry().register(marked).name == "marked"


def test_a_nameless_function_needs_a_name() -> None:
    with pytest.raises(ToolDefinitionError, match="has no name"):
        ToolRegistry().register(lambda x: x)


def test_what_cannot_carry_a_mark_is_refused() -> None:
    with pytest.raises(ToolDefinitionError, match="cannot be marked"):
        tool(len)
    with pytest.raises(ToolDefinitionError, match=r'write state_reads=\["key"\]'):
        tool(state_reads="key")


def test_subscribers_hear_of_every_change_until_they_stop() -> None:
    registry = ToolRegistry()
    heard: list[int] = []
    stop = registry.subscribe(lambda: heard.append(len(registry.list_tools())))
    registry.register_tool("a", double)
    registry.register_tool("b", double)
    registry.unregister_tool("a")
    stop()
    stop()
    registry.register_tool("c", double)
    assert heard == [1, 2, 1]


def test_threads_that_register_at_once_do_not_lose_a_tool() -> None:
    registry = ToolRegistry()
    refused: list[str] = []

    def work(number: int) -> None:
        for index in range(20):
            registry.register_tool(f"t{number}.{index}", double)
            try:
                registry.register_tool(f"shared.{index}", double)
            except ToolAlreadyRegistered:
                refused.append(f"shared.{index}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry.list_tools()) == 4 * 20 + 20
    assert len(refused) == 3 * 20


# ------------------------------------------------------------------------------------------------------- folders

GOOD = """
from __future__ import annotations
from dataclasses import dataclass
from engine.tools.decorator import tool

@dataclass
class Size:
    width: int
    height: int

@tool(category="Mine")
def measure(text: str) -> Size:
    "How large a text is."
    return Size(max(map(len, text.splitlines())), len(text.splitlines()))

@tool(name="second")
def other(x: int) -> int:
    return x

def not_a_tool(x): ...
alias = other
"""


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    made = tmp_path / "tools"
    made.mkdir()
    yield made
    for path in made.glob("*.py"):
        sys.modules.pop(module_name(path), None)


def test_marked_functions_of_a_folder_are_registered(folder: Path) -> None:
    (folder / "good.py").write_text(GOOD)
    registry = ToolRegistry()
    assert load_tools_dir(registry, folder) == []
    assert list(registry.list_tools()) == ["measure", "second"]
    assert [port.name for port in registry.get_tool("measure").outputs] == ["result", "width", "height"]


def test_p37_a_broken_file_is_reported_with_its_line_and_stops_nothing(folder: Path) -> None:
    (folder / "a_syntax.py").write_text("x = 1\ndef (\n")
    (folder / "b_import.py").write_text("\n\nimport there_is_no_such_module\n")
    (folder / "c_exit.py").write_text("import sys\nsys.exit(3)\n")
    (folder / "d_refused.py").write_text(
        "from engine.tools.decorator import tool\n\n@tool\ndef spread(*values): ...\n\n@tool\ndef fine(x: int): ...\n"
    )
    (folder / "e_double.py").write_text(
        "from engine.tools.decorator import tool\n@tool(name='measure')\ndef again(): ...\n"
    )
    (folder / "f_empty.py").write_text("x = 1\n")
    (folder / "aa_good.py").write_text(GOOD)
    registry = ToolRegistry()
    found = [
        (failure.path.name, failure.line, failure.message) for failure in load_tools_dir(registry, folder)
    ]
    assert [(name, line) for name, line, _ in found] == [
        ("a_syntax.py", 2),
        ("b_import.py", 3),
        ("c_exit.py", 2),
        ("d_refused.py", 3),
        ("e_double.py", 2),
        ("f_empty.py", None),
    ]
    for (_, _, message), part in zip(
        found,
        [
            "cannot read the file",
            "No module named",
            "ends the program",
            "*values has no names",
            "already registered",
            "@tool",
        ],
        strict=True,
    ):
        assert part in message
    assert list(registry.list_tools()) == ["measure", "second", "fine"]
    assert module_name(folder / "a_syntax.py") not in sys.modules


def test_nothing_but_the_python_files_of_the_folder_is_loaded(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text(GOOD)
    (folder / "link.py").symlink_to(outside)
    (folder / "_private.py").write_text("raise RuntimeError")
    (folder / ".hidden.py").write_text("raise RuntimeError")
    (folder / "notes.txt").write_text("raise RuntimeError")
    (folder / "inner.py").mkdir()
    registry = ToolRegistry()
    [failure] = load_tools_dir(registry, folder)
    assert "leads out of the folder" in str(failure)
    assert registry.list_tools() == {}


def test_files_of_the_same_name_in_two_folders_do_not_meet(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "more"
    other.mkdir()
    (folder / "json.py").write_text(
        "from engine.tools.decorator import tool\n@tool\ndef one(): return __name__\n"
    )
    (other / "json.py").write_text(
        "from engine.tools.decorator import tool\n@tool\ndef two(): return __name__\n"
    )
    registry = ToolRegistry()
    assert load_tools_dir(registry, folder) + load_tools_dir(registry, other) == []
    names = {registry.get_tool(name).function() for name in ("one", "two")}
    assert len(names) == 2
    for name in names:
        sys.modules.pop(name)
    assert sys.modules["json"].__name__ == "json"


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    [failure] = load_tools_dir(ToolRegistry(), tmp_path / "nowhere")
    assert "cannot be read" in failure.message
