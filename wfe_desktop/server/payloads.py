"""What goes over the wire, as models: one for each body, query and answer. Docs are generated from these.

Requests are strict: unknown fields are refused by name, and a text is not taken for a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, NotRequired, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    with_config,
)
from typing_extensions import TypedDict

from engine.flow.differences import EdgeChange, FieldChange, NodeChange
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from engine.model.problem import Problem
from engine.model.run import EventRecord, GraphSummary, RunSnapshot, RunSummary, StepInfo, Waiting
from engine.model.statistics import Durations, RunStatistics
from engine.model.status import RunStatus, StepStatus

MAX_PAGE = 1_000
MAX_SEQ = 2**63 - 1
_DATE = re.compile(r"\d{4}-\d\d-\d\d([Tt ]|$)")


def _as_utc(at: datetime) -> datetime:
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("this time is too far away") from None


def _only_text(at: object) -> object:
    """A number would be taken for seconds since 1970."""
    if isinstance(at, str) and _DATE.match(at):
        return at
    raise ValueError("a time is a text such as 2026-01-31T12:00:00Z")


def _whole(number: object) -> object:
    """JSON knows one kind of number: 5.0 is an integer there."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _flag(value: object) -> object:
    """Neither 0 nor "on" is taken for true or false."""
    if value in ("true", "false"):
        return value == "true"
    if isinstance(value, bool):
        return value
    raise ValueError("this is true or false")


