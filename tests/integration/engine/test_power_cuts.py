"""The power is cut at every commit, before and after it; afterwards every step is recorded once and the run ends."""

import sys
import threading
from collections import Counter

import pytest

from engine.config import AppConfig
from engine.execution.engine import ExecutionEngine
from engine.model.events import (
    ChildEnded,
    ChildStarted,
    RunAccepted,
    RunCancelled,
    RunCompleted,
    RunFailed,
    StepCompleted,
)
from engine.model.status import RunStatus
from engine.storage.database import open_database
from engine.storage.graphs import GraphManager
from engine.storage.journal import Batch, StateManager
from engine.tools.builtin.control import run_workflow
from engine.tools.registry import ToolRegistry
from tests.integration.engine.conftest import make_graph


class PowerCut(BaseException):
    """Nothing catches this one."""


class Flickering(StateManager):
    """A store that fails for good at its n-th commit, before or after writing it; ``over``: then, or with the first run."""

    def __init__(self, database, cut_at: int, *, after: bool) -> None:
        super().__init__(database)
        self.left, self.after = cut_at, after
        self.over = threading.Event()
        self.first = None

    def append(self, batch: Batch) -> None:
        self.left -= 1
        if self.left > 0:
            super().append(batch)
            for entry in batch.entries:
                self.first = self.first or entry.run_id
                if entry.run_id == self.first and isinstance(entry.event, RunCompleted):
                    self.over.set()
            return
        self.over.set()
        if self.left == 0 and self.after:
            super().append(batch)
        raise PowerCut


GRAPH = make_graph(
    {name: {"function_name": "add", "parameters": {"name": name}} for name in ("start", "left", "right", "again", "end")},
    ["start -> left", "start -> right", "left -> again", "right -> again", ("again -> again", "visit < 3"), ("again -> end", "else")],
    entry_point="start",
)  # fmt: skip
WANTED = {"start": 1, "left": 1, "right": 1, "again": 3, "end": 1}


RUN = "run_workflow"
CHILD = make_graph(
    {
        "one": {"function_name": "add", "bindings": {"name": "state.label + ' one'"}},
        "two": {"function_name": "add", "bindings": {"name": "state.label + ' two'"}},
        "inner": {
            "function_name": RUN,
            "parameters": {"graph": "leaf"},
            "bindings": {"label": "state.label"},
        },
    },
    ["one -> two", "two -> inner"],
    name="child",
)
LEAF = make_graph(
    {"leaf": {"function_name": "add", "bindings": {"name": "state.label + ' leaf'"}}}, name="leaf"
)
NEST = make_graph(
    {
        "start": {"function_name": "add", "parameters": {"name": "start"}},
        "each": {
            "function_name": RUN,
            "parameters": {"graph": "child"},
            "for_each": "['a', 'b']",
            "bindings": {"label": "item"},
        },
        "end": {"function_name": "add", "parameters": {"name": "end"}},
    },
    ["start -> each", "each -> end"],
)
NEST_WANTED = {"start": 1, "each": 1, "end": 1}


class Program:
    def __init__(
        self, path, effects: Counter[tuple[str, int]], cut_at: int = 10**9, *, after: bool = False
    ) -> None:
        self.database = open_database(AppConfig(database_url=f"sqlite:///{path}", synchronous="normal"))
        self.graphs = GraphManager(self.database)
        self.store = Flickering(self.database, cut_at, after=after)
        tools = ToolRegistry()

        def add(name: str, context) -> str:
            effects[name, context.visit] += 1
            return name

        tools.register_tool("add", add, "")
        tools.register(run_workflow)
        self.engine = ExecutionEngine(
            graph_manager=self.graphs,
            state_manager=self.store,
            tool_registry=tools,
            config=AppConfig(workers=4),
        )

    def close(self) -> None:
        self.engine.close(1.0)
        self.database.close()


def check_family(store) -> None:
    """As it was cut: a step and its child begin in one commit, and the child's end is in that of its step's."""
    events = [(entry.run_id, entry.event) for entry in store.read_events(limit=None)]
    accepted = {run_id for run_id, event in events if isinstance(event, RunAccepted) and event.parent_run_id}
    started = [event.child_run_id for _, event in events if isinstance(event, ChildStarted)]
    assert sorted(started) == sorted(accepted), "a child without its step, or a step without its child"
    over = {run_id for run_id, event in events if isinstance(event, RunCompleted | RunFailed | RunCancelled)}
    ended = [event.child_run_id for _, event in events if isinstance(event, ChildEnded)]
    assert sorted(ended) == sorted(over & accepted), "a child has ended and its step does not know"


