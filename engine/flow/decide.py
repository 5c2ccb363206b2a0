"""The one entry into the machine: given where a run stands and what happened, what follows.

``decide`` has no clock and does no I/O; times come with the events. It costs in proportion to the edges of the nodes
that it touches. The events it returns are all there is to record; a ``StepStarted`` among them is also the order to
start that step, a ``StepCancelled`` the order to stop it. Feeding a journal's inputs to it again gives the same run.

The rules are those of docs/runs.md; their numbers are named here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.errors import ExpressionError, ResultError
from engine.flow.items import end_item, fail_item
from engine.flow.plan import Plan
from engine.flow.retries import delay_us, wants_retry
from engine.flow.routing import (
    begin,
    end_run,
    fail_run,
    make_ready,
    release_held,
    route,
    settle,
    stop_running,
    would_take,
)
from engine.flow.run_state import Failure, HeldStep, RunningStep, RunState, StepKey, WaitingStep
from engine.flow.state import reduce_value
from engine.model.events import (
    INPUTS,
    STOPPED,
    BreakpointsSet,
    CancelRequested,
    LogWritten,
    RunAccepted,
    RunCompleted,
    RunContinued,
    RunEvent,
    RunPaused,
    RunResumed,
    RunRetried,
    RunStarted,
    RunSuspended,
    RunWaiting,
    StepAllowed,
    StepCompleted,
    StepDue,
    StepFailed,
    StepRetrying,
    StepsAbandoned,
)
from engine.model.graph import RetryPolicy
from engine.model.status import RunStatus, StepStatus


def decide(run: RunState, happened: RunEvent) -> list[RunEvent]:
    """Take in one input event and return what is to be recorded: it and all that follows from it, in order.

    An event that no longer applies (a late or repeated report, a cancel of a finished run) gives an empty list.
    """
    if run.status.is_final and not isinstance(happened, RunRetried):
        return []
    out = _dispatch(run, happened)
    while run.derived and not run.status.is_final:
        out += _dispatch(run, run.derived.pop(0))
    run.derived.clear()
    return out


def _dispatch(run: RunState, happened: RunEvent) -> list[RunEvent]:
    match happened:
        case StepCompleted():
            return _complete_step(run, happened)
        case StepFailed():
            return _fail_step(run, happened)
        case StepDue():
            return _wake_step(run, happened)
        case StepsAbandoned():
            return _abandon(run, happened)
        case _:
            return _change_run(run, happened)


def _change_run(run: RunState, happened: RunEvent) -> list[RunEvent]:
    match happened:
        case RunAccepted():
            return _accept(run, happened)
        case CancelRequested():
            return _cancel(run, happened)
        case RunPaused():
            return _pause(run, happened)
        case RunResumed():
            return _resume(run, happened)
        case StepAllowed():
            return _allow_step(run, happened)
        case RunRetried():
            return _retry(run, happened)
        case RunContinued():
            return _continue(run, happened)
        case BreakpointsSet():
            _set_breakpoints(run, happened.nodes)
        case RunSuspended():
            run.suspended = True
        case LogWritten():
            pass  # told, and that is all
        case RunWaiting():
            run.status, run.waiting_for = RunStatus.WAITING, happened.reason
        case _:
            raise AssertionError(f"{type(happened).__name__} is decided here, it cannot come from outside")
    return [happened]


def fold(run_id: str, plan: Plan, events: Iterable[RunEvent]) -> RunState:
    """The run that a journal tells of."""
    run = RunState(run_id, plan)
    for event in events:
        if isinstance(event, INPUTS):
            decide(run, event)
    return run


# Runs ---------------------------------------------------------------------------------------------------------


def _accept(run: RunState, event: RunAccepted) -> list[RunEvent]:
    run.accepted_at = event.at
    run.state = dict(event.initial_state)
    _set_breakpoints(run, event.breakpoints)
    out: list[RunEvent] = [event]
    if event.refusal is not None:
        run.failure = Failure(event.refusal, event.refused_node)
    else:
        run.status, run.started_at = RunStatus.RUNNING, event.at
        out.append(RunStarted(event.at))
        for node in run.plan.topology.entries:
            make_ready(run, node, event.at, out)
    return settle(run, event.at, out)


def _set_breakpoints(run: RunState, nodes: Iterable[str]) -> None:
    index = run.plan.topology.index
    run.breakpoints = frozenset(index[node] for node in nodes if node in index)


def _cancel(run: RunState, event: CancelRequested) -> list[RunEvent]:
    if run.cancelling:
        return []
    run.cancelling = True
    run.held.clear()
    run.waiting.clear()
    return settle(run, event.at, [event])


def _abandon(run: RunState, event: StepsAbandoned) -> list[RunEvent]:
    if not run.cancelling:
        return []
    out: list[RunEvent] = [event]
    stop_running(run, event.at, out)
    return settle(run, event.at, out)


def _continue(run: RunState, event: RunContinued) -> list[RunEvent]:
    """After a restart: a step that had started and has no recorded end is tried again (section 6)."""
    out: list[RunEvent] = [event]
    run.status = RunStatus.PAUSED if run.paused else RunStatus.RUNNING
    run.waiting_for, run.suspended = None, False
    if run.cancelling:
        stop_running(run, event.at, out)
    for key, step in list(run.running.items()):
        node, item = key if isinstance(key, tuple) else (key, None)
        again = HeldStep(node, step.wires, step.visit, step.attempt + 1, item)
        begin(run, again, event.at, out, allowed=True)
    release_held(run, event.at, out)
    return settle(run, event.at, out)


def _pause(run: RunState, event: RunPaused) -> list[RunEvent]:
    if run.paused or run.holding:
        return []
    run.paused, run.status = True, RunStatus.PAUSED
    return [event]


def _resume(run: RunState, event: RunResumed) -> list[RunEvent]:
    if not run.paused:
        return []
    out: list[RunEvent] = [event]
    run.paused, run.status = False, RunStatus.RUNNING
    release_held(run, event.at, out)
    return settle(run, event.at, out)


def _allow_step(run: RunState, event: StepAllowed) -> list[RunEvent]:
    if not run.paused or not run.held or run.failure is not None:
        return []
    out: list[RunEvent] = [event]
    begin(run, run.held.pop(0), event.at, out, allowed=True)
    return settle(run, event.at, out)


def _retry(run: RunState, event: RunRetried) -> list[RunEvent]:
    """A failed run goes on: what failed is tried again, edges that could not be evaluated are, what was held starts."""
    if run.status is not RunStatus.FAILED or run.started_at is None:
        return []
    out: list[RunEvent] = [event]
    run.status, run.failure, run.completed_at, run.paused = RunStatus.RUNNING, None, None, False
    again, run.broken_off = run.broken_off, []
    unrouted, run.unrouted = run.unrouted, []
    for step in again:
        begin(run, step, event.at, out)
    for node, failed in unrouted:
        route(run, node, None, failed=failed)
    release_held(run, event.at, out)
    return settle(run, event.at, out)


# Steps --------------------------------------------------------------------------------------------------------


def _find_running(run: RunState, event: StepCompleted | StepFailed) -> tuple[int, RunningStep] | None:
    """What the report is about, unless it is late: not running, or not the current attempt."""
    node = run.plan.topology.index[event.node]
    step = run.running.get(node if event.item is None else (node, event.item))
    if step is None and event.item is None and node in run.items:
        step = run.items[node].step
    if step is None or (step.visit, step.attempt) != (event.visit, event.attempt):
        return None
    return node, step


def _complete_step(run: RunState, event: StepCompleted) -> list[RunEvent]:
    found = _find_running(run, event)
    if found is None:
        return []
    node, _ = found
    try:
        changes = _combine(run, event.changes)
    except ResultError as error:
        return _fail_step(run, _refuse(event, error))
    run.state.update(changes)
    for key in event.removed:
        run.state.pop(key, None)
    out: list[RunEvent] = [event]
    if event.item is not None:
        del run.running[node, event.item]
        if not run.cancelling:
            end_item(run, node, event.item, event.result, event.at, out)
        return settle(run, event.at, out)
    _finish(run, node, StepStatus.COMPLETED, event.result, None, event.duration_us)
    if not run.cancelling and not _check_exits(run, node, event.at, out):
        route(run, node, event, failed=False)
    return settle(run, event.at, out)


def _refuse(event: StepCompleted, error: ResultError) -> StepFailed:
    """The completion as a failure: what the step gave cannot be combined with the state."""
    return StepFailed(
        at=event.at,
        node=event.node,
        visit=event.visit,
        attempt=event.attempt,
        error=str(error),
        error_type=error.code,
        duration_us=event.duration_us,
        item=event.item,
    )


def _fail_step(run: RunState, event: StepFailed) -> list[RunEvent]:
    """First the retries, then an item's own rule, error edges, ``on_error``; else the run fails (section 4)."""
    found = _find_running(run, event)
    if found is None:
        return []
    node, step = found
    definition = run.plan.graph.nodes[node]
    of_items = event.item is None and node in run.items
    again = HeldStep(node, step.wires, step.visit, step.attempt + 1, event.item)
    result_before = run.results[node]  # the next attempt may be wired to it, in a loop
    out: list[RunEvent] = [event]
    if event.item is not None:
        del run.running[node, event.item]
    else:
        stopped = run.cancelling and event.error_type == STOPPED
        status = StepStatus.CANCELLED if stopped else StepStatus.FAILED
        _finish(run, node, status, None, event.error, event.duration_us)
    if run.cancelling:
        return settle(run, event.at, out)
    event.handled = True
    if definition.retry is not None and not of_items and wants_retry(definition.retry, event):
        run.results[node] = result_before
        _wait_for_retry(run, again, definition.retry, event, out)
    elif event.item is not None:
        event.handled = False
        fail_item(run, node, event.item, event, out)
    elif would_take(run, node, run.plan.error[node]):  # an error edge handles a failure only if it is taken
        if not _check_exits(run, node, event.at, out):
            route(run, node, event, failed=True)
    elif definition.on_error == "continue" and _take_default(run, node):
        if not _check_exits(run, node, event.at, out):
            route(run, node, event, failed=False)
    else:
        event.handled = False
        run.results[node] = result_before
        run.broken_off.append(again)
        fail_run(run, f'Step "{event.node}" failed: {event.error}', event.node)
    return settle(run, event.at, out)


