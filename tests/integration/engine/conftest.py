"""A real engine on a real database file."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.config import AppConfig
from engine.execution.engine import ExecutionEngine
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from engine.storage.database import open_database
from engine.storage.graphs import GraphManager
from engine.storage.journal import StateManager
from engine.tools.registry import ToolRegistry


class Bench:
    """An engine, its managers, and short ways to make and run graphs."""

    def __init__(self, config: AppConfig) -> None:
        self.config = config
        self.database = open_database(config)
        self.graphs = GraphManager(self.database)
        self.tools = ToolRegistry()
        self.engine = ExecutionEngine(
            graph_manager=self.graphs,
            state_manager=StateManager(self.database),
            tool_registry=self.tools,
            config=config,
        )

    def tool(self, function: Callable[..., object]) -> Callable[..., object]:
        self.tools.register_tool(function.__name__, function, "a test's tool")
        return function

    def run(self, graph: GraphDefinition, state: dict[str, object] | None = None, timeout: float = 20):
        return self.engine.wait(self.start(graph, state), timeout)

    def start(self, graph: GraphDefinition, state: dict[str, object] | None = None) -> str:
        return self.engine.execute_workflow(self.graphs.create_graph(graph), state)

    def close(self) -> None:
        assert self.engine.close(5.0)
        self.database.close()


@pytest.fixture(params=[1, 8], ids=["1 worker", "8 workers"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(
        AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=request.param, synchronous="normal")
    )
    yield bench
    bench.close()


def make_graph(
    nodes: dict[str, str | dict[str, object]], edges: list[object] = (), **more: object
) -> GraphDefinition:
    """``{"id": "tool" or fields}`` and edges as ``"a -> b"``, ``("a -> b", "condition")`` or ``EdgeDefinition``."""
    return GraphDefinition(
        name=str(more.pop("name", "test")),
        nodes=tuple(
            NodeDefinition(id=name, **({"function_name": spec} if isinstance(spec, str) else spec))
            for name, spec in nodes.items()
        ),
        edges=tuple(_make_edge(edge) for edge in edges),
        **more,
    )


def _make_edge(edge: object) -> EdgeDefinition:
    if isinstance(edge, EdgeDefinition):
        return edge
    text, condition = edge if isinstance(edge, tuple) else (edge, None)
    source, target = str(text).split(" -> ")
    source, _, from_port = source.partition(".")
    target, _, to_port = target.partition(".")
    kind = "error" if source.endswith("!") else "success"
    return EdgeDefinition(
        from_node=source.rstrip("!"),
        to_node=target,
        condition=condition,
        kind=kind,
        from_port=from_port or None,
        to_port=to_port or None,
    )
