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
from engine.flow.plan import Plan, Route
from engine.flow.run_state import SKIPPED, TAKEN, UNRESOLVED, Failure, RunningStep, RunState
from engine.flow.state import reduce_value
from engine.flow.topology import NO_LOOP
from engine.model.events import (
    INPUTS,
    STOPPED,
    CancelRequested,
    RunAccepted,
    RunCancelled,
    RunCompleted,
    RunContinued,
    RunEvent,
    RunFailed,
    RunStarted,
    RunSuspended,
    RunWaiting,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepsAbandoned,
    StepSkipped,
    StepStarted,
)
from engine.model.status import RunStatus, StepStatus


def decide(run: RunState, happened: RunEvent) -> list[RunEvent]:
    """Take in one input event and return what is to be recorded: it and all that follows from it, in order.

    An event that no longer applies (a late or repeated report, a cancel of a finished run) gives an empty list.
    """
    if run.status.is_final:
        return []
    match happened:
        case StepCompleted():
            return _complete_step(run, happened)
        case StepFailed():
            return _fail_step(run, happened)
        case RunAccepted():
            return _accept(run, happened)
        case CancelRequested():
            return _cancel(run, happened)
        case StepsAbandoned():
            return _abandon(run, happened)
        case RunContinued():
            return _continue(run, happened)
        case RunSuspended():
            run.suspended = True
            return [happened]
        case RunWaiting():
            run.status, run.waiting_for = RunStatus.WAITING, happened.reason
            return [happened]
        case _:
            raise AssertionError(f"{type(happened).__name__} is decided here, it cannot come from outside")


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
    out: list[RunEvent] = [event]
    if event.refusal is not None:
        run.failure = Failure(event.refusal, event.refused_node)
    else:
        run.status, run.started_at = RunStatus.RUNNING, event.at
        out.append(RunStarted(event.at))
        for node in run.plan.topology.entries:
            _make_ready(run, node, event.at, out)
    return _settle(run, event.at, out)


def _cancel(run: RunState, event: CancelRequested) -> list[RunEvent]:
    if run.cancelling:
        return []
    run.cancelling = True
    run.held.clear()
    return _settle(run, event.at, [event])


def _abandon(run: RunState, event: StepsAbandoned) -> list[RunEvent]:
    if not run.cancelling:
        return []
    out: list[RunEvent] = [event]
    _stop_running(run, event.at, out)
    return _settle(run, event.at, out)


def _continue(run: RunState, event: RunContinued) -> list[RunEvent]:
    """After a restart: a step that had started and has no recorded end is tried again (section 6)."""
    out: list[RunEvent] = [event]
    run.status, run.waiting_for, run.suspended = RunStatus.RUNNING, None, False
    if run.cancelling:
        _stop_running(run, event.at, out)
    for node, step in list(run.running.items()):
        attempt = step.attempt + 1
        run.running[node] = step._replace(attempt=attempt)
        run.attempts[node], run.started[node] = attempt, event.at
        out.append(StepStarted(event.at, run.plan.topology.node_ids[node], step.visit, attempt))
    if not run.holding:
        held, run.held = run.held, []
        for node, wires in held:
            _begin(run, node, wires, event.at, out)
    return _settle(run, event.at, out)


def _stop_running(run: RunState, at: int, out: list[RunEvent]) -> None:
    for node, step in run.running.items():
        run.step_status[node] = StepStatus.CANCELLED
        out.append(StepCancelled(at, run.plan.topology.node_ids[node], step.visit, step.attempt))
    run.running.clear()


def _end(
    run: RunState, status: RunStatus, event: RunCompleted | RunFailed | RunCancelled, out: list[RunEvent]
) -> None:
    run.status, run.completed_at = status, event.at
    out.append(event)


# Steps --------------------------------------------------------------------------------------------------------


def _find_running(run: RunState, event: StepCompleted | StepFailed) -> int | None:
    """The node the report is about, unless the report is late: not running, or not the current attempt."""
    node = run.plan.topology.index[event.node]
    step = run.running.get(node)
    return node if step is not None and (step.visit, step.attempt) == (event.visit, event.attempt) else None


def _complete_step(run: RunState, event: StepCompleted) -> list[RunEvent]:
    node = _find_running(run, event)
    if node is None:
        return []
    try:
        changes = _combine(run, event.changes)
    except ResultError as error:
        failed = StepFailed(
            event.at,
            event.node,
            event.visit,
            event.attempt,
            str(error),
            "ResultError",
            duration_us=event.duration_us,
        )
        return _fail_step(run, failed)
    _finish(run, node, StepStatus.COMPLETED, event.result, None, event.duration_us)
    run.state.update(changes)
    for key in event.removed:
        run.state.pop(key, None)
    out: list[RunEvent] = [event]
    if not run.cancelling and not _check_exits(run, node, event.at, out):
        _route(run, node, run.plan.success[node], run.plan.error[node], event)
    return _settle(run, event.at, out)