Flag = Annotated[bool, BeforeValidator(_flag)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Seq = Annotated[int, Field(ge=0, le=MAX_SEQ), BeforeValidator(_whole)]
PageSize = Annotated[int, Field(ge=1, le=MAX_PAGE), BeforeValidator(_whole)]
Utc = Annotated[datetime, Field(strict=False), BeforeValidator(_only_text), AfterValidator(_as_utc)]
GraphVersionNumber = Annotated[int, Field(ge=1, le=MAX_SEQ), BeforeValidator(_whole)]
Status = Annotated[RunStatus, Field(strict=False)]


# Most models are not needed before somebody asks, so they are built then: a tenth of a second less at each start.


class Request(BaseModel):
    """What clients send: strict, and unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class QueryModel(BaseModel):
    """The parameters of an address."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class AnswerBody(BaseModel):
    """What clients are given: these fields and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


# ------------------------------------------------------------------------------------------------------ requests


class WrappedGraph(Request):
    """A graph under a key of its own; the same as the bare graph."""

    graph: GraphDefinition


class HistoryRequest(Request):
    """Which runs; every filter left out lets all pass. Times without an offset are UTC."""

    graph_id: Id | None = None
    status: Status | None = None
    start_date: Utc | None = Field(default=None, description="Accepted at or after this time.")
    end_date: Utc | None = Field(default=None, description="Accepted before this time.")
    parent_run_id: Id | None = Field(default=None, description="Started by steps of this run.")
    top_level: bool = Field(default=False, description="Without the runs that steps of others started.")
    limit: PageSize = 50
    offset: Seq = 0


class PageQuery(QueryModel):
    """Which part of a list."""

    limit: PageSize = MAX_PAGE
    offset: Seq = 0


class StatisticsQuery(QueryModel):
    """Of which runs; every filter left out lets all pass. ``limit`` and ``offset`` page ``by_graph``."""

    graph_id: Id | None = None
    start_date: Utc | None = Field(default=None, description="Accepted at or after this time.")
    end_date: Utc | None = Field(default=None, description="Accepted before this time.")
    limit: PageSize = 50
    offset: Seq = 0


class LogsQuery(QueryModel):
    """Which events of a run."""

    since: int = Field(default=0, ge=0, le=MAX_SEQ, description="Only events after this seq.")
    limit: int = Field(default=MAX_PAGE, ge=1, le=10_000)
    types: str | None = Field(
        default=None, max_length=1_000, description="Event types, separated by commas; left out: all."
    )

    @property
    def event_types(self) -> list[str] | None:
        """The types asked for; None means all."""
        return [name.strip() for name in self.types.split(",") if name.strip()] if self.types else None


class EventsQuery(LogsQuery):
    """Which events of the journal."""

    run_id: Id | None = None
    graph_id: Id | None = None


class DiffQuery(QueryModel):
    """Which two versions."""

    from_version: int | None = Field(
        default=None, ge=1, le=MAX_SEQ, description="Left out: the one before to_version."
    )
    to_version: int | None = Field(default=None, ge=1, le=MAX_SEQ, description="Left out: the newest.")


class GraphQuery(QueryModel):
    """Which version of a graph; left out: the latest."""

    version: int | None = Field(default=None, ge=1, le=MAX_SEQ)


# ------------------------------------------------------------------------------------------------------- answers


@with_config(ConfigDict(extra="forbid"))
class ProblemOut(TypedDict):
    """A fault of a graph or a request; places that do not apply are left out."""

    severity: str
    code: str
    message: str
    node_id: NotRequired[str]
    edge: NotRequired[int]
    field: NotRequired[str]


def problems_out(problems: Iterable[Problem]) -> list[ProblemOut]:
    """Problems as they are answered."""
    return [cast("ProblemOut", problem.to_dict()) for problem in problems]


class GraphCreated(AnswerBody):
    graph_id: str
    message: str
    validation_warnings: list[ProblemOut]


class GraphUpdated(AnswerBody):
    graph_id: str
    version: int
    message: str
    validation_warnings: list[ProblemOut]


class GraphValidated(AnswerBody):
    is_valid: bool
    errors: list[ProblemOut]
    warnings: list[ProblemOut]


class GraphLine(AnswerBody):
    """A line of the list of graphs."""

    id: str
    name: str
    description: str
    version: int
    created_at: datetime
    updated_at: datetime
    node_count: int

    @classmethod
    def of(cls, graph: GraphSummary) -> GraphLine:
        return cls.model_construct(
            id=graph.id,
            name=graph.name,
            description=graph.description,
            version=graph.version,
            created_at=graph.created_at,
            updated_at=graph.updated_at,
            node_count=graph.node_count,
        )


class VersionLine(AnswerBody):
    """A version of a graph."""

    version: int
    created_at: datetime
    name: str
    node_count: int
    edge_count: int


class GraphVersions(AnswerBody):
    """The versions of a graph, the newest first."""

    graph_id: str
    versions: list[VersionLine]
    total_count: int
    has_more: bool


class NodesDiff(AnswerBody):
    added: list[NodeDefinition]
    removed: list[NodeDefinition]
    changed: list[NodeChange]


class EdgesDiff(AnswerBody):
    added: list[EdgeDefinition]
    removed: list[EdgeDefinition]
    changed: list[EdgeChange]


class GraphDiff(AnswerBody):
    """``fields`` are those of the graph itself. An edge with other ends, kind or ports is another edge."""

    graph_id: str
    from_version: int
    to_version: int
    nodes: NodesDiff
    edges: EdgesDiff
    fields: dict[str, FieldChange]
    layout_changed: bool


@with_config(ConfigDict(extra="forbid"))
class RunStarted(TypedDict):
    """The run is stored. ``graph_id`` is there where the graph came with the request."""

    run_id: str
    message: str
    status: RunStatus
    graph_id: NotRequired[str]


class StateOut(AnswerBody):
    data: dict[str, Any]
    execution_path: list[str]


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class StepOut:
    """Where a node stands; times are of its latest step."""

    status: StepStatus
    visit: int
    attempt: int
    started_at: datetime | None
    duration_s: float | None
    error: str | None
    items_done: int | None
    items_total: int | None
    waits_for: Waiting | None
    taken_from: str | None
    child_run_ids: tuple[str, ...]
    cached_from: str | None

    @classmethod
    def of(cls, step: StepInfo) -> StepOut:
        return cls(
            status=step.status,
            visit=step.visit,
            attempt=step.attempt,
            started_at=step.started_at,
            duration_s=step.duration_s,
            error=step.error,
            items_done=step.items_done,
            items_total=step.items_total,
            waits_for=step.waits_for,
            taken_from=step.taken_from,
            child_run_ids=step.child_run_ids,
            cached_from=step.cached_from,
        )


class RunState(AnswerBody):
    """A run as it stood at one moment; ``seq`` is the last event it includes."""

    run_id: str
    graph_id: str
    graph_version: int
    graph_name: str
    status: RunStatus
    current_state: StateOut
    accepted_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    duration_s: float | None
    error_message: str | None
    steps: dict[str, StepOut]
    results: dict[str, Any]
    edges_taken: list[int]
    edges_skipped: list[int]
    seq: int
    parent_run_id: str | None
    parent_node_id: str | None
    forked_from: str | None

    @classmethod
    def of(cls, run: RunSnapshot) -> RunState:
        return cls.model_construct(
            run_id=run.run_id,
            graph_id=run.graph_id,
            graph_version=run.graph_version,
            graph_name=run.graph_name,
            status=run.status,
            current_state=StateOut.model_construct(
                data=run.current_state.data, execution_path=run.current_state.execution_path
            ),
            accepted_at=run.accepted_at,
            started_at=run.started_at,
            completed_at=run.completed_at,
            duration_s=run.duration_s,
            error_message=run.error_message,
            steps={node_id: StepOut.of(step) for node_id, step in run.steps.items()},
            results=dict(run.results),
            edges_taken=sorted(run.edges_taken),
            edges_skipped=sorted(run.edges_skipped),
            seq=run.seq,
            parent_run_id=run.parent_run_id,
            parent_node_id=run.parent_node_id,
            forked_from=run.forked_from,
        )


class EventOut(AnswerBody):
    """An event, as in the logs."""

    seq: int
    timestamp: datetime
    run_id: str
    event_type: str
    node_id: str | None
    message: str
    data: dict[str, Any]

    @classmethod
    def of(cls, event: EventRecord) -> EventOut:
        return cls.model_construct(
            seq=event.seq,
            timestamp=event.timestamp,
            run_id=event.run_id,
            event_type=event.event_type,
            node_id=event.node_id,
            message=event.message,
            data=dict(event.data),
        )


class RunCancel(AnswerBody):
    message: str
    cancelled: bool


class RunsCancel(AnswerBody):
    """What became of each run: it is being cancelled, it had ended, or there is none of this id."""

    message: str
    cancelled: list[str]
    ended: list[str]
    not_found: list[str]


class RunPause(AnswerBody):
    message: str
    paused: bool


class RunResume(AnswerBody):
    message: str
    resumed: bool


class RunStep(AnswerBody):
    message: str
    stepped: bool


class RunRetry(AnswerBody):
    message: str
    retried: bool


class RunBreakpoints(AnswerBody):
    message: str
    changed: bool
    nodes: list[str]


class RunLine(AnswerBody):
    """A line of the history."""

    run_id: str
    graph_id: str
    graph_version: int
    graph_name: str
    status: RunStatus
    accepted_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    duration_s: float | None
    error_message: str | None
    step_count: int
    forked_from: str | None
    parent_run_id: str | None
    parent_node_id: str | None

    @classmethod
    def of(cls, run: RunSummary) -> RunLine:
        return cls.model_construct(
            run_id=run.run_id,
            graph_id=run.graph_id,
            graph_version=run.graph_version,
            graph_name=run.graph_name,
            status=run.status,
            accepted_at=run.accepted_at,
            started_at=run.started_at,
            completed_at=run.completed_at,
            duration_s=run.duration_s,
            error_message=run.error_message,
            step_count=run.step_count,
            forked_from=run.forked_from,
            parent_run_id=run.parent_run_id,
            parent_node_id=run.parent_node_id,
        )


class History(AnswerBody):
    executions: list[RunLine]
    total_count: int
    has_more: bool


class GraphStatisticsOut(AnswerBody):
    """The runs of one graph."""

    graph_id: str
    graph_name: str
    total_count: int
    by_status: dict[RunStatus, int]
    durations: Durations


class Statistics(AnswerBody):
    """Durations are those of completed runs, in seconds. ``has_more``: there are more graphs than are shown."""

    total_count: int
    by_status: dict[RunStatus, int]
    durations: Durations
    by_graph: list[GraphStatisticsOut]
    graph_count: int
    has_more: bool

    @classmethod
    def of(cls, found: RunStatistics, offset: int) -> Statistics:
        return cls(
            total_count=found.total_count,
            by_status=dict(found.by_status),
            durations=found.durations,
            by_graph=[
                GraphStatisticsOut(
                    graph_id=graph.graph_id,
                    graph_name=graph.graph_name,
                    total_count=graph.total_count,
                    by_status=dict(graph.by_status),
                    durations=graph.durations,
                )
                for graph in found.by_graph
            ],
            graph_count=found.graph_count,
            has_more=offset + len(found.by_graph) < found.graph_count,
        )
