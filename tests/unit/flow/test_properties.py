"""Random graphs, completed in random order: the engine's decisions against the oracle's, event by event."""

from __future__ import annotations

import copy
import os

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.flow.decide import fold
from engine.flow.run_state import RunState
from engine.model.status import RunStatus
from tests.unit.flow.driver import Driver
from tests.unit.flow.oracle import RUNNING, Oracle
from tests.unit.flow.random_graphs import ORACLE_TOOLS, graphs, make_catalog

CATALOG = make_catalog()
MOST_STEPS = 150
ORDERS = st.lists(st.integers(0, 7), min_size=1, max_size=12)
MODEST = settings(
    max_examples=int(os.environ.get("WFE_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def everything(run):
    return {name: getattr(run, name) for name in RunState.__slots__ if name != "plan"}


def drive_both(graph, order):
    """Both interpreters through the whole run, compared after every completed step."""
    driver, oracle = Driver(graph, CATALOG), Oracle(graph, ORACLE_TOOLS)
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
        assert {name: error is None for name, error in driver.errors.items()} == {
            name: error is None for name, error in oracle.errors.items()
        }


@MODEST
@given(graphs(), ORDERS)
def test_p10_the_engine_decides_as_the_rules_say(graph, order):
    drive_both(graph, order)


@MODEST
@given(graphs(items=True), ORDERS)
def test_p10_items_go_as_the_rules_say(graph, order):
    drive_both(graph, order)


@MODEST
@given(graphs(), ORDERS)
def test_a_journal_tells_the_same_run_again(graph, order):
    driver, _ = drive_both(graph, order)
    assert everything(fold("run", driver.plan, copy.deepcopy(driver.journal))) == everything(driver.run)


@MODEST
@given(graphs(), ORDERS, st.integers(0, 30))
def test_p9_late_and_repeated_reports_change_nothing(graph, order, at):
    driver, _ = drive_both(graph, order)
    before = copy.deepcopy(everything(driver.run))
    for event in driver.told:
        assert driver.feed(copy.deepcopy(event)) == []
    assert everything(driver.run) == before

    part = Driver(graph, CATALOG)  # the same again, with a report repeated while the run goes on
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
