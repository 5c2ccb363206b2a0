"""What follows along the edges: which are taken, who becomes ready or is skipped, when a pass of a loop is over.

Called by ``decide``; the numbers of rules are those of docs/runs.md. Costs are those of the edges that are touched.
"""

from __future__ import annotations

from engine.errors import ExpressionError
from engine.flow.items import open_items, start_items
from engine.flow.plan import Route
from engine.flow.queueing import hold_queued, queue_step, takes_tokens, unqueue_step
from engine.flow.run_state import (
    SKIPPED,
    TAKEN,
    UNRESOLVED,
    Failure,
    HeldStep,
    RunningStep,
    RunState,
    StepKey,
)
from engine.flow.topology import NO_LOOP
from engine.model.events import (
    RunCancelled,
    RunCompleted,
    RunEvent,
    RunFailed,
    RunIdled,
    RunPaused,
    RunWoken,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepSkipped,
    StepStarted,
)
from engine.model.run import to_datetime
from engine.model.status import RunStatus, StepStatus


def stop_running(run: RunState, at: int, out: list[RunEvent]) -> None:
    """Everything that is under way or waits ends here."""
    drop_waiting(run, at, out)
    containers: list[tuple[StepKey, RunningStep]] = [(node, items.step) for node, items in run.items.items()]
    for key, step in [*run.running.items(), *containers]:
        _cancel_step(run, key, step.visit, step.attempt, at, out)
    run.running.clear()
    run.idle_children.clear()
    run.items.clear()


def drop_waiting(run: RunState, at: int, out: list[RunEvent]) -> None:
    """What waits or is held will not start."""
    for key, step in run.waiting.items():
        _cancel_step(run, key, step.visit, step.attempt, at, out)
    run.waiting.clear()
    run.held.clear()


def _cancel_step(run: RunState, key: StepKey, visit: int, attempt: int, at: int, out: list[RunEvent]) -> None:
    node, item = key if isinstance(key, tuple) else (key, None)
    run.step_status[node] = StepStatus.CANCELLED
    out.append(StepCancelled(at, run.plan.topology.node_ids[node], visit, attempt, item))


def end_run(
    run: RunState, status: RunStatus, event: RunCompleted | RunFailed | RunCancelled, out: list[RunEvent]
) -> None:
    run.status, run.completed_at = status, event.at
    out.append(event)


def fail_run(run: RunState, message: str, node: str | None) -> None:
    """Nothing new starts; running steps finish and are recorded. The first failure is the run's."""
    if run.failure is None:
        run.failure = Failure(message, node)


# Edges --------------------------------------------------------------------------------------------------------


def _choose(run: RunState, node: int, route: Route) -> tuple[list[int], list[int]]:
    """The route's edges that hold and those that do not, as of now."""
    if not route.conditional:
        return [*route.always, *route.otherwise], []
    scope = run.scope(node, run.results[node])
    held = {edge: condition.holds(scope) for edge, condition in route.conditional}
    otherwise = not any(held.values())
    taken = [*route.always, *(edge for edge, holds in held.items() if holds)]
    skipped = [edge for edge, holds in held.items() if not holds]
    (taken if otherwise else skipped).extend(route.otherwise)
    return taken, skipped


def would_take(run: RunState, node: int, route: Route) -> bool:
    """Whether any edge holds; a condition that fails counts, so that the failure is reported where it is taken."""
    try:
        return bool(_choose(run, node, route)[0])
    except ExpressionError:
        return True


