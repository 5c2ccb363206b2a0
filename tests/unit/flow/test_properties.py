"""Random graphs, completed in random order: the engine's decisions against the oracle's, event by event."""

from __future__ import annotations

import copy
from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.execution.attempts import execute, prepare
from engine.flow.decide import decide, fold
from engine.flow.plan import compile_plan
from engine.flow.run_state import UNRESOLVED, RunState
from engine.model.events import RunAccepted, StepCompleted, StepFailed, StepStarted
from engine.model.status import RunStatus, StepStatus
from tests.unit.flow.oracle import RUNNING, Oracle
from tests.unit.flow.random_graphs import ORACLE_TOOLS, graphs, make_catalog

CATALOG = make_catalog()
MOST_STEPS = 150
ORDERS = st.lists(st.integers(0, 7), min_size=1, max_size=12)
MODEST = settings(
    max_examples=int(__import__("os").environ.get("EX", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


class Driver:
    """Runs a graph by ``decide`` alone; tools are really called, one at a time, when they are told to end."""

    def __init__(self, graph):
        self.plan = compile_plan(graph)
        self.run = RunState("run", self.plan)
        self.journal = []
        self.attempts = {}
        self.told = []
        self.feed(RunAccepted(0, "graph", 1, graph.name, {}))

    @property
    def running(self):
        return sorted(self.plan.topology.node_ids[node] for node in self.run.running)

    @property
    def visits(self):
        return dict(zip(self.plan.topology.node_ids, self.run.visits, strict=True))

    @property
    def statuses(self):
        return dict(zip(self.plan.topology.node_ids, self.run.step_status, strict=True))

    def feed(self, event):
        events = decide(self.run, event)
        if events and isinstance(event, StepCompleted | StepFailed):
            self.attempts.pop(event.node, None)
        self.journal += copy.deepcopy(events)
        for one in events:
            if isinstance(one, StepStarted):
                node = self.plan.topology.index[one.node]
                assert one.node not in self.attempts
                if node in self.run.running:
                    tool = CATALOG[self.plan.graph.nodes[node].function_name]
                    self.attempts[one.node] = prepare(self.run, node, tool, one, Path())
        self.attempts = {name: attempt for name, attempt in self.attempts.items() if name in self.running}
        return events

    def complete(self, name):
        event = execute(self.attempts[name])
        self.told.append(copy.deepcopy(event))
        self.feed(event)
        self.check_invariants()

    def check_invariants(self):
        run, topology = self.run, self.plan.topology
        assert not run.todo
        assert all(count >= 0 for count in (*run.unresolved, *run.busy))
        assert len(run.path) == sum(run.visits)
        assert all(run.step_status[node] is StepStatus.RUNNING for node in run.running)
        assert set(self.attempts) == set(self.running)
        for node in run.running:
            assert all(
                not topology.is_back[edge] or run.edges[edge] == UNRESOLVED
                for edge in topology.outgoing[node]
            )
        assert run.status.is_final == (not run.running)
        if run.status.is_final:
            assert run.completed_at is not None


def everything(run):
    return {name: getattr(run, name) for name in RunState.__slots__ if name != "plan"}


def drive_both(graph, order):
    """Both interpreters through the whole run, compared after every completed step."""
    driver, oracle = Driver(graph), Oracle(graph, ORACLE_TOOLS)
    oracle.start()
    compare(driver, oracle)
    number = 0
    while oracle.status == RUNNING:
        assume(len(oracle.path) <= MOST_STEPS)
        running = sorted(oracle.running)
        name = running[order[number % len(order)] % len(running)]
        oracle.complete(name)
        driver.complete(name)
        compare(driver, oracle)
        number += 1
    return driver, oracle


def compare(driver, oracle):
    assert driver.running == sorted(oracle.running)
    assert driver.run.state == oracle.state
    assert driver.visits == oracle.visits
    assert driver.run.status.value == oracle.status
    if driver.run.status is RunStatus.COMPLETED and not oracle.ended_early:
        assert {name: status.value for name, status in driver.statuses.items()} == oracle.now


@MODEST
@given(graphs(), ORDERS)
def test_the_engine_decides_as_the_rules_say(graph, order):
    drive_both(graph, order)


@MODEST
@given(graphs(), ORDERS)
def test_a_journal_tells_the_same_run_again(graph, order):
    driver, _ = drive_both(graph, order)
    assert everything(fold("run", driver.plan, copy.deepcopy(driver.journal))) == everything(driver.run)


@MODEST
@given(graphs(), ORDERS, st.integers(0, 30))
def test_late_and_repeated_reports_change_nothing(graph, order, at):
    driver, _ = drive_both(graph, order)
    before = copy.deepcopy(everything(driver.run))
    for event in driver.told:
        assert driver.feed(copy.deepcopy(event)) == []
    assert everything(driver.run) == before

    part = Driver(graph)  # the same again, with a report repeated while the run goes on
    for number, event in enumerate(driver.told[: at + 1]):
        part.feed(copy.deepcopy(event))
        if number == at and not part.run.status.is_final:
            before = copy.deepcopy(everything(part.run))
            assert part.feed(copy.deepcopy(event)) == []
            assert everything(part.run) == before


@MODEST
@given(graphs(ordered_only=True), ORDERS, ORDERS)
def test_the_order_of_completions_does_not_matter_where_nothing_depends_on_it(graph, first, second):
    one, _ = drive_both(graph, first)
    other, _ = drive_both(graph, second)
    assert one.visits == other.visits
    assert one.statuses == other.statuses
    assert one.run.status is other.run.status
