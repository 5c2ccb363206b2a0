"""The engine itself as a subject of the benchmark."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import shapes
from shapes import Workload

from engine import (
    AppConfig,
    EdgeDefinition,
    ExecutionEngine,
    GraphDefinition,
    GraphManager,
    NodeDefinition,
    StateManager,
    ToolRegistry,
)
from engine.model.events import StepCompleted
from engine.storage.database import open_database


def make_graph(workload: Workload) -> GraphDefinition:
    tool = "nap" if workload.naps else "increment"
    nodes = tuple(
        NodeDefinition(id=f"n{i}", function_name=tool, bindings={"x": "state.x"}, save_as="x")
        for i in range(workload.count)
    )
    edges = [EdgeDefinition(from_node=f"n{a}", to_node=f"n{b}") for a, b in workload.pairs]
    if workload.passes == 1:
        return GraphDefinition(name=workload.name, nodes=nodes, edges=tuple(edges))
    return loop_graph(nodes[0], workload.passes)


def loop_graph(node: NodeDefinition, passes: int) -> GraphDefinition:
    back = EdgeDefinition(from_node=node.id, to_node=node.id, condition=f"visit < {passes}")
    return GraphDefinition(name="loop", nodes=(node,), edges=(back,), entry_point=node.id)


class Ours:
    """An engine on a database of its own, with the trivial tools."""

    def __init__(self, folder: Path, synchronous: str, workers: int | None = None) -> None:
        settings: dict[str, Any] = {} if workers is None else {"workers": workers}
        if synchronous != "shipped":
            settings["synchronous"] = synchronous
        folder.mkdir(exist_ok=True)
        self.config = AppConfig(database_url=f"sqlite:///{folder}/ours.db", workspace=folder, **settings)
        self.database = open_database(self.config)
        self.graphs = GraphManager(self.database)
        self.states = StateManager(self.database)
        self.tools = ToolRegistry()
        for tool in (shapes.increment, shapes.nap, shapes.burn):
            self.tools.register_tool(tool.__name__, tool, "trivial")
        self.engine = ExecutionEngine(
            graph_manager=self.graphs, state_manager=self.states, tool_registry=self.tools, config=self.config
        )

    def run(self, graph_id: str, state: dict[str, Any] | None = None) -> str:
        """One run to its end; its id."""
        run_id = self.engine.execute_workflow(graph_id, {"x": 0} if state is None else state)
        self.finish(run_id)
        return run_id

    def finish(self, run_id: str) -> None:
        run = self.engine.wait(run_id, 120)
        if run.status.value != "completed":
            raise RuntimeError(run.error_message)

    def inner_seconds(self, run_id: str) -> tuple[float, int]:
        """From the first step's recorded end to the last one's, and how many steps lie between."""
        events = [entry.event for entry in self.engine.read_events(0, run_id, limit=None)]
        ends = [event.at for event in events if isinstance(event, StepCompleted)]
        return (max(ends) - min(ends)) / 1e6, len(ends) - 1

    def close(self) -> None:
        self.engine.close()
        self.database.close()


class Subject:
    def __init__(self, settings: shapes.Settings) -> None:
        self.settings = settings
        self.engines: dict[int | None, Ours] = {}

    def prepare(self, workload: Workload) -> Callable[[], None]:
        ours = self.engines.get(workload.workers)
        if ours is None:
            folder = self.settings.folder / f"workers-{workload.workers}"
            folder.mkdir(parents=True)
            ours = self.engines[workload.workers] = Ours(folder, self.settings.synchronous, workload.workers)
        graph_id = ours.graphs.create_graph(make_graph(workload))

        def one_by_one() -> None:
            for _ in range(workload.runs):
                ours.run(graph_id)

        def together() -> None:
            asked = [ours.engine.submit_workflow(graph_id, {"x": 0}) for _ in range(workload.runs)]
            for accepted in asked:
                ours.finish(accepted.result(60))

        if workload.beside:
            return self._beside(ours, one_by_one)
        return together if workload.together else one_by_one

    def _beside(self, ours: Ours, work: Callable[[], None]) -> Callable[[], None]:
        """The work while another run of the engine calls a CPU-bound tool over and over."""
        node = NodeDefinition(id="burn", function_name="burn", bindings={"x": "state.x"}, save_as="x")
        graph_id = ours.graphs.create_graph(loop_graph(node, 5_000))
        burning = threading.Event()

        def seen(entries: Any) -> None:
            if any(isinstance(e.event, StepCompleted) and e.event.node == "burn" for e in entries):
                burning.set()

        ours.engine.subscribe(seen)
        run_id = ours.engine.execute_workflow(graph_id, {"x": 0})
        if not burning.wait(60):
            raise RuntimeError("the CPU-bound tool did not come to its first end")
        self.burning = run_id
        return work


if __name__ == "__main__":
    subject = Subject(shapes.subject_arguments())
    shapes.serve(subject.prepare)
    for opened in subject.engines.values():
        opened.close()