def _fail_step(run: RunState, event: StepFailed) -> list[RunEvent]:
    """Error edges first, then ``on_error``, else the run fails (section 4). An error edge handles only if taken."""
    node = _find_running(run, event)
    if node is None:
        return []
    definition, plan = run.plan.graph.nodes[node], run.plan
    stopped = run.cancelling and event.error_type == STOPPED
    status = StepStatus.CANCELLED if stopped else StepStatus.FAILED
    _finish(run, node, status, None, event.error, event.duration_us)
    out: list[RunEvent] = [event]
    if run.cancelling:
        return _settle(run, event.at, out)
    if _would_take(run, node, plan.error[node]):
        event.handled = True
        if not _check_exits(run, node, event.at, out):
            _route(run, node, plan.error[node], plan.success[node], event)
    elif definition.on_error == "continue" and _take_default(run, node):
        event.handled = True
        if not _check_exits(run, node, event.at, out):
            _route(run, node, plan.success[node], plan.error[node], event)
    else:
        _fail_run(run, f'Step "{event.node}" failed: {event.error}', event.node)
    return _settle(run, event.at, out)


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
            _fail_run(run, f"The exit condition {condition.text!r} could not be evaluated: {error}", None)
            return True
        if holds:
            run.held.clear()
            _stop_running(run, at, out)
            _end(run, RunStatus.COMPLETED, RunCompleted(at, condition.text), out)
            return True
    return False


def _fail_run(run: RunState, message: str, node: str | None) -> None:
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


def _would_take(run: RunState, node: int, route: Route) -> bool:
    """Whether any edge holds; a condition that fails counts, so that the failure is reported where it is taken."""
    try:
        return bool(_choose(run, node, route)[0])
    except ExpressionError:
        return True


def _route(run: RunState, node: int, route: Route, other: Route, event: StepCompleted | StepFailed) -> None:
    """Rule 2.2: every edge that holds is taken, the others (those of the ``other`` kind too) are skipped.

    A condition that cannot be evaluated fails the run there, with no edge resolved.
    """
    try:
        taken, skipped = _choose(run, node, route)
    except ExpressionError as error:
        _fail_run(run, f'After step "{event.node}": {error.message}', event.node)
        return
    skipped += other.edges
    event.taken, event.skipped = tuple(taken), tuple(skipped)
    for edge in taken:
        _decide_edge(run, edge, taken=True)
    _skip_edges(run, skipped)
    _leave(run, node)


def _skip_edges(run: RunState, edges: Iterable[int]) -> None:
    for edge in edges:
        _decide_edge(run, edge, taken=False)


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
        _make_ready(run, node, at, out)
    elif not run.unresolved[node]:
        if run.arrived[node] and not needed:
            _make_ready(run, node, at, out)
        else:
            _skip(run, node, at, out)


def _skip(run: RunState, node: int, at: int, out: list[RunEvent]) -> None:
    run.fired[node] = True
    run.step_status[node] = StepStatus.SKIPPED
    out.append(StepSkipped(at, run.plan.topology.node_ids[node]))
    if (loop := run.plan.heads[node]) != NO_LOOP:
        run.open_loops[loop] = True  # its edges out are resolved when it ends, which is at once
        run.idle_loops.add(loop)
    _skip_edges(run, run.plan.topology.outgoing[node])


def _make_ready(run: RunState, node: int, at: int, out: list[RunEvent]) -> None:
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
    _begin(run, node, wires, at, out)


def _begin(run: RunState, node: int, wires: tuple[int, ...], at: int, out: list[RunEvent]) -> None:
    graph = run.plan.graph
    if len(run.path) >= graph.max_steps and not run.holding:
        _fail_run(run, _explain_max_steps(run, node), run.plan.topology.node_ids[node])
    if run.holding:
        run.held.append((node, wires))
        return
    run.visits[node] += 1
    run.attempts[node] = 1
    run.started[node] = at
    run.step_status[node] = StepStatus.RUNNING
    run.running[node] = RunningStep(run.visits[node], 1, wires)
    run.path.append(node)
    out.append(StepStarted(at, run.plan.topology.node_ids[node], run.visits[node], 1))


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


def _settle(run: RunState, at: int, out: list[RunEvent]) -> list[RunEvent]:
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
        _fail_run(run, message[0].upper() + message[1:], topology.node_ids[loop.header])
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
    if run.cancelling:
        _end(run, RunStatus.CANCELLED, RunCancelled(at), out)
    elif run.failure is not None:
        _end(run, RunStatus.FAILED, RunFailed(at, run.failure.message, run.failure.node), out)
    elif not run.held and not run.suspended:
        _end(run, RunStatus.COMPLETED, RunCompleted(at), out)
