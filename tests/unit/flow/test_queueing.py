"""Steps that wait for tokens, decided on: they start as all others do, only later; and nothing of them is lost."""

from __future__ import annotations

import copy
import os

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.flow.decide import fold
from engine.flow.presenter import present
from engine.flow.run_state import RunState
from engine.flow.step_records import list_steps
from engine.model.events import (
    CancelRequested,
    JournalEntry,
    ResourcesGranted,
    RunContinued,
    RunPaused,
    RunResumed,
    RunRetried,
    RunSuspended,
    StepAllowed,
    StepCancelled,
    StepDue,
    StepFailed,
    StepQueued,
    StepRetrying,
    StepStarted,
    StepUnsure,
)
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition, RetryPolicy
from engine.model.status import RunStatus, StepStatus
from tests.unit.flow.driver import Driver
from tests.unit.flow.oracle import RUNNING, Oracle
from tests.unit.flow.random_graphs import ORACLE_TOOLS, graphs, make_catalog
from tests.unit.flow.test_disturbances import Disturbed, run_undisturbed

CATALOG = make_catalog()
MOST_STEPS = 100
ORDERS = st.lists(st.integers(0, 7), min_size=1, max_size=12)
MODEST = settings(
    max_examples=int(os.environ.get("WFE_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def everything(run):
    return {name: getattr(run, name) for name in RunState.__slots__ if name != "plan"}


class Queueing(Driver):
    """``grant`` stands in for the owner of the tokens."""

    @property
    def queued(self):
        ids = self.plan.topology.node_ids
        return sorted(ids[node] for node, step in self.run.waiting.items() if step.queued is not None)

    def grant(self, name):
        node = self.plan.topology.index[name]
        step = self.run.waiting[node]
        return self.feed(ResourcesGranted(0, name, step.visit, step.attempt))

    def check_invariants(self):
        run = self.run
        assert len(run.path) == sum(run.visits)
        assert set(self.attempts) == set(self.running)
        assert all(run.step_status[node] is StepStatus.WAITING for node in run.waiting)
        assert run.status.is_final == (
            not run.running and not run.waiting and (not run.held or run.failure is not None)
        )


def with_resources(graph, chosen):
    """The graph, some of whose nodes take a token."""
    nodes = [
        node.model_copy(update={"resources": {"gpu": 1}}) if chosen[number % len(chosen)] else node
        for number, node in enumerate(graph.nodes)
    ]
    return graph.model_copy(update={"nodes": tuple(nodes)})


@MODEST
@given(graphs(), ORDERS, st.lists(st.booleans(), min_size=1, max_size=8))
def test_the_engine_decides_as_the_rules_say_when_steps_wait_for_tokens(graph, order, chosen):
    graph = with_resources(graph, chosen)
    driver, oracle = Queueing(graph, CATALOG), Oracle(graph, ORACLE_TOOLS)
    oracle.start()
    number = 0
    while oracle.status == RUNNING:
        assume(len(oracle.path) <= MOST_STEPS)
        if oracle.failing:  # what is queued is put aside when the others have ended
            assert not any(driver.grant(name) for name in driver.queued)
        else:
            assert driver.queued == sorted(oracle.queued)
        assert driver.running == sorted(oracle.running)
        assert (driver.run.state, driver.visits) == (oracle.state, oracle.visits)
        possible = sorted([*oracle.running, *oracle.queued])
        name = possible[order[number % len(order)] % len(possible)]
        if name in oracle.queued:
            oracle.grant(name)
            driver.grant(name)
        else:
            oracle.complete(name)
            driver.complete(name)
        number += 1
    assert driver.run.status.value == oracle.status
    assert (driver.run.state, driver.visits) == (oracle.state, oracle.visits)
    if driver.run.status is RunStatus.COMPLETED and not oracle.ended_early:
        assert {name: status.value for name, status in driver.statuses.items()} == oracle.now
    assert everything(fold("run", driver.plan, copy.deepcopy(driver.journal))) == everything(driver.run)


class DisturbedQueueing(Disturbed, Queueing):
    """Grants are among what happens."""

    def act(self, action, number):
        if action in ("complete", "late") and self.queued and number % 2 and not self.run.suspended:
            self.grant(self.queued[number % len(self.queued)])
        else:
            super().act(action, number)

    def go_on(self):
        if self.queued and not self.run.suspended:
            self.grant(self.queued[0])
        else:
            super().go_on()


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["complete", "complete", "complete", "fail", "pause", "resume", "allow", "suspend", "crash", "breakpoint"]
        ),
        st.integers(0, 7),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=120)
@given(graphs(ordered_only=True), ACTIONS, st.booleans(), st.lists(st.booleans(), min_size=1, max_size=8))
def test_disturbances_change_nothing_in_the_end_when_steps_wait_for_tokens(graph, actions, retries, chosen):
    if retries:
        policy = RetryPolicy(max_attempts=2)
        nodes = [node.model_copy(update={"retry": policy}) for node in graph.nodes]
        graph = graph.model_copy(update={"nodes": tuple(nodes)})
    plain = run_undisturbed(graph)
    driver = DisturbedQueueing(with_resources(graph, chosen), CATALOG)
    for action, number in actions:
        if driver.run.status is RunStatus.COMPLETED:
            break
        driver.act(action, number)
        Disturbed.check_invariants(driver)
    driver.run.breakpoints = frozenset()
    for _ in range(8 * MOST_STEPS):
        if driver.run.status is RunStatus.COMPLETED:
            break
        driver.act("complete", 0)
    assert driver.run.status is RunStatus.COMPLETED
    assert driver.visits == plain.visits
    assert driver.statuses == plain.statuses


# One at a time -----------------------------------------------------------------------------------------------------


def one_node(**more):
    node = NodeDefinition(id="a", function_name="calc", resources={"gpu": 2, "db": 1}, **more)
    after = NodeDefinition(id="b", function_name="calc")
    return GraphDefinition(name="g", nodes=(node, after), edges=(EdgeDefinition(from_node="a", to_node="b"),))


def names(events):
    return [type(event).__name__ for event in events]


def test_a_step_that_waits_for_tokens_has_not_started():
    driver = Queueing(one_node(), CATALOG)
    assert driver.queued == ["a"]
    assert not driver.running
    assert driver.run.path == []
    assert driver.visits["a"] == 0
    assert driver.run.status is RunStatus.RUNNING
    queued = driver.journal[-1]
    assert queued == StepQueued(0, "a", 1, 1, {"gpu": 2, "db": 1})
    record = present(JournalEntry(1, "run", queued))
    assert record.message == "a waits for gpu \u00d7 2, db \u00d7 1"
    assert record.data["execution_event"] == "waiting"
    assert record.data["resources"] == {"gpu": 2, "db": 1}
    assert list_steps(driver.journal)[0].status is StepStatus.WAITING


def test_a_granted_step_starts_and_a_second_grant_changes_nothing():
    driver = Queueing(one_node(), CATALOG)
    assert names(driver.grant("a")) == ["ResourcesGranted", "StepStarted"]
    assert driver.visits["a"] == 1
    assert driver.feed(ResourcesGranted(0, "a", 1, 1)) == []
    driver.complete("a")
    driver.complete("b")
    assert driver.run.status is RunStatus.COMPLETED


def test_what_is_due_or_signalled_does_not_start_a_step_without_its_tokens():
    driver = Queueing(one_node(), CATALOG)
    assert driver.feed(StepDue(0, "a", 1, 1)) == []
    assert driver.queued == ["a"]


def test_each_retry_waits_for_tokens_again():
    driver = Queueing(one_node(retry=RetryPolicy(max_attempts=2)), CATALOG)
    driver.grant("a")
    failed = driver.feed(StepFailed(0, "a", 1, 1, "no", "Error"))
    retrying = next(event for event in failed if isinstance(event, StepRetrying))
    assert names(driver.feed(StepDue(retrying.due, "a", 1, 2))) == ["StepDue", "StepQueued"]
    assert driver.grant("a")[-1] == StepStarted(0, "a", 1, 2)
    assert driver.run.path == [0]


def test_a_paused_run_stands_in_no_queue_and_queues_again_when_it_goes_on():
    driver = Queueing(one_node(), CATALOG)
    driver.feed(RunPaused(5))
    assert driver.queued == []
    assert [step.node for step in driver.run.held] == [0]
    assert driver.feed(ResourcesGranted(6, "a", 1, 1)) == []
    assert driver.feed(RunResumed(7))[-1] == StepQueued(7, "a", 1, 1, {"gpu": 2, "db": 1})


def test_a_single_step_of_a_paused_run_waits_for_its_tokens_and_starts():
    driver = Queueing(one_node(), CATALOG)
    driver.feed(RunPaused(5))
    assert names(driver.feed(StepAllowed(6))) == ["StepAllowed", "StepQueued"]
    assert names(driver.grant("a")) == ["ResourcesGranted", "StepStarted"]
    driver.complete("a")
    assert not driver.running
    assert driver.run.status is RunStatus.PAUSED


def test_a_cancelled_run_waits_no_longer():
    driver = Queueing(one_node(), CATALOG)
    assert names(driver.feed(CancelRequested(1))) == ["CancelRequested", "StepCancelled", "RunCancelled"]
    assert driver.feed(ResourcesGranted(2, "a", 1, 1)) == []


def test_after_a_crash_a_step_that_only_waited_queues_again_and_nobody_is_asked_about_it():
    driver = Queueing(one_node(), CATALOG)
    run = fold("run", driver.plan, copy.deepcopy(driver.journal))
    assert not run.running
    driver.run = run
    again = driver.feed(RunContinued(9, ask=("a",), fail=()))
    assert not any(isinstance(event, StepUnsure) for event in again)
    assert again[-1] == StepQueued(9, "a", 1, 1, {"gpu": 2, "db": 1})


def test_nothing_is_granted_while_the_program_closes():
    driver = Queueing(one_node(), CATALOG)
    driver.feed(RunSuspended(1))
    assert driver.grant("a") == []
    assert driver.feed(RunContinued(2))[-1] == StepQueued(2, "a", 1, 1, {"gpu": 2, "db": 1})


def two_branches():
    nodes = (
        NodeDefinition(id="s", function_name="calc"),
        NodeDefinition(id="bad", function_name="calc"),
        NodeDefinition(id="a", function_name="calc", resources={"gpu": 1}),
    )
    edges = (EdgeDefinition(from_node="s", to_node="bad"), EdgeDefinition(from_node="s", to_node="a"))
    return GraphDefinition(name="g", nodes=nodes, edges=edges)


def test_when_the_run_fails_a_queued_step_is_put_aside_and_a_retry_queues_it():
    driver = Queueing(two_branches(), CATALOG)
    driver.complete("s")
    assert driver.queued == ["a"]
    failed = driver.feed(StepFailed(3, "bad", 1, 1, "no", "Error"))
    assert any(isinstance(event, StepCancelled) and event.node == "a" for event in failed)
    assert driver.run.status is RunStatus.FAILED
    again = driver.feed(RunRetried(4))
    assert {type(event) for event in again} == {RunRetried, StepStarted, StepQueued}
    driver.complete("bad")
    driver.grant("a")
    driver.complete("a")
    assert driver.run.status is RunStatus.COMPLETED
    assert driver.visits == {"s": 1, "bad": 1, "a": 1}


def test_each_item_waits_for_tokens_and_the_step_itself_does_not():
    node = NodeDefinition(
        id="a", function_name="calc", for_each="[1, 2, 3]", max_parallel=2, resources={"gpu": 1}
    )
    driver = Queueing(GraphDefinition(name="g", nodes=(node,)), CATALOG)
    assert [(type(e).__name__, e.item) for e in driver.journal[2:]] == [
        ("StepStarted", None),
        ("StepQueued", 0),
        ("StepQueued", 1),
    ]
    driver.feed(RunPaused(1))
    driver.feed(RunResumed(2))
    assert [key for key, step in driver.run.waiting.items() if step.queued == 2] == [(0, 0), (0, 1)]


def test_the_limit_of_steps_holds_for_steps_that_were_queued_before_it_was_reached():
    graph = one_node().model_copy(update={"max_steps": 1})
    nodes = (graph.nodes[0], graph.nodes[1].model_copy(update={"resources": {"gpu": 1}}))
    driver = Queueing(graph.model_copy(update={"nodes": nodes, "edges": ()}), CATALOG)
    assert driver.queued == ["a", "b"]
    driver.grant("a")
    assert names(driver.grant("b")) == ["ResourcesGranted"]
    driver.complete("a")
    assert driver.run.status is RunStatus.FAILED
    assert "max_steps" in driver.run.failure.message


@pytest.mark.parametrize("count", [0, -1, 1.5, "1", True])
def test_a_node_takes_a_whole_number_of_tokens(count):
    with pytest.raises(ValueError, match=r"resources\.gpu"):
        NodeDefinition(id="a", function_name="f", resources={"gpu": count})