def route(run: RunState, node: int, event: StepCompleted | StepFailed | None, *, failed: bool) -> None:
    """Rule 2.2: every edge of the route that holds is taken, the others (those of the other kind too) are skipped.

    A condition that cannot be evaluated fails the run there, with no edge resolved.
    """
    kinds = run.plan.error[node], run.plan.success[node]
    chosen, other = kinds if failed else kinds[::-1]
    try:
        taken, skipped = _choose(run, node, chosen)
    except ExpressionError as error:
        name = run.plan.topology.node_ids[node]
        fail_run(run, f'After step "{name}": {error.message}', name)
        run.unrouted.append((node, failed))
        return
    skipped += other.edges
    if event is not None:
        event.taken, event.skipped = tuple(taken), tuple(skipped)
    for edge in taken:
        _decide_edge(run, edge, taken=True)
    for edge in skipped:
        _decide_edge(run, edge, taken=False)
    _leave(run, node)


def _decide_edge(run: RunState, edge: int, *, taken: bool) -> None:
    """Rule 2.3: an edge that leaves a loop stands as decided until the loop ends; any other is resolved at once."""
    run.decided[edge] = TAKEN if taken else SKIPPED
    if run.plan.topology.leaves[edge] == NO_LOOP:
        run.todo.append((edge, taken))


def _resolve(run: RunState, edge: int, at: int, out: list[RunEvent], *, taken: bool) -> None:
    """Rule 2.1: a node is ready, or skipped, when enough of its incoming edges are resolved."""
    topology = run.plan.topology
    if topology.is_back[edge]:
        return  # looked at when the pass is over
    node = topology.target[edge]
    run.unresolved[node] -= 1
    run.arrived[node] += taken
    if run.fired[node]:
        return
    needed = run.plan.joins[node]
    if needed and run.arrived[node] >= needed:
        make_ready(run, node, at, out)
    elif not run.unresolved[node]:
        if run.arrived[node] and not needed:
            make_ready(run, node, at, out)
        else:
            _skip(run, node, at, out)


def _skip(run: RunState, node: int, at: int, out: list[RunEvent]) -> None:
    run.fired[node] = True
    run.step_status[node] = StepStatus.SKIPPED
    out.append(StepSkipped(at, run.plan.topology.node_ids[node]))
    if (loop := run.plan.heads[node]) != NO_LOOP:
        run.open_loops[loop] = True  # its edges out are resolved when it ends, which is at once
        run.idle_loops.add(loop)
    for edge in run.plan.topology.outgoing[node]:
        _decide_edge(run, edge, taken=False)


def make_ready(run: RunState, node: int, at: int, out: list[RunEvent]) -> None:
    run.fired[node] = True
    if (loop := run.plan.heads[node]) != NO_LOOP:
        run.open_loops[loop] = True
        run.passes[loop] = 1
    _start(run, node, _find_wires(run, node), at, out)


def _find_wires(run: RunState, node: int) -> tuple[int, ...]:
    edges = run.edges
    return tuple(edge for edge in run.plan.topology.wires[node] if edges[edge] == TAKEN)


def _start(run: RunState, node: int, wires: tuple[int, ...], at: int, out: list[RunEvent]) -> None:
    _enter(run, node)
    if node in run.breakpoints and not (run.holding or run.taking_over):
        run.paused, run.status = True, RunStatus.PAUSED
        hold_queued(run)
        out.append(RunPaused(at, run.plan.topology.node_ids[node]))
    begin(run, HeldStep(node, wires), at, out)


def begin(
    run: RunState,
    step: HeldStep,
    at: int,
    out: list[RunEvent],
    *,
    allowed: bool = False,
    granted: bool = False,
) -> None:
    """Start a step, or its next attempt; or hold it, where nothing may start (``allowed``: this one may).

    One that takes tokens is queued instead, unless they were ``granted``.
    """
    node, wires, visit, attempt, item = step
    graph = run.plan.graph
    if not visit and len(run.path) >= graph.max_steps and not run.holding:
        fail_run(run, _explain_max_steps(run, node), run.plan.topology.node_ids[node])
    if run.holding and not (allowed or (granted and run.failure is None)):
        run.held.append(step)
        return
    if run.idle_reason is not None:
        run.status, run.idle_reason = RunStatus.RUNNING, None
        out.append(RunWoken(at))
    if not granted and takes_tokens(run, node, item):
        queue_step(run, step, at, out)
        return
    if not visit:
        visit = run.visits[node] = run.visits[node] + 1
        run.path.append(node)
    if item is None:
        run.attempts[node] = attempt
        run.started[node] = at
        run.step_status[node] = StepStatus.RUNNING
    started = RunningStep(visit, attempt, wires)
    if not run.taking_over:
        out.append(StepStarted(at, run.plan.topology.node_ids[node], visit, attempt, item))
    if item is not None:
        run.running[node, item] = started
    elif run.plan.for_each[node] is None:
        run.running[node] = started
    else:
        open_items(run, node, started, at, out)


