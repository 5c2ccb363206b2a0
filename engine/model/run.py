"""What callers are given when they ask about runs and graphs. Plain immutable data; times are aware UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from engine.model.graph import Durability
from engine.model.status import RunStatus, StepStatus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_datetime(at_us: int) -> datetime:
    """Microseconds since 1970 UTC as an aware datetime, exactly."""
    return _EPOCH + timedelta(microseconds=at_us)


def to_microseconds(at: datetime) -> int:
    """An aware datetime as microseconds since 1970 UTC, exactly."""
    return (at - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class CurrentState:
    """``data`` is the run's state; ``execution_path`` the node ids in the order in which their steps started."""

    data: dict[str, Any]
    execution_path: list[str]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a step waits for. ``due_at`` is when it goes on by itself: at a ``time``, or with its next try (``retry``).

    ``signal`` is the name of the signal that it asked for, ``message`` what it asks, and ``schema`` the JSON Schema of
    the answer, shared with the run: read only. A ``decision`` is about a step that was interrupted. A ``run`` is that of
    another graph, ``child_run_id``; if it has not ended at ``due_at``, the step fails. ``resources`` are the tokens that a
    step which is to start has waited for ``since`` then.
    """

    kind: Literal["signal", "time", "decision", "retry", "run", "resources"]
    signal: str | None = None
    message: str = ""
    schema: Mapping[str, Any] | None = None
    due_at: datetime | None = None
    child_run_id: str | None = None
    resources: Mapping[str, int] | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """How a resource stands: ``in_use`` of its ``limit`` tokens are taken, and ``waiting`` steps want some.

    ``abandoned`` of those in use are held by calls that were given up, timed out for one, and have not returned yet.
    """

    limit: int
    in_use: int
    abandoned: int
    waiting: int


class StepInfo(NamedTuple):
    """Where one node stands in a run. ``visit`` counts its starts; times are of its latest step.

    ``items_done`` of ``items_total`` while the items of a ``for_each`` are under way; ``waits_for`` is what the first
    of them that waits is waiting for. ``child_run_ids`` are the runs of another graph that the step has started in this
    visit, in the order of its items; of those that were tried again, the latest. ``taken_from`` is the run in
    which the step really ran, where this one took it over; ``cached_from`` that in which its result was made, where it
    had been kept and the tool was not called.
    """

    node_id: str
    status: StepStatus
    visit: int = 0
    attempt: int = 0
    started_at: datetime | None = None
    duration_s: float | None = None
    error: str | None = None
    items_done: int | None = None
    items_total: int | None = None
    waits_for: Waiting | None = None
    taken_from: str | None = None
    child_run_ids: tuple[str, ...] = ()
    cached_from: str | None = None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One attempt of a step, or of an ``item`` of it (from 0), as the journal tells it. Shared values: read only.

    ``waiting``: it is due at ``due_at``. A skipped node has neither a start nor a visit. ``taken_from`` is the run in
    which it ran, where this one took it over; its times are of then. ``result_omitted``: in a page of steps, a result that
    is too large for it. ``child_run_id`` is the run of another graph that it started. ``cached_from`` is the run in which
    the result was made, where it had been kept and the tool was not called.
    """

    node_id: str
    visit: int
    attempt: int
    item: int | None
    status: StepStatus
    started_at: datetime | None = None
    completed_at: datetime | None = None
    due_at: datetime | None = None
    duration_s: float | None = None
    error: str | None = None
    error_type: str | None = None
    result: Any = None
    taken_from: str | None = None
    result_omitted: bool = False
    child_run_id: str | None = None
    cached_from: str | None = None


@dataclass(frozen=True, slots=True)
class StepPage:
    """A part of the steps of a run, in the order in which they began."""

    steps: list[StepRecord]
    total_count: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class StepInputs:
    """What an attempt of a step was given as it started. Not shared: the caller's own.

    ``arguments`` are by parameter, as they were found: wires, expressions, literal values and keys of the state, before they
    were made the types that the tool asks for; defaults of the function are not among them. ``state`` is what a tool was
    given that takes the state. ``items`` is the list of a step with ``for_each``, whose items are steps of their own.
    ``error`` says why there was nothing to be given.
    """

    node_id: str
    visit: int
    attempt: int
    item: int | None
    arguments: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] | None = None
    items: list[Any] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """A run as it stood at one moment. ``seq`` is the last event of the journal that it includes.

    ``steps`` has an entry for every node that was started or skipped; ``edges_taken`` and ``edges_skipped`` are
    indexes into the graph version's edges, as last decided. ``results`` are the nodes' latest results. ``held`` are
    the nodes that would start next, were the run not paused: the first of them at a single step. ``parent_run_id`` and
    ``parent_node_id`` name the step that runs this graph, where one does; ``forked_from`` the run whose steps this one took
    over. A step that was taken over did not start here: it has no ``started_at``.
    """

    run_id: str
    graph_id: str
    graph_version: int
    graph_name: str
    status: RunStatus
    current_state: CurrentState
    accepted_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    error_message: str | None
    steps: Mapping[str, StepInfo] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    edges_taken: frozenset[int] = frozenset()
    edges_skipped: frozenset[int] = frozenset()
    held: tuple[str, ...] = ()
    seq: int = 0
    parent_run_id: str | None = None
    parent_node_id: str | None = None
    forked_from: str | None = None

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None while it has not ended."""
        if self.started_at is None or self.completed_at is None:
            return None
        return (self.completed_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A line of the history.

    ``parent_run_id`` and ``parent_node_id`` name the step that runs this graph; ``forked_from`` the run whose steps this
    one took over.
    """

    run_id: str
    graph_id: str
    graph_version: int
    graph_name: str
    status: RunStatus
    accepted_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    error_message: str | None
    step_count: int
    parent_run_id: str | None = None
    parent_node_id: str | None = None
    forked_from: str | None = None
    idempotency_key: str | None = None
    durability: Durability = "strict"

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None while it has not ended."""
        if self.started_at is None or self.completed_at is None:
            return None
        return (self.completed_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class ForkPoint:
    """Where a run would be forked: ``state`` is what the fork begins with, ``taken_over`` the nodes it does not run again.

    ``node_id`` and ``visit`` are the step it runs anew; None from the run's start. The version is the fork's.
    """

    run_id: str
    node_id: str | None
    visit: int | None
    graph_id: str
    graph_version: int
    state: dict[str, Any]
    taken_over: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A page of the history, newest first."""

    executions: list[RunSummary]
    total_count: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class GraphSummary:
    """A line of the list of graphs. ``version`` counts from 1."""

    id: str
    name: str
    description: str
    version: int
    created_at: datetime
    updated_at: datetime
    node_count: int


@dataclass(frozen=True, slots=True)
class GraphVersion:
    """One of the versions of a graph; it never changes."""

    version: int
    created_at: datetime


class EventRecord(NamedTuple):
    """An event as users see it, in logs and on the WebSocket. See api.md for the event types and their data."""

    seq: int
    timestamp: datetime
    run_id: str
    event_type: str
    node_id: str | None
    message: str
    data: Mapping[str, Any]