def _wait_for_retry(
    run: RunState, again: HeldStep, policy: RetryPolicy, event: StepFailed, out: list[RunEvent]
) -> None:
    node, wires, visit, attempt, item = again
    due = event.at + delay_us(policy, event.attempt, f"{run.run_id}/{event.node}/{visit}/{item}/{attempt}")
    run.waiting[node if item is None else (node, item)] = WaitingStep(visit, attempt, wires, due)
    if item is None:
        run.step_status[node] = StepStatus.WAITING
    out.append(StepRetrying(event.at, event.node, visit, attempt, due, item))


def _wake_step(run: RunState, event: StepDue) -> list[RunEvent]:
    node = run.plan.topology.index[event.node]
    key: StepKey = node if event.item is None else (node, event.item)
    step = run.waiting.get(key)
    if step is None or (step.visit, step.attempt) != (event.visit, event.attempt):
        return []
    del run.waiting[key]
    out: list[RunEvent] = [event]
    begin(run, HeldStep(node, step.wires, step.visit, step.attempt, event.item), event.at, out)
    return settle(run, event.at, out)


def _take_default(run: RunState, node: int) -> bool:
    """Go on with the node's default result; False where the reducer of its state key cannot take it in."""
    definition = run.plan.graph.nodes[node]
    if definition.save_as is not None:
        try:
            run.state.update(_combine(run, {definition.save_as: definition.default_result}))
        except ResultError:
            return False
    run.results[node] = definition.default_result
    return True