def record_whole_run(path) -> str:
    """A run of the graph without any cut; its id."""
    program = Program(path, Counter())
    run_id = program.engine.execute_workflow(program.graphs.create_graph(GRAPH))
    assert program.engine.wait(run_id, 10).status is RunStatus.COMPLETED
    program.close()
    return run_id


@pytest.mark.qt_no_exception_capture  # a worker may have the turn
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_p2_p6_a_power_cut_while_a_fork_is_made_leaves_a_whole_fork_or_none(tmp_path, monkeypatch, after):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)
    cuts = 0
    for cut_at in range(1, 40):
        effects: Counter[tuple[str, int]] = Counter()
        path = tmp_path / f"{cut_at}.db"
        old = record_whole_run(path)
        program = Program(path, effects, cut_at, after=after)
        future = program.engine.submit_fork(old, "again", 2)
        assert program.store.over.wait(10)
        if program.store.left > 0:
            program.close()
            break
        cuts += 1
        program.close()
        before = Counter(effects)

        program = Program(path, effects)
        forks = [run for run in program.store.query_runs().executions if run.forked_from == old]
        if forks:
            run = program.engine.wait(forks[0].run_id, 10)
            assert run.status is RunStatus.COMPLETED
            assert Counter(run.current_state.execution_path) == WANTED
            ran = {("again", 2), ("again", 3), ("end", 1)}
            assert set(effects) == ran, "a step that was taken over ran"
            recorded = program.store.read_events(run_id=run.run_id, limit=None)
            ends = Counter(
                (entry.event.node, entry.event.visit)
                for entry in recorded
                if isinstance(entry.event, StepCompleted)
            )
            assert set(ends.values()) == {1}
            assert all(effects[step] <= before[step] + 1 for step in ran)
        else:
            assert cut_at == 1
            assert not after
            assert not effects
            assert not future.done() or future.exception() is not None
        program.close()
    assert cuts >= 3


@pytest.mark.qt_no_exception_capture  # a worker may have the turn
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("graph", "wanted", "children"), [(GRAPH, WANTED, 0), (NEST, NEST_WANTED, 4)], ids=["flat", "nested"]
)
def test_p1_p2_p8_a_power_cut_at_any_commit_loses_nothing_and_doubles_nothing(
    tmp_path, monkeypatch, graph, wanted, children, after
):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # a thread dies of each cut: the engine's,
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)  # or a worker
    cuts = 0
    for cut_at in range(1, 80):
        effects: Counter[tuple[str, int]] = Counter()
        path = tmp_path / f"{cut_at}.db"
        program = Program(path, effects, cut_at, after=after)
        for known in (CHILD, LEAF):
            program.graphs.create_graph(known)
        future = program.engine.submit_workflow(program.graphs.create_graph(graph))
        assert program.store.over.wait(10)
        if program.store.left > 0:
            program.close()
            break  # the whole run has fewer commits than this
        cuts += 1
        program.close()
        before = Counter(effects)

        program = Program(path, effects)
        store = program.store
        check_family(store)
        recorded = Counter(
            (entry.event.result, entry.event.visit)
            for entry in store.read_events(limit=None)
            if isinstance(entry.event, StepCompleted) and isinstance(entry.event.result, str)
        )
        runs = store.query_runs(top_level=True).executions
        if runs:
            run = program.engine.wait(runs[0].run_id, 10)
            assert run.status is RunStatus.COMPLETED
            assert Counter(run.current_state.execution_path) == wanted
            assert all(effects[step] == before[step] for step in recorded), "a recorded step ran again"
            assert all(count <= 2 for count in effects.values())
            check_family(store)
            ended = store.query_runs(status="completed")
            assert ended.total_count == store.query_runs().total_count == 1 + children
        else:
            assert cut_at == 1
            assert not after
            assert not effects
            assert not future.done() or future.exception() is not None
        program.close()
    assert cuts >= 7
