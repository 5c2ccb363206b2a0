"""Steps that run another graph: how they begin, and how they end with that run (section 5). Called by ``decide``.

Such a step stays among the running ones, for that is what it does: a run whose steps run others is not over. It waits for
something from outside only where all of its children do.
"""

from __future__ import annotations

from engine.errors import StepTimedOut
from engine.flow.routing import settle
from engine.flow.run_state import RunState, StepKey
from engine.flow.steps import complete_with, find_running
from engine.model.events import (
    CHILD_CANCELLED,
    CHILD_FAILED,
    STOPPED,
    ChildEnded,
    ChildIdled,
    ChildStarted,
    ChildWoken,
    RunEvent,
    RunWoken,
    StepDue,
    StepFailed,
)
from engine.model.status import RunStatus, StepStatus


def follow_child(run: RunState, event: ChildStarted | ChildIdled | ChildWoken | ChildEnded) -> list[RunEvent]:
    """Take in what has become of the run of another graph."""
    match event:
        case ChildStarted():
            return _start_child(run, event)
        case ChildIdled():
            return _idle_child(run, event)
        case ChildWoken():
            return _wake_child(run, event)
        case ChildEnded():
            return _end_child(run, event)


def _start_child(run: RunState, event: ChildStarted) -> list[RunEvent]:
    """From here on, the step is what its child run does."""
    found = find_running(run, event)
    if found is None or found[1].child is not None:
        return []
    node, step = found
    key: StepKey = node if event.item is None else (node, event.item)
    run.running[key] = step._replace(child=event)
    if event.item is None:
        run.step_status[node] = StepStatus.WAITING
    visit, known = run.children.get(node, (0, {}))
    if visit != event.visit:
        known = {}
        run.children[node] = event.visit, known
    known[event.item] = event.child_run_id
    return settle(run, event.at, [event])


def _idle_child(run: RunState, event: ChildIdled) -> list[RunEvent]:
    """The child waits; if nothing else goes on in the run, so does the run."""
    key = _find_key(run, event)
    if key is None or run.idle_children.get(key) == event.reason:
        return []
    run.idle_children[key] = event.reason
    return settle(run, event.at, [event])


def _wake_child(run: RunState, event: ChildWoken) -> list[RunEvent]:
    """The child goes on, and so does the run."""
    key = _find_key(run, event)
    if key is None or key not in run.idle_children:
        return []
    return _wake(run, key, event)


def _end_child(run: RunState, event: ChildEnded) -> list[RunEvent]:
    """The child's final state becomes the step's result; or its failure the step's."""
    key = _find_key(run, event)
    if key is None:
        return []
    child = _child_of(run, key)
    if event.status == "completed":
        complete_with(run, run.plan.topology.index[event.node], event, child, event.result)
        return _wake(run, key, event)
    cancelled = event.status == "cancelled"
    what = "was cancelled" if cancelled else "failed"
    why = f": {event.error}" if event.error else ""
    kind = CHILD_FAILED
    if cancelled:
        kind = STOPPED if run.cancelling else CHILD_CANCELLED
    _fail(run, event, child, f'run {event.child_run_id} of "{child.graph_name}" {what}{why}', kind)
    return _wake(run, key, event)


def time_out_child(run: RunState, event: StepDue) -> list[RunEvent]:
    """The child has not ended within the step's ``timeout_s``; it is cancelled, since its step is over."""
    key = _find_key(run, event)
    if key is None or (child := _child_of(run, key)).due is None:
        return []
    limit_s = (child.due - child.at) / 1e6
    error = f'timed out after {limit_s:g} s; run {child.child_run_id} of "{child.graph_name}" is cancelled'
    _fail(run, event, child, error, StepTimedOut.code)
    return _wake(run, key, event)


def _find_key(run: RunState, event: ChildEnded | ChildIdled | ChildWoken | StepDue) -> StepKey | None:
    """The step that the event is about, if it still runs that child."""
    found = find_running(run, event)
    child = None if found is None else found[1].child
    if found is None or child is None:
        return None
    if not isinstance(event, StepDue) and event.child_run_id != child.child_run_id:
        return None
    return found[0] if event.item is None else (found[0], event.item)


def _child_of(run: RunState, key: StepKey) -> ChildStarted:
    child = run.running[key].child
    assert child is not None
    return child


def _wake(run: RunState, key: StepKey, event: RunEvent) -> list[RunEvent]:
    """Something goes on: a run that waited for its children alone does not any more."""
    out = [event]
    if run.idle_children.pop(key, None) is not None and run.idle_reason is not None:
        run.idle_reason = None
        if not run.paused and run.waiting_for is None:
            run.status = RunStatus.RUNNING
            out.append(RunWoken(event.at))
    return out


def _fail(run: RunState, event: ChildEnded | StepDue, child: ChildStarted, error: str, kind: str) -> None:
    run.derived.append(
        StepFailed(
            at=event.at,
            node=event.node,
            visit=event.visit,
            attempt=event.attempt,
            error=error,
            error_type=kind,
            duration_us=event.at - child.at,
            item=event.item,
        )
    )
