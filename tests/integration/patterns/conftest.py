"""Runs the pattern samples on a real engine with the built-in tools, and reads what happened from the journal."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.config import AppConfig
from engine.model.events import (
    JournalEntry,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepSkipped,
    StepStarted,
)
from engine.model.graph import GraphDefinition
from engine.tools.builtin import register_builtin_tools
from tests.integration.engine.conftest import Bench

FOLDER = Path(__file__).parents[3] / "resources" / "patterns"
KINDS = {
    StepStarted: "start",
    StepCompleted: "end",
    StepFailed: "end",
    StepCancelled: "cancel",
    StepSkipped: "skip",
}


def load_pattern(number: int) -> GraphDefinition:
    (path,) = FOLDER.glob(f"wcp_{number:02}_*.json")
    return GraphDefinition.model_validate(json.loads(path.read_text(encoding="utf-8")))


def _name(event: object) -> str:
    """The node; with for_each, its items as node[0], node[1]..."""
    item = getattr(event, "item", None)
    return event.node if item is None else f"{event.node}[{item}]"  # type: ignore[attr-defined]


class Story:
    """A run that is over. ``moments`` are its steps' starts and ends, in the order in which they were decided."""

    def __init__(self, bench: "PatternBench", run_id: str) -> None:
        self.run = bench.engine.wait(run_id, 20)
        self.entries = bench.engine.read_events(run_id=run_id, limit=None)
        self.moments = [
            (KINDS[type(entry.event)], _name(entry.event))
            for entry in self.entries
            if type(entry.event) in KINDS
        ]
        self.status = self.run.status.value
        self.state = self.run.current_state.data
        self.path = self.run.current_state.execution_path
        self.visits = Counter(self.path)
        self.skipped = {node for node, step in self.run.steps.items() if step.status.value == "skipped"}

    def at(self, kind: str, node: str, time: int = 1) -> int:
        """The place of the first (second...) such moment."""
        places = [place for place, moment in enumerate(self.moments) if moment == (kind, node)]
        return places[time - 1]

    def is_before(self, first: tuple[str, str], then: tuple[str, str]) -> bool:
        return self.at(*first) < self.at(*then)

    def most_at_once(self, nodes: set[str]) -> int:
        """How many of these were running at the same moment."""
        running = most = 0
        for kind, node in self.moments:
            if node in nodes:
                running += {"start": 1, "end": -1, "cancel": -1, "skip": 0}[kind]
                most = max(most, running)
        return most


class PatternBench(Bench):
    """The bench with the built-in tools and a workspace."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.workspace = folder / "workspace"
        super().__init__(
            AppConfig(
                database_url=f"sqlite:///{folder}/w.db",
                workers=workers,
                synchronous="normal",
                workspace=self.workspace,
            )
        )
        register_builtin_tools(self.tools, self.workspace)
        self._stored: dict[str, str] = {}

    def start(self, graph: GraphDefinition, state: dict[str, object] | None = None) -> str:
        """Each sample is stored once: those that run themselves are found by their name."""
        if graph.name not in self._stored:
            self._stored[graph.name] = self.graphs.create_graph(graph)
        return self.engine.execute_workflow(self._stored[graph.name], state)

    def play(self, number: int, **state: object) -> Story:
        return Story(self, self.start(load_pattern(number), state))

    def play_until(
        self,
        number: int,
        holds: Callable[[list[JournalEntry]], bool],
        then: Callable[[str], object],
        **state: object,
    ) -> Story:
        """Start, do something once the journal so far is as wanted, and let the run end."""
        seen: list[JournalEntry] = []
        reached = threading.Event()

        def listen(entries: object) -> None:
            seen.extend(entries)  # type: ignore[arg-type]
            if holds(seen):
                reached.set()

        stop = self.engine.subscribe(listen)
        run_id = self.start(load_pattern(number), state)
        assert reached.wait(10)
        stop()
        then(run_id)
        return Story(self, run_id)


@pytest.fixture(scope="module", params=[1, 8], ids=["1 worker", "8 workers"])
def shared_bench(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PatternBench]:
    bench = PatternBench(tmp_path_factory.mktemp("patterns"), request.param)
    # The engine's threads start when they are first needed: here, not in a test, which must leave none behind.
    graph_id = bench.graphs.create_graph(load_pattern(2))
    bench.engine.wait(bench.engine.submit_workflow(graph_id, {"seconds": 0}).result(20), 20)
    yield bench
    bench.close()


@pytest.fixture
def bench(shared_bench: PatternBench) -> PatternBench:
    """One engine for all tests: runs share nothing but the workspace, which is emptied here."""
    for file in shared_bench.workspace.iterdir():
        file.unlink()
    return shared_bench
