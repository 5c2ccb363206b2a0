"""How a step ends: with a result, a failure, a wait; and how a waiting one goes on. Called by ``decide``."""

from __future__ import annotations

from typing import Any

from engine.errors import ExpressionError, ResultError
from engine.flow.items import end_item, fail_item, open_item
from engine.flow.queueing import may_be_granted, unqueue_step
from engine.flow.retries import delay_us, wants_retry
from engine.flow.routing import begin, end_run, fail_run, route, settle, stop_running, would_take
from engine.flow.run_state import Failure, HeldStep, RunningStep, RunState, StepKey, Taken, WaitingStep
from engine.flow.state import combine_value
from engine.model.events import (
    INTERRUPTED,
    STOPPED,
    ChildEnded,
    ChildIdled,
    ChildStarted,
    ChildWoken,
    FailureTakenOver,
    ResourcesGranted,
    RunCancelled,
    RunCompleted,
    RunEvent,
    RunFailed,
    SignalReceived,
    StepCompleted,
    StepDecided,
    StepDue,
    StepFailed,
    StepParked,
    StepRetrying,
    StepTakenOver,
)
from engine.model.graph import RetryPolicy
from engine.model.status import RunStatus, StepStatus


def find_running(
    run: RunState,
    event: StepCompleted
    | StepFailed
    | StepParked
    | ChildStarted
    | ChildEnded
    | ChildIdled
    | ChildWoken
    | StepDue,
) -> tuple[int, RunningStep] | None:
    """The node and step that the report is about, unless it is late: not running, or not the current attempt."""
    node = run.plan.topology.index[event.node]
    step = run.running.get(node if event.item is None else (node, event.item))
    if step is None and event.item is None and node in run.items:
        step = run.items[node].step
    if run.taking_over and isinstance(event, StepTakenOver | FailureTakenOver):
        return _find_taken(run, node, step, event)
    if step is None or (step.visit, step.attempt) != (event.visit, event.attempt):
        return None
    return node, step


def _find_taken(
    run: RunState, node: int, step: RunningStep | None, event: StepTakenOver | FailureTakenOver
) -> tuple[int, RunningStep] | None:
    """The step that is taken over, if this run has come to it."""
    if event.item is not None:
        step = open_item(run, node, event.item)
    if step is None or step.visit != event.visit:
        return None
    if event.item is None:
        run.taken[node] = Taken(event.visit, event.origin)
    return node, step


def complete_step(run: RunState, event: StepCompleted) -> list[RunEvent]:
    found = find_running(run, event)
    if found is None:
        return []
    node, _ = found
    try:
        changes = _combine(run, event.changes)
    except ResultError as error:
        return fail_step(run, _refuse(event, error))
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
    if event.cached_from is not None:
        run.cached[node] = Taken(event.visit, event.cached_from)
    if event.end_status is not None:
        _end_early(run, event, out)
    elif not run.cancelling and not _check_exits(run, node, event.at, out):
        route(run, node, event, failed=False)
    return settle(run, event.at, out)


def _end_early(run: RunState, event: StepCompleted, out: list[RunEvent]) -> None:
    """The tool returned ``EndRun``."""
    reason = event.end_reason or f'Step "{event.node}" ended the run.'
    stop_running(run, event.at, out)
    match event.end_status:
        case "failed":
            run.failure = Failure(reason, event.node)
            end_run(run, RunStatus.FAILED, RunFailed(event.at, reason, event.node), out)
        case "cancelled":
            end_run(run, RunStatus.CANCELLED, RunCancelled(event.at), out)
        case _:
            end_run(run, RunStatus.COMPLETED, RunCompleted(event.at), out)


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


def fail_step(run: RunState, event: StepFailed) -> list[RunEvent]:
    """First the retries, then an item's own rule, error edges, ``on_error``; else the run fails (section 4)."""
    found = find_running(run, event)
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


