"""Relaxed runs: fewer commits, nothing told before it is committed, and a crash that costs work but no result."""

import sys
import threading
from collections import Counter

import pytest

from engine.config import AppConfig
from engine.execution.engine import ExecutionEngine
from engine.model.events import RunAccepted, StepCompleted
from engine.model.status import RunStatus
from engine.storage.database import open_database
from engine.storage.graphs import GraphManager
from engine.storage.journal import Batch, StateManager
from engine.tools.registry import ToolRegistry
from tests.integration.engine.conftest import make_graph

LENGTH = 60
CHAIN = make_graph(
    {f"n{number}": {"function_name": "note", "parameters": {"number": number}} for number in range(LENGTH)},
    [f"n{number} -> n{number + 1}" for number in range(LENGTH - 1)],
)


class PowerCut(BaseException):
    """Nothing catches this one."""


class Counting(StateManager):
    """Counts commits, and fails for good at one."""

    def __init__(self, database, cut_at: int = 0) -> None:
        super().__init__(database)
        self.cut_at, self.commits = cut_at, 0
        self.over = threading.Event()

    def append(self, batch: Batch) -> None:
        self.commits += 1
        if self.commits == self.cut_at or self.over.is_set():
            self.over.set()
            raise PowerCut
        super().append(batch)


class Program:
    def __init__(self, path, calls: Counter[int], *, cut_at: int = 0, slow_from: int = LENGTH) -> None:
        self.database = open_database(AppConfig(database_url=f"sqlite:///{path}", synchronous="normal"))
        self.graphs = GraphManager(self.database)
        self.store = Counting(self.database, cut_at)
        self.told: list[tuple[str, int]] = []
        self.tools = ToolRegistry()
        moment = threading.Event()

        def note(number: int) -> int:
            calls[number] += 1
            if number >= slow_from:
                moment.wait(0.01)
            return number

        self.tools.register_tool("note", note, "")
        self.engine = ExecutionEngine(
            graph_manager=self.graphs,
            state_manager=self.store,
            tool_registry=self.tools,
            config=AppConfig(workers=2),
        )
        self.engine.subscribe(
            lambda entries: self.told.extend(
                (entry.event.node, entry.event.visit)
                for entry in entries
                if isinstance(entry.event, StepCompleted)
            )
        )

    def recorded(self) -> set[tuple[str, int]]:
        return {
            (entry.event.node, entry.event.visit)
            for entry in self.store.read_events(limit=None)
            if isinstance(entry.event, StepCompleted)
        }

    def close(self) -> None:
        self.engine.close(1.0)
        self.database.close()


def test_a_relaxed_run_commits_seldom_and_a_strict_one_at_every_step(tmp_path):
    program = Program(tmp_path / "w.db", Counter())
    graph_id = program.graphs.create_graph(CHAIN)
    commits = {}
    for durability in ("strict", "relaxed"):
        before = program.store.commits
        run_id = program.engine.execute_workflow(graph_id, durability=durability)
        run = program.engine.wait(run_id, 10)
        assert (run.status, len(run.current_state.execution_path)) == (RunStatus.COMPLETED, LENGTH)
        assert program.store.get_run(run_id).durability == durability
        commits[durability] = program.store.commits - before
    assert commits["strict"] >= LENGTH
    assert commits["relaxed"] < LENGTH / 2
    assert len(program.told) == 2 * LENGTH
    program.close()


@pytest.mark.qt_no_exception_capture
@pytest.mark.parametrize("cut_at", [2, 3, 4])
def test_p4_p8_a_power_cut_costs_a_relaxed_run_no_result_and_nothing_was_told_that_is_not_recorded(
    tmp_path, monkeypatch, cut_at
):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # a thread dies of the cut
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)
    calls: Counter[int] = Counter()
    program = Program(tmp_path / "w.db", calls, cut_at=cut_at, slow_from=0)
    run_id = program.engine.execute_workflow(program.graphs.create_graph(CHAIN), durability="relaxed")
    assert program.store.over.wait(10)
    program.close()
    before, told = Counter(calls), set(program.told)

    heir = Program(tmp_path / "w.db", calls)
    recorded = heir.recorded()
    assert told <= recorded
    run = heir.engine.wait(run_id, 10)
    assert run.status is RunStatus.COMPLETED
    assert [run.results[f"n{number}"] for number in range(LENGTH)] == list(range(LENGTH))
    for node, _ in recorded:
        assert calls[int(node[1:])] == before[int(node[1:])], "a recorded step ran again"
    heir.close()


def test_the_acceptance_of_a_relaxed_run_is_durable_before_its_id_is_known(tmp_path):
    program = Program(tmp_path / "w.db", Counter(), slow_from=0)
    run_id = program.engine.execute_workflow(program.graphs.create_graph(CHAIN), durability="relaxed")
    (first, *_) = program.store.read_events(run_id=run_id)
    assert isinstance(first.event, RunAccepted)
    assert first.event.durability == "relaxed"
    program.engine.cancel_execution(run_id)
    program.close()


def test_p3_a_step_that_must_not_be_doubled_is_recorded_before_it_starts_in_a_relaxed_run_too(tmp_path):
    program = Program(tmp_path / "w.db", Counter())
    seen = []

    def pay(context) -> int:
        """Pay."""
        started = program.store.read_events(run_id=context.run_id, limit=None)[-1].event
        seen.append((type(started).__name__, started.node))
        return 1

    program.tools.register_tool("pay", pay, "", effects="once")
    graph = make_graph({"a": {"function_name": "note", "parameters": {"number": 1}}, "b": "pay"}, ["a -> b"])
    run = program.engine.wait(
        program.engine.execute_workflow(program.graphs.create_graph(graph), durability="relaxed"), 10
    )
    assert run.status is RunStatus.COMPLETED
    assert seen == [("StepStarted", "b")]
    program.close()


def test_the_level_of_runs_that_name_none_is_the_configurations(tmp_path, monkeypatch):
    monkeypatch.setenv("WFE_DURABILITY", "relaxed")
    assert AppConfig().durability == "relaxed"
    program = Program(tmp_path / "w.db", Counter())
    run_id = program.engine.execute_workflow(program.graphs.create_graph(CHAIN))
    assert program.store.get_run(run_id).durability == "relaxed"
    program.engine.wait(run_id, 10)
    program.close()
