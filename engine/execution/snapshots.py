"""What callers see of a run: taken from its ``RunState`` at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from engine.flow.presenter import describe_resources
from engine.flow.run_state import SKIPPED, TAKEN, RunState, Taken, WaitingStep
from engine.flow.values import copy_json
from engine.model.graph import NodeDefinition
from engine.model.run import CurrentState, RunSnapshot, RunSummary, StepInfo, Waiting, to_datetime
from engine.model.status import StepStatus


def take_snapshot(run: RunState, about: RunSummary, seq: int) -> RunSnapshot:
    """The run as it stands. Values are shared with the run: read only (``own_copy`` gives one to keep)."""
    ids = run.plan.topology.node_ids
    waits = _find_waits(run)
    steps: dict[str, StepInfo] = {}
    pending, running = StepStatus.PENDING, StepStatus.RUNNING
    for node, status in enumerate(run.step_status):
        visit = run.visits[node]
        if status is pending and not visit:
            continue
        items = run.items.get(node)
        origin = _find_origin(run, run.taken, node) if run.taken else None
        steps[ids[node]] = StepInfo(
            ids[node],
            status,
            visit,
            run.attempts[node],
            started_at=to_datetime(run.started[node]) if visit and origin is None else None,
            duration_s=run.durations[node] / 1e6
            if run.finish_order[node] and status is not running
            else None,
            error=run.errors[node],
            items_done=None if items is None else items.done,
            items_total=None if items is None else len(items.values),
            waits_for=waits.get(node),
            taken_from=origin,
            cached_from=_find_origin(run, run.cached, node) if run.cached else None,
            child_run_ids=_list_children(run, node) if node in run.children else (),
        )
    return RunSnapshot(
        run_id=run.run_id,
        graph_id=about.graph_id,
        graph_version=about.graph_version,
        graph_name=about.graph_name,
        status=run.status,
        current_state=CurrentState(dict(run.state), [ids[node] for node in run.path]),
        accepted_at=to_datetime(run.accepted_at),
        started_at=None if run.started_at is None else to_datetime(run.started_at),
        completed_at=None if run.completed_at is None else to_datetime(run.completed_at),
        error_message=run.failure.message if run.failure else run.waiting_for or run.idle_reason,
        steps=steps,
        results={ids[node]: run.results[node] for node, order in enumerate(run.finish_order) if order},
        edges_taken=frozenset(edge for edge, decided in enumerate(run.decided) if decided == TAKEN),
        edges_skipped=frozenset(edge for edge, decided in enumerate(run.decided) if decided == SKIPPED),
        held=tuple(dict.fromkeys(ids[step.node] for step in run.held)) if run.paused else (),
        seq=seq,
        parent_run_id=about.parent_run_id,
        parent_node_id=about.parent_node_id,
        forked_from=about.forked_from,
    )


def _find_waits(run: RunState) -> dict[int, Waiting]:
    """By node, what its step waits for; of many items, the first."""
    waits: dict[int, Waiting] = {}
    for key, step in run.waiting.items():
        node = key[0] if isinstance(key, tuple) else key
        if node not in waits:
            waits[node] = _describe(step, run.plan.graph.nodes[node])
    if run.children:
        for key, running in run.running.items():
            if (child := running.child) is not None:
                node = key[0] if isinstance(key, tuple) else key
                due_at = None if child.due is None else to_datetime(child.due)
                waits.setdefault(node, Waiting("run", due_at=due_at, child_run_id=child.child_run_id))
    return waits


def _find_origin(run: RunState, origins: Mapping[int, Taken], node: int) -> str | None:
    taken = origins.get(node)
    return taken.origin if taken is not None and taken.visit == run.visits[node] else None


def _describe(step: WaitingStep, node: NodeDefinition) -> Waiting:
    if step.queued is not None:
        return Waiting(
            "resources",
            message=describe_resources(node.resources),
            resources=node.resources,
            since=to_datetime(step.queued),
        )
    due_at = None if step.due is None else to_datetime(step.due)
    if step.unsure:
        return Waiting("decision")
    if step.parked is None:
        return Waiting("retry", due_at=due_at)
    if step.parked.signal is None:
        return Waiting("time", due_at=due_at)
    return Waiting("signal", step.parked.signal, step.parked.message, step.parked.schema)


def _list_children(run: RunState, node: int) -> tuple[str, ...]:
    visit, by_item = run.children[node]
    if visit != run.visits[node]:
        return ()
    return tuple(by_item[item] for item in sorted(by_item, key=lambda item: item or 0))


def own_copy(snapshot: RunSnapshot) -> RunSnapshot:
    """The snapshot with values of its own."""
    state = snapshot.current_state
    return replace(
        snapshot,
        current_state=CurrentState(copy_json(state.data), state.execution_path),
        results={node: copy_json(result) for node, result in snapshot.results.items()},
    )
