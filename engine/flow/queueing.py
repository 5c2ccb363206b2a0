"""Steps that wait for the tokens of their resources (section 4 of docs/runs.md). Called by ``decide``.

Such a step has not started: it has no visit yet, and a crash leaves nothing of it to ask about. Who is granted what, and
when, is for the owner of the tokens to say, who knows all runs; it comes in as ``ResourcesGranted``.
"""

from __future__ import annotations

from engine.flow.run_state import HeldStep, RunState, StepKey, WaitingStep
from engine.model.events import RunEvent, StepQueued
from engine.model.status import StepStatus


def takes_tokens(run: RunState, node: int, item: int | None) -> bool:
    """Whether the step needs tokens before it starts. Of a step with ``for_each``, its items do; what a fork takes over
    does not.
    """
    if not run.plan.graph.nodes[node].resources or run.taking_over:
        return False
    return item is not None or run.plan.for_each[node] is None


def queue_step(run: RunState, step: HeldStep, at: int, out: list[RunEvent]) -> None:
    """Have the step wait for its tokens. A new one is named by the visit that it will be."""
    node, wires, visit, attempt, item = step
    visit = visit or run.visits[node] + 1
    definition = run.plan.graph.nodes[node]
    run.waiting[node if item is None else (node, item)] = WaitingStep(visit, attempt, wires, queued=at)
    if item is None:
        run.step_status[node] = StepStatus.WAITING
    out.append(StepQueued(at, definition.id, visit, attempt, dict(definition.resources), item))


def unqueue_step(run: RunState, key: StepKey) -> HeldStep:
    """Take a step out of those that wait: as it was before it was queued."""
    step = run.waiting.pop(key)
    node, item = key if isinstance(key, tuple) else (key, None)
    is_new = step.visit > run.visits[node]
    if is_new:
        run.step_status[node] = StepStatus.PENDING
    return HeldStep(node, step.wires, 0 if is_new else step.visit, step.attempt, item)


def hold_queued(run: RunState) -> None:
    """A run that may start nothing stands in no queue: its steps are held, and queue again when it goes on."""
    queued = [key for key, step in run.waiting.items() if step.queued is not None]
    run.held[:0] = [unqueue_step(run, key) for key in queued]


def may_be_granted(run: RunState) -> bool:
    """Whether a step that is queued may start. In a paused run, only one that was allowed to is queued."""
    return run.failure is None and not run.cancelling and not run.suspended
