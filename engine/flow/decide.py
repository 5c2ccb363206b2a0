"""The one entry into the machine: given where a run stands and what happened, what follows.

``decide`` has no clock and does no I/O; times come with the events. It costs in proportion to the edges of the nodes
that it touches. The events it returns are all there is to record; a ``StepStarted`` among them is also the order to
start that step, a ``StepCancelled`` the order to stop it. Feeding a journal's inputs to it again gives the same run.

The rules are those of docs/runs.md; their numbers are named here.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.flow.children import follow_child, time_out_child
from engine.flow.plan import Plan
from engine.flow.queueing import hold_queued
from engine.flow.routing import begin, drop_waiting, make_ready, release_held, route, settle, stop_running
from engine.flow.run_state import Failure, HeldStep, RunState, WaitingStep
from engine.flow.steps import answer_step, complete_step, fail_step, grant_step, park_step, wake_step
from engine.flow.taking_over import finish_taking_over
from engine.model.events import (
    INPUTS,
    INTERRUPTED,
    BreakpointsSet,
    CancelRequested,
    ChildEnded,
    ChildIdled,
    ChildStarted,
    ChildWoken,
    LogWritten,
    ResourcesGranted,
    RunAccepted,
    RunContinued,
    RunEvent,
    RunForked,
    RunPaused,
    RunResumed,
    RunRetried,
    RunStarted,
    RunSuspended,
    RunWaiting,
    SignalReceived,
    StateEdited,
    StepAllowed,
    StepCompleted,
    StepDecided,
    StepDue,
    StepFailed,
    StepParked,
    StepsAbandoned,
    StepUnsure,
)
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
            return complete_step(run, happened)
        case StepFailed():
            return fail_step(run, happened)
        case StepDue():
            return wake_step(run, happened) or time_out_child(run, happened)
        case StepParked():
            return park_step(run, happened)
        case SignalReceived() | StepDecided():
            return answer_step(run, happened)
        case ChildStarted() | ChildIdled() | ChildWoken() | ChildEnded():
            return follow_child(run, happened)
        case ResourcesGranted():
            return grant_step(run, happened)
        case StepsAbandoned():
            return _abandon(run, happened)
        case StateEdited() | RunForked():
            return finish_taking_over(run, happened)
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
    run.accepted_at, run.depth = event.at, event.depth
    run.state = dict(event.initial_state)
    _set_breakpoints(run, event.breakpoints)
    out: list[RunEvent] = [event]
    if event.refusal is not None:
        run.failure = Failure(event.refusal, event.refused_node)
    else:
        run.status, run.started_at = RunStatus.RUNNING, event.at
        run.taking_over = event.forked_from is not None
        out.append(RunStarted(event.at))
        if event.paused:
            run.paused, run.status = True, RunStatus.PAUSED
            out.append(RunPaused(event.at))
        for node in run.plan.topology.entries:
            make_ready(run, node, event.at, out)
    return settle(run, event.at, out)


def _set_breakpoints(run: RunState, nodes: Iterable[str]) -> None:
    index = run.plan.topology.index
    run.breakpoints = frozenset(index[node] for node in nodes if node in index)


def _cancel(run: RunState, event: CancelRequested) -> list[RunEvent]:
    if run.cancelling:
        return []
    out: list[RunEvent] = [event]
    run.cancelling = True
    drop_waiting(run, event.at, out)
    return settle(run, event.at, out)


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
    run.waiting_for, run.idle_reason, run.suspended = None, None, False
    run.idle_children.clear()  # they will say so again
    if run.cancelling:
        stop_running(run, event.at, out)
    hold_queued(run)
    for key, step in list(run.running.items()):
        if step.child is not None:
            continue  # its child goes on as well
        node, item = key if isinstance(key, tuple) else (key, None)
        name = run.plan.topology.node_ids[node]
        if name in event.ask:
            del run.running[key]
            run.waiting[key] = WaitingStep(step.visit, step.attempt, step.wires, unsure=True)
            run.step_status[node] = StepStatus.WAITING
            out.append(StepUnsure(event.at, name, step.visit, step.attempt, item))
        elif name in event.fail:
            reason = "the program ended while it was running"
            run.derived.append(
                StepFailed(event.at, name, step.visit, step.attempt, reason, INTERRUPTED, item=item)
            )
        else:
            del run.running[key]
            again = HeldStep(node, step.wires, step.visit, step.attempt + 1, item)
            begin(run, again, event.at, out, allowed=True)
    release_held(run, event.at, out)
    return settle(run, event.at, out)


def _pause(run: RunState, event: RunPaused) -> list[RunEvent]:
    if run.paused or run.suspended or run.cancelling or run.failure is not None:
        return []
    run.paused, run.status = True, RunStatus.PAUSED
    hold_queued(run)
    return [event]


def _resume(run: RunState, event: RunResumed) -> list[RunEvent]:
    if not run.paused:
        return []
    out: list[RunEvent] = [event]
    run.paused, run.status, run.idle_reason = False, RunStatus.RUNNING, None
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
    failed = run.status is RunStatus.FAILED or (run.taking_over and run.failure is not None)
    if not failed or run.started_at is None:
        return []
    out: list[RunEvent] = [event]
    run.status, run.failure, run.completed_at, run.paused = RunStatus.RUNNING, None, None, False
    again, run.broken_off = run.broken_off, []
    unrouted, run.unrouted = run.unrouted, []
    for key in run.waiting:
        run.step_status[key[0] if isinstance(key, tuple) else key] = StepStatus.WAITING
    for step in again:
        begin(run, step, event.at, out)
    for node, failed in unrouted:
        route(run, node, None, failed=failed)
    release_held(run, event.at, out)
    return settle(run, event.at, out)
