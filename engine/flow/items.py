"""Steps with ``for_each``: one tool call an item, each a durable step of its own (section 4).

The node's own step begins when its list is known and ends when its items have; it is never sent to a worker. Its end is put
into ``run.derived``, from where ``decide`` takes it as it takes the end of any step.
"""

from __future__ import annotations

from typing import Any

from engine.errors import ExpressionError
from engine.flow.queueing import queue_step
from engine.flow.run_state import HeldStep, Items, RunningStep, RunState
from engine.model.events import RunEvent, StepCompleted, StepFailed, StepStarted

DEFAULT_PARALLEL = 64
"""Items of one step that are under way at once, where ``max_parallel`` is left out; more would only queue."""


def open_items(run: RunState, node: int, step: RunningStep, at: int, out: list[RunEvent]) -> None:
    """Begin the step: find its list and start the first items; or go on with those that a failure left undone."""
    items = run.resumable.pop(node, None)
    if items is not None and items.step.visit == step.visit:
        items.step, items.failure = step, None
    else:
        try:
            items = Items(step, _find_list(run, node))
        except ExpressionError as error:
            items = Items(step, [])
            items.failure = _make_failure(run, node, step, at, error.message, error.code)
    run.items[node] = items
    start_items(run, node, at, out)
    _end_if_over(run, node, at)


def start_items(run: RunState, node: int, at: int, out: list[RunEvent]) -> None:
    """Start as many items as may be under way."""
    if run.taking_over:
        return  # they are taken over, or start when all that is taken over has been
    items = run.items[node]
    definition = run.plan.graph.nodes[node]
    limit = definition.max_parallel or DEFAULT_PARALLEL
    while items.pending and items.open < limit and items.failure is None and not run.holding:
        item = items.pending.popleft()
        items.open += 1
        if definition.resources:
            queue_step(run, HeldStep(node, items.step.wires, items.step.visit, 1, item), at, out)
            continue
        run.running[node, item] = RunningStep(items.step.visit, 1, items.step.wires)
        out.append(StepStarted(at, run.plan.topology.node_ids[node], items.step.visit, 1, item))


def open_item(run: RunState, node: int, item: int) -> RunningStep | None:
    """Begin an item that is taken over, whenever its turn would be; None where it has none."""
    items = run.items.get(node)
    if items is None or item not in items.pending:
        return None
    items.pending.remove(item)
    items.open += 1
    step = run.running[node, item] = RunningStep(items.step.visit, 1, items.step.wires)
    return step


def end_item(run: RunState, node: int, item: int, result: Any, at: int, out: list[RunEvent]) -> None:
    """An item has its result."""
    items = run.items[node]
    items.results[item] = result
    items.done += 1
    items.open -= 1
    start_items(run, node, at, out)
    _end_if_over(run, node, at)


def fail_item(run: RunState, node: int, item: int, event: StepFailed, out: list[RunEvent]) -> None:
    """An item has failed for good: collect the failure as its result, or let the step fail when the others are done."""
    if run.plan.graph.nodes[node].on_item_error == "collect":
        event.handled = True
        end_item(run, node, item, {"error": event.error, "error_type": event.error_type}, event.at, out)
        return
    items = run.items[node]
    items.open -= 1
    items.pending.append(item)
    if items.failure is None:
        items.failure = _make_failure(
            run, node, items.step, event.at, f"item {item}: {event.error}", event.error_type
        )
    _end_if_over(run, node, event.at)


def _find_list(run: RunState, node: int) -> list[Any]:
    expression = run.plan.for_each[node]
    assert expression is not None
    values = expression.evaluate(run.scope(node))
    if not isinstance(values, list):
        raise ExpressionError(
            f"for_each ({expression.text}) must give a list, not {type(values).__name__}", expression.text
        )
    return values


def _end_if_over(run: RunState, node: int, at: int) -> None:
    items = run.items[node]
    if items.open or run.taking_over:  # a step that is taken over ends by that alone
        return
    if items.failure is not None:
        run.derived.append(items.failure)
    elif items.done == len(items.values):
        save_as = run.plan.graph.nodes[node].save_as
        step, results = items.step, items.results
        run.derived.append(
            StepCompleted(
                at=at,
                node=run.plan.topology.node_ids[node],
                visit=step.visit,
                attempt=step.attempt,
                result=results,
                changes={} if save_as is None else {save_as: results},
                duration_us=at - run.started[node],
            )
        )


def _make_failure(run: RunState, node: int, step: RunningStep, at: int, error: str, kind: str) -> StepFailed:
    return StepFailed(
        at=at,
        node=run.plan.topology.node_ids[node],
        visit=step.visit,
        attempt=step.attempt,
        error=error,
        error_type=kind,
        duration_us=at - run.started[node],
    )
