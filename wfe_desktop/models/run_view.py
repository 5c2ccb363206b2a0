"""What the canvas and the timeline show of one run: its steps and edges, folded from events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from engine.flow.presenter import describe_resources
from engine.model.events import (
    STOPPED,
    ChildStarted,
    FailureTakenOver,
    JournalEntry,
    RunCancelled,
    RunCompleted,
    RunContinued,
    RunEvent,
    RunFailed,
    RunIdled,
    RunPaused,
    RunResumed,
    RunRetried,
    RunStarted,
    RunWaiting,
    RunWoken,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepParked,
    StepQueued,
    StepRetrying,
    StepSkipped,
    StepStarted,
    StepTakenOver,
    StepUnsure,
)
from engine.model.graph import GraphDefinition
from engine.model.run import RunSnapshot, StepInfo, to_microseconds
from engine.model.status import RunStatus, StepStatus

EdgeKey = tuple[str, str, str, str | None, str | None]
EdgeMark = Literal["taken", "skipped"]
MOST_SPANS = 5_000


@dataclass(frozen=True, slots=True)
class StepView:
    """Where a node stands. ``started_us`` is microseconds since 1970; ``duration_s`` of the latest finished step.

    ``about``: what it waits for, or where its result is from, in a few words.
    ``is_held``: it would start now, were the run not paused. ``taken_from``: the run in which it ran, where this one has it
    from another. ``items_done`` of ``items_total`` while items of a ``for_each`` are under way; ``runs_child``: it waits
    for a run of another workflow.
    """

    status: StepStatus
    visit: int = 0
    attempt: int = 0
    started_us: int | None = None
    duration_s: float | None = None
    error: str | None = None
    is_held: bool = False
    items_done: int | None = None
    items_total: int | None = None
    runs_child: bool = False
    taken_from: str | None = None
    about: str = ""


@dataclass(slots=True)
class Span:
    """One visit on the timeline. ``ended_us`` is None while it runs."""

    node: str
    visit: int
    started_us: int
    ended_us: int | None = None
    status: StepStatus = StepStatus.RUNNING


@dataclass(slots=True)
class Changes:
    """What a fold has changed: nodes and edges with how they stand now."""

    nodes: dict[str, StepView] = field(default_factory=dict)
    edges: dict[EdgeKey, EdgeMark] = field(default_factory=dict)
    status_changed: bool = False


def is_of_item(event: RunEvent) -> bool:
    """Whether it tells of one item of a step with ``for_each``, not of the step itself."""
    return getattr(event, "item", None) is not None


def _describe_step(step: StepInfo) -> str:
    waits = step.waits_for
    return (
        f"waits for {waits.message}" if waits and waits.kind == "resources" else _kept_from(step.cached_from)
    )


def _kept_from(run_id: str | None) -> str:
    return f"kept result of run …{run_id[-4:]}" if run_id is not None else ""


class RunView:
    """One run of one version of a graph. Feed it a snapshot, then events; it leaves out those the snapshot has."""

    def __init__(self, run_id: str, graph: GraphDefinition) -> None:
        self.run_id = run_id
        self.graph = graph
        self.status = RunStatus.PENDING
        self.error: str | None = None
        self.started_us: int | None = None
        self.ended_us: int | None = None
        self.nodes: dict[str, StepView] = {}
        self.edges: dict[EdgeKey, EdgeMark] = {}
        self.spans: list[Span] = []
        self.seq = 0
        self._running: dict[str, Span] = {}
        self._outgoing: dict[str, list[EdgeKey]] = {}
        for edge in graph.edges:
            self._outgoing.setdefault(edge.from_node, []).append(edge.key)

    def load(self, snapshot: RunSnapshot) -> None:
        """Stand where the snapshot stands."""
        self.status, self.error, self.seq = snapshot.status, snapshot.error_message, snapshot.seq
        self.started_us = to_microseconds(snapshot.started_at) if snapshot.started_at else None
        self.ended_us = to_microseconds(snapshot.completed_at) if snapshot.completed_at else None
        self.nodes = {
            node_id: StepView(
                status=step.status,
                visit=step.visit,
                attempt=step.attempt,
                started_us=to_microseconds(step.started_at) if step.started_at else None,
                duration_s=step.duration_s,
                error=step.error,
                taken_from=step.taken_from,
                items_done=step.items_done,
                items_total=step.items_total,
                runs_child=step.waits_for is not None and step.waits_for.kind == "run",
                about=_describe_step(step),
            )
            for node_id, step in snapshot.steps.items()
        }
        self.hold(snapshot.held)
        keys = [edge.key for edge in self.graph.edges]
        self.edges = {keys[i]: "skipped" for i in snapshot.edges_skipped if i < len(keys)}
        self.edges.update({keys[i]: "taken" for i in snapshot.edges_taken if i < len(keys)})

    def hold(self, node_ids: Iterable[str]) -> Changes:
        """The paused run holds these nodes and no others. Events name only the breakpoint it came to."""
        changes, held = Changes(), set(node_ids)
        for node_id, view in list(self.nodes.items()):
            if view.is_held and node_id not in held:
                self._set(changes, node_id, replace(view, is_held=False))
        for node_id in held:
            view = self.nodes.get(node_id, StepView(StepStatus.PENDING))
            if not view.is_held:
                self._set(changes, node_id, replace(view, is_held=True))
        return changes

    def count_items(self, snapshot: RunSnapshot) -> Changes:
        """Take over how many items of each step are done, which no event says."""
        changes = Changes()
        for node_id, step in snapshot.steps.items():
            view = self.nodes.get(node_id)
            if view is None or (view.visit, view.attempt, view.status) != (
                step.visit,
                step.attempt,
                step.status,
            ):
                continue  # it has gone on since
            if (view.items_done, view.items_total) != (step.items_done, step.items_total):
                counted = replace(view, items_done=step.items_done, items_total=step.items_total)
                self._set(changes, node_id, counted)
        return changes

    def load_spans(self, entries: Iterable[JournalEntry]) -> None:
        """Build the timeline from the run's own events."""
        self.spans, self._running = [], {}
        for entry in entries:
            if not is_of_item(entry.event):
                self._fold_span(entry)

    def fold(self, entries: Iterable[JournalEntry]) -> Changes:
        """Take events of this run in; those of other runs and those that are included already are left out."""
        changes = Changes()
        for entry in entries:
            if entry.run_id == self.run_id and entry.seq > self.seq:
                self.seq = entry.seq
                if is_of_item(entry.event):
                    continue
                self._fold_span(entry)
                self._fold(entry, changes)
        return changes

    def _fold(self, entry: JournalEntry, changes: Changes) -> None:
        match entry.event:
            case StepStarted(node=node, visit=visit, attempt=attempt, at=at):
                self._set(changes, node, StepView(StepStatus.RUNNING, visit, attempt, at))
            case StepCompleted() as done:
                view = StepView(
                    StepStatus.COMPLETED,
                    done.visit,
                    done.attempt,
                    self._began(done.node),
                    done.duration_us / 1e6,
                    taken_from=done.origin if isinstance(done, StepTakenOver) else None,
                    about=_kept_from(done.cached_from),
                )
                self._set(changes, done.node, view)
                self._mark(changes, done.taken, done.skipped)
            case StepFailed() as bad:
                status = StepStatus.CANCELLED if bad.error_type == STOPPED else StepStatus.FAILED
                view = StepView(
                    status,
                    bad.visit,
                    bad.attempt,
                    self._began(bad.node),
                    bad.duration_us / 1e6,
                    bad.error,
                    taken_from=bad.origin if isinstance(bad, FailureTakenOver) else None,
                )
                self._set(changes, bad.node, view)
                self._mark(changes, bad.taken, bad.skipped)
            case (
                StepRetrying(node=node, visit=visit, attempt=attempt)
                | StepParked(node=node, visit=visit, attempt=attempt)
                | ChildStarted(node=node, visit=visit, attempt=attempt)
                | StepUnsure(node=node, visit=visit, attempt=attempt)
            ):
                view = replace(
                    self.nodes[node],
                    status=StepStatus.WAITING,
                    visit=visit,
                    attempt=attempt,
                    runs_child=isinstance(entry.event, ChildStarted),
                )
                self._set(changes, node, view)
            case StepQueued(node=node, visit=visit, attempt=attempt, resources=wanted):
                about = f"waits for {describe_resources(wanted)}"
                self._set(changes, node, StepView(StepStatus.WAITING, visit, attempt, about=about))
            case StepSkipped(node=node):
                before = self.nodes.get(node)
                self._set(changes, node, StepView(StepStatus.SKIPPED, before.visit if before else 0))
                for key in self._outgoing.get(node, ()):
                    self.edges[key] = changes.edges[key] = "skipped"
            case StepCancelled(node=node, visit=visit, attempt=attempt):
                self._set(changes, node, StepView(StepStatus.CANCELLED, visit, attempt, self._began(node)))
            case _:
                self._fold_run(entry, changes)

    def _fold_run(self, entry: JournalEntry, changes: Changes) -> None:
        match entry.event:
            case RunStarted(at=at):
                self.started_us = at
                self._stand(changes, RunStatus.RUNNING)
            case RunContinued() | RunResumed():
                self._stand(changes, RunStatus.RUNNING)
                changes.nodes.update(self.hold(()).nodes)
            case RunRetried():
                self.error = self.ended_us = None
                self._stand(changes, RunStatus.RUNNING)
            case RunPaused(node=node):
                self._stand(changes, RunStatus.PAUSED)
                changes.nodes.update(self.hold([node] if node is not None else []).nodes)
            case RunWaiting() | RunIdled():
                self._stand(changes, RunStatus.WAITING)
            case RunWoken() if self.status is RunStatus.WAITING:
                self._stand(changes, RunStatus.RUNNING)
            case RunCompleted(at=at):
                self._end(changes, RunStatus.COMPLETED, at)
            case RunFailed(at=at, error=error):
                self.error = error
                self._end(changes, RunStatus.FAILED, at)
            case RunCancelled(at=at):
                self._end(changes, RunStatus.CANCELLED, at)
            case _:
                pass

    def _set(self, changes: Changes, node: str, view: StepView) -> None:
        self.nodes[node] = changes.nodes[node] = view

    def _began(self, node: str) -> int | None:
        before = self.nodes.get(node)
        return before.started_us if before else None

    def _mark(self, changes: Changes, taken: Iterable[int], skipped: Iterable[int]) -> None:
        marks: tuple[tuple[Iterable[int], EdgeMark], ...] = ((skipped, "skipped"), (taken, "taken"))
        for indexes, mark in marks:
            for i in indexes:
                if i < len(self.graph.edges):
                    key = self.graph.edges[i].key
                    self.edges[key] = changes.edges[key] = mark

    def _stand(self, changes: Changes, status: RunStatus) -> None:
        self.status = status
        changes.status_changed = True

    def _end(self, changes: Changes, status: RunStatus, at: int) -> None:
        self.ended_us = at
        self._stand(changes, status)
        changes.nodes.update(self.hold(()).nodes)

    def _fold_span(self, entry: JournalEntry) -> None:
        match entry.event:
            case StepStarted(node=node, visit=visit, at=at):
                if len(self.spans) < MOST_SPANS:
                    span = Span(node, visit, at)
                    self.spans.append(span)
                    self._running[node] = span
            case StepCompleted(node=node, at=at):
                self._end_span(node, at, StepStatus.COMPLETED)
            case StepFailed(node=node, at=at, error_type=kind):
                self._end_span(node, at, StepStatus.CANCELLED if kind == STOPPED else StepStatus.FAILED)
            case StepCancelled(node=node, at=at):
                self._end_span(node, at, StepStatus.CANCELLED)
            case _:
                pass

    def _end_span(self, node: str, at: int, status: StepStatus) -> None:
        span = self._running.pop(node, None)
        if span is not None:
            span.ended_us, span.status = at, status
