"""What holds for all built-in tools, and the table in docs/tools.md beside the registry."""

import re
from collections import Counter
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from engine.errors import ArgumentError
from engine.model.tool import Tool
from engine.tools.builtin import register_builtin_tools
from engine.tools.registry import ToolRegistry


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tool]:
    registry = ToolRegistry()
    register_builtin_tools(registry, tmp_path_factory.mktemp("workspace") / "made")
    return registry.list_tools()


def table_of(tools: dict[str, Tool]) -> list[str]:
    return [
        f"| `{made.name}` | {made.label} | {made.category} | {made.description.replace('|', chr(92) + '|')} |"
        for made in tools.values()
    ]


def test_the_table_in_the_docs_is_that_of_the_registry(tools: dict[str, Tool], project_root: Path) -> None:
    lines = (project_root / "docs" / "tools.md").read_text().splitlines()
    start = lines.index("| Tool | Title | Category | What it does |") + 2
    written = [line for line in lines[start : start + len(tools) + 1] if line.startswith("|")]
    assert written == table_of(tools)


def test_every_tool_and_every_parameter_is_described(tools: dict[str, Tool]) -> None:
    bare = [
        f"{made.name}.{port.name}" for made in tools.values() for port in made.inputs if not port.description
    ]
    fields = [
        f"{made.name}.{port.name}"
        for made in tools.values()
        for port in made.outputs[1:]
        if not port.description
    ]
    assert bare + fields == []
    assert all(made.description.endswith((".", "braces.")) for made in tools.values())


def test_titles_are_unique_and_categories_are_the_known_ones(tools: dict[str, Tool]) -> None:
    assert [
        title for title, count in Counter(made.label for made in tools.values()).items() if count > 1
    ] == []
    assert list(dict.fromkeys(made.category for made in tools.values())) == [
        "Numbers", "Text", "Data", "Files", "Web", "Code review", "Control",
    ]  # fmt: skip


def test_defaults_fit_their_own_schemas(tools: dict[str, Tool]) -> None:
    for made in tools.values():
        defaults = {port.name: port.default for port in made.inputs if not port.required}
        faults: dict[str, str] = {}
        try:
            made.coerce(defaults)
        except ArgumentError as error:  # tells of the required ones, and of nothing else
            faults = error.details["parameters"]
        assert not faults.keys() & defaults.keys()


def test_code_in_the_docs_runs(project_root: Path) -> None:
    text = (project_root / "docs" / "tools.md").read_text()
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "tools.md", "exec"), names)
    registry = ToolRegistry()
    made = registry.register(names["discount"])  # type: ignore[arg-type]
    assert (made.category, made.function(200.0)) == ("Shop", 180.0)
    assert [port.description for port in made.inputs] == ["In euros.", "What to take off."]
    assert registry.register(names["count_visit"]).takes_state  # type: ignore[arg-type]


def test_schemas_are_json(tools: dict[str, Tool]) -> None:
    any_json = TypeAdapter(object)
    for made in tools.values():
        assert any_json.dump_json([dict(port.schema) for port in (*made.inputs, *made.outputs)])
