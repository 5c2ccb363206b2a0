"""Making a fork: what of an older run it takes over, and the events that it begins with. Pure, as ``decide`` is.

The rule is that of docs/runs.md, section 8: what the journal had recorded before the chosen step started is taken over,
in that order, and the fork's own graph must come to each of these steps as the old run did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from engine.errors import ValidationError
from engine.flow.decide import decide
from engine.flow.plan import Plan
from engine.flow.run_state import RunState
from engine.model.events import (
    INPUTS,
    FailureTakenOver,
    RunAccepted,
    RunEvent,
    RunForked,
    RunRetried,
    StateEdited,
    StepCompleted,
    StepFailed,
    StepRetrying,
    StepStarted,
    StepTakenOver,
)
from engine.model.problem import Problem, Severity

_End: TypeAlias = StepCompleted | StepFailed
_Kept: TypeAlias = _End | RunRetried | StateEdited


@dataclass(slots=True)
class Origin:
    """A run up to the start of one of its steps: ``recorded`` is what a fork from there takes over, in order.

    ``node`` and ``visit`` are None where it is taken up to its own start.
    """

    run_id: str
    initial_state: dict[str, Any]
    node: str | None = None
    visit: int | None = None
    recorded: list[_Kept] = field(default_factory=list)


def find_origin(
    run_id: str, plan: Plan, events: Sequence[RunEvent], node: str | None, visit: int | None = None
) -> Origin:
    """What the run had recorded when the node started for this ``visit``, by default for its latest.

    Raises:
        ValidationError: it was never started there.
    """
    accepted = next(event for event in events if isinstance(event, RunAccepted))
    if node is None:
        return Origin(run_id, accepted.initial_state)
    really, visits = _find_visits(events, node)
    if node not in plan.topology.index:
        raise _refusal("unknown-node", f'the run\'s graph has no node "{node}"', node)
    if not visits:
        raise _refusal(
            "not-started", f'the run never started "{node}"; fork it from a step that it started', node
        )
    if visit is None:
        visit = max(visits)
    elif visit not in visits:
        times = "once" if max(visits) == 1 else f"{max(visits)} times"
        raise _refusal(
            "no-such-visit", f'the run started "{node}" {times}; it has no visit {visit}', node, "visit"
        )
    recorded = _replay(RunState(run_id, plan), events, node, visit, really=visit in really)
    return Origin(run_id, accepted.initial_state, node, visit, recorded)


def _find_visits(events: Iterable[RunEvent], node: str) -> tuple[set[int], set[int]]:
    """The node's visits that were really started, and all of them: a fork has some that it took over."""
    really, every = set(), set()
    for event in events:
        if isinstance(event, StepStarted | StepTakenOver | FailureTakenOver) and event.node == node:
            every.add(event.visit)
            if isinstance(event, StepStarted):
                really.add(event.visit)
    return really, every


def _replay(run: RunState, events: Iterable[RunEvent], node: str, visit: int, *, really: bool) -> list[_Kept]:
    """Go the run's way again until the step starts, or begins in thought, and gather what was final by then."""
    place = run.plan.topology.index[node]
    kept: dict[object, _Kept] = {}
    for number, event in enumerate(events):
        if not isinstance(event, INPUTS):
            continue
        was_unrouted = bool(run.unrouted)
        for fact in decide(run, event):
            match fact:
                case StepStarted(node=name, visit=count, item=None) if (name, count) == (node, visit):
                    return list(kept.values())
                case StepStarted() | StepRetrying() | StepCompleted() | StepFailed():
                    step = fact.node, fact.visit, fact.item
                    kept.pop(step, None)  # an earlier try
                    if isinstance(fact, StepCompleted) or (isinstance(fact, StepFailed) and fact.handled):
                        kept[step] = fact
                case StateEdited():
                    kept[number] = fact
                case RunRetried() if was_unrouted:  # its edges were evaluated again then
                    kept[number] = fact
                case _:
                    pass
        if not really and run.visits[place] >= visit:
            break
    return list(kept.values())


