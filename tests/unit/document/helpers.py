"""Tools and graphs that the tests of editing share."""

from typing import Annotated, Any, Literal

from pydantic import Field

from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from engine.model.tool import Catalog
from engine.tools.registry import ToolRegistry


def _suggest(
    limit: Annotated[int, Field(ge=1, le=50)] = 5,
    report: dict[str, Any] | None = None,
    style: Literal["concise", "long"] = "concise",
    explain: bool = True,
    rate: float | None = 0.5,
    note: str = "",
    tags: list[str] | None = None,
) -> dict[str, Any]:
    return {}


def _read(path: str) -> str:
    return path


def _count(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return state


def make_catalog() -> Catalog:
    registry = ToolRegistry()
    registry.register_tool(
        "code.suggest", _suggest, "Suggests fixes", category="Code review", label="Suggest fixes"
    )
    registry.register_tool("read_file", _read, "Reads a text file", category="Files", label="Read file")
    registry.register_tool("count", _count, "Counts in the state", category="State", label="Count")
    return registry.list_tools()


def make_graph() -> GraphDefinition:
    """read -> suggest -> count, a wire, conditions and a binding that name steps."""
    return GraphDefinition(
        name="Sample",
        nodes=(
            NodeDefinition(id="read", function_name="read_file", parameters={"path": "a.py"}),
            NodeDefinition(
                id="suggest", function_name="code.suggest", bindings={"note": "steps.read.result"}
            ),
            NodeDefinition(id="count", function_name="count"),
        ),
        edges=(
            EdgeDefinition(from_node="read", to_node="suggest", condition="len(steps.read.result) > 3"),
            EdgeDefinition(from_node="suggest", to_node="count"),
            EdgeDefinition(from_node="read", to_node="suggest", to_port="note"),
        ),
        entry_point="read",
        exit_conditions=("steps['read'].status == 'failed'",),
        ui={
            "nodes": {"read": {"x": 0.0, "y": 0.0}, "suggest": {"x": 300.0, "y": 10.0}},
            "viewport": {"zoom": 1},
        },
    )
