"""Pauses, failures, retries, restarts and crashes at random moments: the run ends as it does without them."""

from __future__ import annotations

import copy

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.flow.decide import decide, fold
from engine.flow.plan import compile_plan
from engine.flow.run_state import RunState
from engine.model.events import (
    INPUTS,
    BreakpointsSet,
    RunContinued,
    RunPaused,
    RunResumed,
    RunRetried,
    RunSuspended,
    StepAllowed,
    StepDue,
    StepFailed,
)
from engine.model.graph import RetryPolicy
from engine.model.status import TRANSITIONS, RunStatus
from tests.unit.flow.driver import Driver
from tests.unit.flow.random_graphs import graphs, make_catalog

CATALOG = make_catalog()
MOST_STEPS = 100
ACTIONS = st.tuples(
    st.sampled_from(
        [
            "complete",
            "complete",
            "complete",
            "fail",
            "pause",
            "resume",
            "allow",
            "suspend",
            "crash",
            "breakpoint",
            "late",
        ]
    ),
    st.integers(0, 7),
)


class Disturbed(Driver):
    """A run to which all sorts of things happen."""

    def act(self, action, number):
        run, running = self.run, self.running
        if run.status is RunStatus.FAILED:
            self.feed(RunRetried(0))
        elif action == "pause":
            self.feed(RunPaused(0))
        elif action == "resume":
            self.feed(RunResumed(0))
        elif action == "allow":
            self.feed(StepAllowed(0))
        elif action == "suspend":
            self.feed(RunSuspended(0))
        elif action == "breakpoint":
            self.feed(BreakpointsSet(0, tuple(self.plan.topology.node_ids[number : number + 1])))
        elif action == "crash":
            self.crash()
        elif action == "late" and self.told:
            assert self.feed(copy.deepcopy(self.told[number % len(self.told)])) == []
        elif action == "fail" and running:
            self.fail(running[number % len(running)])
        elif running:
            super().complete(running[number % len(running)])
        else:
            self.go_on()

    def fail(self, name):
        step = self.run.running[self.plan.topology.index[name]]
        failure = StepFailed(0, name, step.visit, step.attempt, "flaky", "Flaky")
        self.told.append(copy.deepcopy(failure))
        self.feed(failure)

    def crash(self):
        """The program is gone; what is left is the journal."""
        self.run, before = fold("run", self.plan, copy.deepcopy(self.journal)), self.run
        assert everything(self.run) == everything(before)
        self.feed(RunContinued(0))

    def go_on(self):
        """Do what the run waits for, when nothing in it is running."""
        run = self.run
        if run.suspended:
            self.feed(RunContinued(0))
        elif run.waiting:
            node, step = next(iter(run.waiting.items()))
            self.feed(StepDue(step.due, self.plan.topology.node_ids[node], step.visit, step.attempt))
        else:
            assert run.paused, "nothing is running, and nothing says why"
            self.feed(RunResumed(0))

    def check_invariants(self):
        run = self.run
        assert not run.todo
        assert all(count >= 0 for count in (*run.unresolved, *run.busy))
        assert len(run.path) == sum(run.visits)
        assert not run.running.keys() & run.waiting.keys()
        assert set(self.attempts) == set(self.running)
        if run.status is RunStatus.COMPLETED:
            assert not run.running
            assert not run.waiting
            assert not run.held


def everything(run):
    return {name: getattr(run, name) for name in RunState.__slots__ if name != "plan"}


def run_undisturbed(graph):
    driver = Driver(graph, CATALOG)
    while driver.running:
        assume(len(driver.run.path) <= MOST_STEPS)
        driver.complete(driver.running[0])
    return driver


@settings(max_examples=120)
@given(graphs(ordered_only=True), st.lists(ACTIONS, max_size=25), st.booleans())
def test_p9_p10_disturbances_change_nothing_in_the_end_and_statuses_follow_the_table(graph, actions, retries):
    if retries:
        policy = RetryPolicy(max_attempts=2)
        nodes = [node.model_copy(update={"retry": policy}) for node in graph.nodes]
        graph = graph.model_copy(update={"nodes": tuple(nodes)})
    plain = run_undisturbed(graph)
    driver = Disturbed(graph, CATALOG)
    for action, number in actions:
        if driver.run.status is RunStatus.COMPLETED:
            break
        driver.act(action, number)
        driver.check_invariants()
    driver.feed(BreakpointsSet(0, ()))
    for _ in range(5 * MOST_STEPS):
        if driver.run.status is RunStatus.COMPLETED:
            break
        driver.act("complete", 0)
    assert driver.run.status is RunStatus.COMPLETED
    assert driver.visits == plain.visits
    assert driver.statuses == plain.statuses
    assert everything(fold("run", driver.plan, copy.deepcopy(driver.journal))) == everything(driver.run)
    check_statuses(graph, driver.journal)


def check_statuses(graph, journal):
    """One after another, as the table of transitions has them; what is final is final."""
    run = RunState("run", compile_plan(graph))
    before = run.status
    for event in copy.deepcopy(journal):
        if isinstance(event, INPUTS):
            decide(run, event)
            assert run.status is before or run.status in reachable(before), (before, run.status, event)
            before = run.status


def reachable(status):
    """Where one input may lead: some of them make two transitions, as to running and on to the end."""
    return TRANSITIONS[status] | {last for middle in TRANSITIONS[status] for last in TRANSITIONS[middle]}