def release_held(run: RunState, at: int, out: list[RunEvent]) -> None:
    """Start what was held, if anything may start now."""
    held, run.held = run.held, []
    for step in held:
        begin(run, step, at, out)
    for node in run.items:
        start_items(run, node, at, out)


def _explain_max_steps(run: RunState, node: int) -> str:
    topology = run.plan.topology
    message = f"The run reached its limit of {run.plan.graph.max_steps:,} steps (max_steps)"
    if (loop := topology.loop_of[node]) != NO_LOOP:
        message += f" in {topology.describe_loop(topology.loops[loop])}"
    return f"{message}."


# Loops --------------------------------------------------------------------------------------------------------


def _enter(run: RunState, node: int) -> None:
    """Count the node as active in its loops; an inner loop counts once in the loop around it."""
    loop = run.plan.topology.loop_of[node]
    while loop != NO_LOOP:
        run.busy[loop] += 1
        if run.busy[loop] > 1:
            return
        loop = run.plan.topology.loops[loop].parent


def _leave(run: RunState, node: int) -> None:
    loop = run.plan.topology.loop_of[node]
    while loop != NO_LOOP:
        run.busy[loop] -= 1
        if run.busy[loop]:
            return
        run.idle_loops.add(loop)
        loop = run.plan.topology.loops[loop].parent


def settle(run: RunState, at: int, out: list[RunEvent]) -> list[RunEvent]:
    """Resolve edges and end passes until nothing follows any more; then see whether the run is over."""
    while not run.status.is_final:
        if run.todo:
            todo, run.todo = run.todo, []
            # First all of them, so that a node that starts at the first is given the values of all.
            for edge, taken in todo:
                run.edges[edge] = TAKEN if taken else SKIPPED
            for edge, taken in todo:
                _resolve(run, edge, at, out, taken=taken)
        elif run.idle_loops:
            # Innermost first: the end of an inner loop can bring the loop around it to life again.
            loop = max(run.idle_loops, key=lambda index: (run.plan.topology.loops[index].depth, index))
            run.idle_loops.discard(loop)
            if run.open_loops[loop] and not run.busy[loop]:
                _end_pass(run, loop, at, out)
        else:
            break
    if not run.running and not run.status.is_final:
        _end_if_over(run, at, out)
    elif run.idle_children and len(run.idle_children) == len(run.running):
        _idle_with_children(run, at, out)
    return out


def _end_pass(run: RunState, index: int, at: int, out: list[RunEvent]) -> None:
    """Rule 2.3: a taken back edge starts the next pass; without one the loop ends and its edges out are resolved."""
    topology = run.plan.topology
    loop = topology.loops[index]
    if all(run.edges[edge] != TAKEN for edge in loop.back_edges):
        run.open_loops[index] = False
        run.todo.extend((edge, run.decided[edge] == TAKEN) for edge in loop.exits)
        return
    limit = run.plan.graph.max_iterations
    wires = _find_wires(run, loop.header)
    if run.passes[index] >= limit and not run.holding:
        message = f"{topology.describe_loop(loop)} reached its limit of {limit:,} passes (max_iterations)."
        fail_run(run, message[0].upper() + message[1:], topology.node_ids[loop.header])
    run.passes[index] += 1
    for edge in loop.edges:
        run.edges[edge] = run.decided[edge] = UNRESOLVED
    for node in loop.body[1:]:
        run.fired[node] = False
        run.unresolved[node] = topology.incoming[node]
        run.arrived[node] = 0
        run.step_status[node] = StepStatus.PENDING
    for inner in loop.inner:
        run.open_loops[inner] = False
    _start(run, loop.header, wires, at, out)