def _combine(run: RunState, changes: dict[str, Any]) -> dict[str, Any]:
    reducers = run.plan.graph.reducers
    if not reducers or reducers.keys().isdisjoint(changes):
        return changes
    return {
        key: reduce_value(reducers[key], key, run.state[key], value)
        if key in reducers and key in run.state
        else value
        for key, value in changes.items()
    }


def _finish(
    run: RunState, node: int, status: StepStatus, result: Any, error: str | None, duration_us: int
) -> None:
    if node in run.items:
        items = run.items.pop(node)
        if status is StepStatus.FAILED:
            run.resumable[node] = items
    else:
        del run.running[node]
    run.steps_finished += 1
    run.finish_order[node] = run.steps_finished
    run.step_status[node] = status
    run.results[node], run.errors[node], run.durations[node] = result, error, duration_us


def _check_exits(run: RunState, node: int, at: int, out: list[RunEvent]) -> bool:
    """Rule 2.5: the run is completed as soon as an exit condition holds after a step, unless it has failed before."""
    if run.failure is not None:
        return False
    for condition in run.plan.exits:
        try:
            holds = condition.holds(run.scope(node, run.results[node]))
        except ExpressionError as error:
            fail_run(run, f"The exit condition {condition.text!r} could not be evaluated: {error}", None)
            run.unrouted.append((node, False))
            return True
        if holds:
            stop_running(run, at, out)
            end_run(run, RunStatus.COMPLETED, RunCompleted(at, condition.text), out)
            return True
    return False
