"""How a fork takes over the steps of an older run, and goes on by itself. Called by ``decide``.

Between ``RunAccepted`` and ``RunForked`` a fork goes the way of its graph as any run does, but its steps begin in thought
only: conditions see them as running, no ``StepStarted`` says so, and nothing is executed. They end by what is taken over
(``StepTakenOver``, ``FailureTakenOver``). Those that are still open at ``RunForked`` then really start, with the state as it
is there.
"""

from __future__ import annotations

from engine.flow.queueing import hold_queued
from engine.flow.routing import begin, settle
from engine.flow.run_state import HeldStep, RunState
from engine.model.events import RunEvent, RunForked, RunPaused, StateEdited
from engine.model.status import RunStatus, StepStatus


def finish_taking_over(run: RunState, event: StateEdited | RunForked) -> list[RunEvent]:
    """Edit the state, past the reducers, as this is no step's result; or start what had begun in thought only."""
    if not run.taking_over:
        return []
    if isinstance(event, RunForked):
        return _begin(run, event)
    run.state.update(event.changes)
    for key in event.removed:
        run.state.pop(key, None)
    return [event]


def _begin(run: RunState, event: RunForked) -> list[RunEvent]:
    run.taking_over = False
    out: list[RunEvent] = [event]
    for node, wires in _undo_begun(run):
        if node in run.breakpoints and not run.holding:
            run.paused, run.status = True, RunStatus.PAUSED
            hold_queued(run)
            out.append(RunPaused(event.at, run.plan.topology.node_ids[node]))
        begin(run, HeldStep(node, wires), event.at, out)
    return settle(run, event.at, out)


def _undo_begun(run: RunState) -> list[tuple[int, tuple[int, ...]]]:
    """What had begun, in that order, as if it had not; of items that were taken over only the others are left to do."""
    begun = {key: step.wires for key, step in run.running.items() if isinstance(key, int)}
    for node, items in run.items.items():
        begun[node] = items.step.wires
        if items.done:
            run.resumable[node] = items
    run.running.clear()
    run.items.clear()
    last = {node: place for place, node in enumerate(run.path)}
    order = sorted(begun, key=last.__getitem__)
    for node in reversed(order):
        del run.path[last[node]]
        run.visits[node] -= 1
        run.step_status[node] = StepStatus.PENDING
    return [(node, begun[node]) for node in order]