def _end_if_over(run: RunState, at: int, out: list[RunEvent]) -> None:
    """Rule 2.5: nothing is running; if nothing is ready either, or nothing may start, the run is over."""
    if run.taking_over:
        return
    if run.cancelling:
        stop_running(run, at, out)
        end_run(run, RunStatus.CANCELLED, RunCancelled(at), out)
    elif run.failure is not None:
        _put_aside(run, at, out)
        end_run(run, RunStatus.FAILED, RunFailed(at, run.failure.message, run.failure.node), out)
    elif not (run.held or run.waiting or run.items or run.derived or run.suspended):
        end_run(run, RunStatus.COMPLETED, RunCompleted(at), out)
    elif run.status is RunStatus.RUNNING and run.waiting and not (run.held or run.derived or run.suspended):
        _idle(run, at, out)


def _idle_with_children(run: RunState, at: int, out: list[RunEvent]) -> None:
    """All that runs are other runs, and all of them wait."""
    is_open = run.held or run.derived or run.suspended or run.cancelling or run.failure is not None
    if run.status is RunStatus.RUNNING and not is_open:
        _idle(run, at, out)


def _idle(run: RunState, at: int, out: list[RunEvent]) -> None:
    """Nothing runs: if only steps that wait for something from outside are left, the run waits, and says for what."""
    reasons = []
    for key, step in run.waiting.items():
        if not step.is_long:
            return
        name = run.plan.topology.node_ids[key[0] if isinstance(key, tuple) else key]
        if step.unsure:
            reasons.append(
                f'"{name}" was interrupted; decide whether to run it again, give its result, or let it fail'
            )
        elif step.parked is not None and step.parked.signal is not None:
            reasons.append(step.parked.message or f'"{name}" waits for the signal "{step.parked.signal}"')
        else:
            reasons.append(f'"{name}" waits until {to_datetime(step.due or 0).isoformat(timespec="seconds")}')
    for key, reason in run.idle_children.items():
        name = run.plan.topology.node_ids[key[0] if isinstance(key, tuple) else key]
        reasons.append(f'"{name}" runs a workflow that waits: {reason}')
    run.status, run.idle_reason = RunStatus.WAITING, "; ".join(reasons[:3])
    out.append(RunIdled(at, run.idle_reason))


def _put_aside(run: RunState, at: int, out: list[RunEvent]) -> None:
    """What waits in a run that fails is put where a retry of the run finds it; nothing is left waiting."""
    for key, step in list(run.waiting.items()):
        if step.is_long:
            continue  # it still waits when the run is retried
        if step.queued is not None:
            _cancel_step(run, key, step.visit, step.attempt, at, out)
            if not isinstance(key, tuple):
                run.held.append(unqueue_step(run, key))
                continue
        del run.waiting[key]
        if isinstance(key, tuple):
            items = run.items[key[0]]
            items.open -= 1
            items.pending.append(key[1])
        else:
            run.broken_off.append(HeldStep(key, step.wires, step.visit, step.attempt))
            run.step_status[key] = StepStatus.FAILED
    for node, items in run.items.items():
        visit, attempt, wires, _ = items.step
        run.step_status[node] = StepStatus.CANCELLED
        out.append(StepCancelled(at, run.plan.topology.node_ids[node], visit, attempt))
        run.broken_off.append(HeldStep(node, wires, visit, attempt + 1))
    run.resumable.update(run.items)
    run.items.clear()