def _find_waiting(
    run: RunState, event: StepDue | SignalReceived | StepDecided | ResourcesGranted
) -> tuple[int, StepKey, WaitingStep] | None:
    node = run.plan.topology.index[event.node]
    key: StepKey = node if event.item is None else (node, event.item)
    step = run.waiting.get(key)
    if step is None or (step.visit, step.attempt) != (event.visit, event.attempt):
        return None
    if (step.queued is not None) is not isinstance(event, ResourcesGranted):
        return None
    return node, key, step


def wake_step(run: RunState, event: StepDue) -> list[RunEvent]:
    found = _find_waiting(run, event)
    if found is None:
        return []
    node, key, step = found
    if step.parked is not None:
        return _end_wait(run, key, step, event, step.parked.result)
    del run.waiting[key]
    out: list[RunEvent] = [event]
    begin(run, HeldStep(node, step.wires, step.visit, step.attempt, event.item), event.at, out)
    return settle(run, event.at, out)


def grant_step(run: RunState, event: ResourcesGranted) -> list[RunEvent]:
    """A step that was queued has its tokens."""
    found = _find_waiting(run, event)
    if found is None or not may_be_granted(run):
        return []
    out: list[RunEvent] = [event]
    begin(run, unqueue_step(run, found[1]), event.at, out, granted=True)
    return settle(run, event.at, out)


def park_step(run: RunState, event: StepParked) -> list[RunEvent]:
    """The tool asked to wait (section 5)."""
    found = find_running(run, event)
    if found is None:
        return []
    node, step = found
    key: StepKey = node if event.item is None else (node, event.item)
    del run.running[key]
    run.waiting[key] = WaitingStep(step.visit, step.attempt, step.wires, event.due, event)
    if event.item is None:
        run.step_status[node] = StepStatus.WAITING
    return settle(run, event.at, [event])


def answer_step(run: RunState, event: SignalReceived | StepDecided) -> list[RunEvent]:
    """What a step waited for has come: a signal's value, or a decision about an interrupted step."""
    found = _find_waiting(run, event)
    if found is None or found[2].unsure is not isinstance(event, StepDecided):
        return []
    node, key, step = found
    if isinstance(event, SignalReceived):
        return _end_wait(run, key, step, event, event.value)
    if event.choice == "result":
        return _end_wait(run, key, step, event, event.result)
    out: list[RunEvent] = [event]
    del run.waiting[key]
    if event.choice == "rerun":
        begin(run, HeldStep(node, step.wires, step.visit, step.attempt + 1, event.item), event.at, out)
    else:
        run.running[key] = RunningStep(step.visit, step.attempt, step.wires)
        reason = "it was interrupted, and decided to have failed"
        run.derived.append(
            StepFailed(event.at, event.node, step.visit, step.attempt, reason, INTERRUPTED, item=event.item)
        )
    return settle(run, event.at, out)


def _end_wait(
    run: RunState, key: StepKey, step: WaitingStep, event: StepDue | SignalReceived | StepDecided, result: Any
) -> list[RunEvent]:
    """The wait is over with a result: the step is completed as any other, right after this event."""
    del run.waiting[key]
    run.running[key] = RunningStep(step.visit, step.attempt, step.wires)
    complete_with(run, key[0] if isinstance(key, tuple) else key, event, step.parked, result)
    return [event]


def complete_with(
    run: RunState,
    node: int,
    event: StepDue | SignalReceived | StepDecided | ChildEnded,
    before: StepParked | ChildStarted | None,
    result: Any,
) -> None:
    """Have the step completed next, with what its tool did to the state ``before`` it waited."""
    changes = {} if before is None else dict(before.changes)
    save_as = run.plan.graph.nodes[node].save_as
    if save_as is not None and event.item is None:
        changes[save_as] = result
    run.derived.append(
        StepCompleted(
            at=event.at,
            node=event.node,
            visit=event.visit,
            attempt=event.attempt,
            result=result,
            changes=changes,
            removed=() if before is None else before.removed,
            duration_us=event.at - run.started[node],
            item=event.item,
        )
    )


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
        key: combine_value(reducers[key], key, run.state, value) if key in reducers else value
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
