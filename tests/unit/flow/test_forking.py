"""Forks: what is taken over of an older run, what runs anew, and when a fork is refused."""

import copy
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st

from engine.execution.attempts.attempt import prepare
from engine.flow.decide import fold
from engine.flow.forking import begin_taking_over, find_origin, go_on
from engine.flow.run_state import RunState
from engine.model.events import (
    FailureTakenOver,
    RunAccepted,
    StepCompleted,
    StepFailed,
    StepStarted,
    StepTakenOver,
)
from engine.model.graph import RetryPolicy
from engine.model.status import RunStatus
from tests.unit.flow.driver import Driver
from tests.unit.flow.random_graphs import graphs
from tests.unit.flow.test_disturbances import ACTIONS, Disturbed, run_undisturbed
from tests.unit.flow.test_properties import CATALOG, MODEST, MOST_STEPS, ORDERS, everything


class LateDriver(Driver):
    """Every tool is given the state as it is when it ends, so that steps side by side have no past of their own."""

    def complete(self, name):
        started = self.attempts[name].started
        node = self.plan.topology.index[name]
        tool = self.catalog[self.plan.graph.nodes[node].function_name]
        self.attempts[name] = prepare(self.run, node, tool, started, Path(), 2**20)
        super().complete(name)


class ForkDriver(LateDriver):
    """A fork of another driver's run, at one of its steps."""

    def __init__(self, old, node, visit):
        self.catalog, self.plan = old.catalog, old.plan
        self.run = RunState("run", self.plan)
        self.journal, self.attempts, self.told = [], {}, []
        origin = find_origin("old", old.plan, copy.deepcopy(old.journal), node, visit)
        accepted = RunAccepted(0, "graph", 1, self.plan.graph.name, origin.initial_state, forked_from="old")
        events = begin_taking_over(self.run, accepted, origin)
        events += go_on(self.run, origin, 0, {}, ())
        self.journal = copy.deepcopy(events)
        for event in events:
            if isinstance(event, StepStarted):
                self.start(event)

    def start(self, started):
        node = self.plan.topology.index[started.node]
        tool = self.catalog[self.plan.graph.nodes[node].function_name]
        self.attempts[started.node] = prepare(self.run, node, tool, started, Path(), 2**20)

    @property
    def taken(self):
        return [
            (event.node, event.visit)
            for event in self.journal
            if isinstance(event, StepTakenOver | FailureTakenOver)
        ]


def outcome(run):
    """What a run came to, without when: a fork's times are its own."""
    names = (
        "state",
        "status",
        "visits",
        "results",
        "errors",
        "step_status",
        "edges",
        "decided",
        "passes",
        "failure",
    )
    return {name: getattr(run, name) for name in names} | {"path": sorted(run.path)}


def drive(driver, order):
    number = 0
    while not driver.run.status.is_final:
        assume(len(driver.run.path) <= MOST_STEPS)
        driver.complete(driver.running[order[number % len(order)] % len(driver.running)])
        number += 1
    return driver


def journal_until(driver, node, visit):
    """How many completions the journal has before the step's start."""
    ends = 0
    for event in driver.journal:
        if isinstance(event, StepStarted) and (event.node, event.visit) == (node, visit):
            return ends
        ends += isinstance(event, StepCompleted | StepFailed)
    raise AssertionError


@MODEST
@given(graphs(), ORDERS, st.integers(0, 10_000))
def test_p2_a_fork_from_any_step_ends_as_the_run_did_and_runs_nothing_of_what_it_took_over(
    graph, order, number
):
    old = drive(LateDriver(graph, CATALOG), order)
    starts = [event for event in old.journal if isinstance(event, StepStarted)]
    start = starts[number % len(starts)]
    before = journal_until(old, start.node, start.visit)
    fork = ForkDriver(old, start.node, start.visit)

    assert fork.taken == [(event.node, event.visit) for event in old.told[:before]]
    assert start.node in fork.running
    for event in old.told[before:]:
        fork.complete(event.node)
    assert outcome(fork.run) == outcome(old.run)
    ran = {(event.node, event.visit) for event in fork.journal if isinstance(event, StepStarted)}
    assert ran.isdisjoint(fork.taken)
    assert everything(fold("run", fork.plan, copy.deepcopy(fork.journal))) == everything(fork.run)


@MODEST
@given(graphs(), ORDERS, st.integers(0, 10_000), st.integers(0, 10_000))
def test_p2_a_fork_of_a_fork_takes_over_what_the_first_one_did(graph, order, number, other):
    old = drive(LateDriver(graph, CATALOG), order)
    starts = [event for event in old.journal if isinstance(event, StepStarted)]
    start = starts[number % len(starts)]
    first = ForkDriver(old, start.node, start.visit)
    for event in old.told[journal_until(old, start.node, start.visit) :]:
        first.complete(event.node)
    steps = [(event.node, event.visit) for event in starts]
    node, visit = steps[other % len(steps)]
    second = ForkDriver(first, node, visit)
    assert set(second.taken) <= {(event.node, event.visit) for event in old.told}
    assert (node, visit) not in second.taken
    assert node in second.running
    ran = [name for name, _ in second.taken]
    rest = [event.node for event in old.told]
    for name in ran:
        rest.remove(name)
    for name in rest:
        second.complete(name)
    assert second.run.status is old.run.status
    assert second.visits == old.visits
    assert everything(fold("run", second.plan, copy.deepcopy(second.journal))) == everything(second.run)


@MODEST
@given(graphs(ordered_only=True), st.lists(ACTIONS, max_size=25), st.booleans(), st.integers(0, 10_000))
def test_a_run_that_was_paused_failed_retried_and_crashed_is_forked_as_one_that_was_not(
    graph, actions, retries, number
):
    if retries:
        nodes = [node.model_copy(update={"retry": RetryPolicy(max_attempts=2)}) for node in graph.nodes]
        graph = graph.model_copy(update={"nodes": tuple(nodes)})
    plain = run_undisturbed(graph)
    old = Disturbed(graph, CATALOG)
    for action, which in actions:
        if old.run.status is RunStatus.COMPLETED:
            break
        old.act(action, which)
    starts = [event for event in old.journal if isinstance(event, StepStarted)]
    assume(starts)
    start = starts[number % len(starts)]
    fork = ForkDriver(old, start.node, start.visit)
    assert start.node in fork.running
    done = {(event.node, event.visit) for event in old.journal if isinstance(event, StepCompleted)}
    assert set(fork.taken) <= done - {(start.node, start.visit)}
    drive(fork, [0])
    assert fork.run.status is RunStatus.COMPLETED
    assert (fork.visits, fork.statuses) == (plain.visits, plain.statuses)
    ran = [(event.node, event.visit) for event in fork.journal if isinstance(event, StepStarted)]
    assert set(ran).isdisjoint(fork.taken)
    assert everything(fold("run", fork.plan, copy.deepcopy(fork.journal))) == everything(fork.run)
