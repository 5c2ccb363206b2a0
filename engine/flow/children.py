"""Steps that run another graph: how they begin, and how they end with that run (section 5). Called by ``decide``.

Such a step stays among the running ones, for that is what it does: a run whose steps run others is not over, nor does it
wait for anything from outside.
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
    ChildStarted,
    RunEvent,
    StepDue,
    StepFailed,
)
from engine.model.status import StepStatus


def start_child(run: RunState, event: ChildStarted) -> list[RunEvent]:
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


def end_child(run: RunState, event: ChildEnded) -> list[RunEvent]:
    """The child's final state becomes the step's result; or its failure the step's."""
    child = _find_child(run, event)
    if child is None or child.child_run_id != event.child_run_id:
        return []
    if event.status == "completed":
        complete_with(run, run.plan.topology.index[event.node], event, child, event.result)
        return [event]
    cancelled = event.status == "cancelled"
    what = "was cancelled" if cancelled else "failed"
    why = f": {event.error}" if event.error else ""
    kind = CHILD_FAILED
    if cancelled:
        kind = STOPPED if run.cancelling else CHILD_CANCELLED
    _fail(run, event, child, f'run {event.child_run_id} of "{child.graph_name}" {what}{why}', kind)
    return [event]


def time_out_child(run: RunState, event: StepDue) -> list[RunEvent]:
    """The child has not ended within the step's ``timeout_s``; it is cancelled, since its step is over."""
    child = _find_child(run, event)
    if child is None or child.due is None:
        return []
    limit_s = (child.due - child.at) / 1e6
    error = f'timed out after {limit_s:g} s; run {child.child_run_id} of "{child.graph_name}" is cancelled'
    _fail(run, event, child, error, StepTimedOut.code)
    return [event]


def _find_child(run: RunState, event: ChildEnded | StepDue) -> ChildStarted | None:
    found = find_running(run, event)
    return None if found is None else found[1].child


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