def begin_taking_over(run: RunState, accepted: RunAccepted, origin: Origin) -> list[RunEvent]:
    """Let a new run take over all that it may; the events so far. Steps of nodes that its graph no longer has are left out.

    Raises:
        ValidationError: its graph does not go the way of the old run up to there; it names the step that differs.
    """
    events = decide(run, accepted)
    index, before = run.plan.topology.index, ""
    for recorded in origin.recorded:
        happened = _take(recorded, origin.run_id, accepted.at)
        if isinstance(happened, StepTakenOver | FailureTakenOver) and happened.node not in index:
            continue
        facts = decide(run, happened)
        if isinstance(happened, StepTakenOver | FailureTakenOver):
            if (
                not facts
                or facts[0] is not happened
                or (isinstance(happened, StepFailed) and not happened.handled)
            ):
                raise _explain_difference(accepted, happened, facts, before)
            before = f' after "{happened.node}"'
        events += facts
    node = origin.node
    if node is not None and node not in index:
        raise _refusal(
            "unknown-node",
            f'version {accepted.graph_version} of "{accepted.graph_name}" has no node "{node}": '
            "fork from an earlier step, or take the version that ran",
            node,
        )
    if run.failure is not None:
        raise _refusal(
            "run-fails", f"the fork would fail before it begins: {run.failure.message}", run.failure.node
        )
    if not (run.running or run.items):
        raise _refusal(
            "run-ends",
            f'version {accepted.graph_version} of "{accepted.graph_name}" ends{before} and does not come to "{node}"',
            node,
        )
    return events


def go_on(
    run: RunState, origin: Origin, at: int, changes: dict[str, Any], removed: Sequence[str]
) -> list[RunEvent]:
    """Edit the state, where that is wanted, and start what is to be run."""
    edits = decide(run, StateEdited(at, changes, tuple(removed))) if changes or removed else []
    return edits + decide(run, RunForked(at, origin.node, origin.visit))


def _take(
    recorded: _Kept, run_id: str, at: int
) -> StepTakenOver | FailureTakenOver | RunRetried | StateEdited:
    match recorded:
        case RunRetried():
            return RunRetried(at)
        case StateEdited():
            return StateEdited(at, recorded.changes, recorded.removed)
        case _:
            pass
    origin, recorded_at = run_id, recorded.at
    if isinstance(
        recorded, StepTakenOver | FailureTakenOver
    ):  # a fork of a fork: it says where the step really ran
        origin, recorded_at = recorded.origin, recorded.recorded_at
    if isinstance(recorded, StepCompleted):
        return StepTakenOver(
            at=at,
            node=recorded.node,
            visit=recorded.visit,
            attempt=1,
            result=recorded.result,
            changes=recorded.changes,
            removed=recorded.removed,
            duration_us=recorded.duration_us,
            item=recorded.item,
            cached_from=recorded.cached_from,
            origin=origin,
            recorded_at=recorded_at,
        )
    return FailureTakenOver(
        at=at,
        node=recorded.node,
        visit=recorded.visit,
        attempt=1,
        error=recorded.error,
        error_type=recorded.error_type,
        trace=recorded.trace,
        duration_us=recorded.duration_us,
        item=recorded.item,
        origin=origin,
        recorded_at=recorded_at,
    )


def _explain_difference(
    accepted: RunAccepted, step: StepTakenOver | FailureTakenOver, facts: Sequence[RunEvent], before: str
) -> ValidationError:
    name = f'"{step.node}"' if step.item is None else f'item {step.item} of "{step.node}"'
    version = f'version {accepted.graph_version} of "{accepted.graph_name}"'
    match facts:
        case [StepTakenOver() | FailureTakenOver(), *_]:
            why = f"{version} does not handle the failure of {name}"
        case [StepFailed(error=error), *_]:
            why = f"{version} cannot take in what {name} gave: {error}"
        case _:
            why = f"{version} does not come to {name}{before}, as the run did"
    return _refusal(
        "other-way",
        f'{why}; fork from "{step.node}" or an earlier step, or take the version that ran',
        step.node,
    )


def _refusal(code: str, message: str, node: str | None, field: str = "node_id") -> ValidationError:
    return ValidationError(message, [Problem(Severity.ERROR, code, message, node_id=node, field=field)])
