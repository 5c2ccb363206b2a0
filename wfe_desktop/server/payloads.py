"""What goes over the wire, as models: one for each body, query and answer. Docs are generated from these.

Requests are strict: unknown fields are refused by name, and a text is not taken for a number.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from engine.model.problem import Problem
from engine.model.run import EventRecord, GraphSummary, RunSnapshot, RunSummary, StepInfo
from engine.model.status import RunStatus, StepStatus
from engine.model.tool import InputPort, OutputPort, PortType, Tool

MAX_WAIT_S = 300
MAX_PAGE = 1_000
MAX_SEQ = 2**63 - 1


def _as_utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Seq = Annotated[int, Field(ge=0, le=MAX_SEQ)]
Utc = Annotated[datetime, Field(strict=False), AfterValidator(_as_utc)]
Status = Annotated[RunStatus, Field(strict=False)]


class Request(BaseModel):
    """What clients send: strict, and unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


# ------------------------------------------------------------------------------------------------------ requests


class RunRequest(Request):
    """Start a run of a stored graph."""

    graph_id: Id
    initial_state: dict[str, Any] = Field(default_factory=dict)
    wait_s: float | None = Field(
        default=None,
        ge=0,
        le=MAX_WAIT_S,
        description="Wait up to this long for the end of the run, and answer with its state.",
    )


class HistoryRequest(Request):
    """Which runs; every filter left out lets all pass. Times without an offset are UTC."""

    graph_id: Id | None = None
    status: Status | None = None
    start_date: Utc | None = Field(default=None, description="Accepted at or after this time.")
    end_date: Utc | None = Field(default=None, description="Accepted at or before this time.")
    limit: int = Field(default=50, ge=1, le=MAX_PAGE)
    offset: int = Field(default=0, ge=0, le=MAX_SEQ)


class LogsQuery(_Query):
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


class GraphQuery(_Query):
    """Which version of a graph; left out: the latest."""

    version: int | None = Field(default=None, ge=1, le=MAX_SEQ)


# ------------------------------------------------------------------------------------------------------- answers


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


class GraphCreated(_Answer):
    graph_id: str
    message: str
    validation_warnings: list[ProblemOut]


class GraphUpdated(_Answer):
    graph_id: str
    version: int
    message: str
    validation_warnings: list[ProblemOut]


class GraphValidated(_Answer):
    is_valid: bool
    errors: list[ProblemOut]
    warnings: list[ProblemOut]


class GraphLine(_Answer):
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


class RunStarted(_Answer):
    run_id: str
    message: str
    status: RunStatus


class StateOut(_Answer):
    data: dict[str, Any]
    execution_path: list[str]


class StepOut(_Answer):
    """Where a node stands; times are of its latest step."""

    status: StepStatus
    visit: int
    attempt: int
    started_at: datetime | None
    duration_s: float | None
    error: str | None

    @classmethod
    def of(cls, step: StepInfo) -> StepOut:
        return cls.model_construct(
            status=step.status,
            visit=step.visit,
            attempt=step.attempt,
            started_at=step.started_at,
            duration_s=step.duration_s,
            error=step.error,
        )


class RunState(_Answer):
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
    seq: int

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
            seq=run.seq,
        )


class EventOut(_Answer):
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


class RunCancel(_Answer):
    message: str
    cancelled: bool


class RunLine(_Answer):
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
        )


class History(_Answer):
    executions: list[RunLine]
    total_count: int
    has_more: bool


class InputOut(_Answer):
    name: str
    type: PortType
    # "schema" is what the field is about; pydantic's method of that name is deprecated and unused.
    json_schema: dict[str, Any] = Field(serialization_alias="schema")
    required: bool
    default: Any
    description: str

    @classmethod
    def of(cls, port: InputPort) -> InputOut:
        return cls.model_construct(
            name=port.name,
            type=port.type,
            json_schema=dict(port.schema),
            required=port.required,
            default=port.default,
            description=port.description,
        )


class OutputOut(_Answer):
    name: str
    type: PortType
    json_schema: dict[str, Any] = Field(serialization_alias="schema")
    description: str

    @classmethod
    def of(cls, port: OutputPort) -> OutputOut:
        return cls.model_construct(
            name=port.name, type=port.type, json_schema=dict(port.schema), description=port.description
        )


class ToolOut(_Answer):
    name: str
    label: str
    description: str
    category: str
    inputs: list[InputOut]
    outputs: list[OutputOut]
    takes_state: bool
    takes_any: bool
    is_async: bool

    @classmethod
    def of(cls, tool: Tool) -> ToolOut:
        return cls.model_construct(
            name=tool.name,
            label=tool.label,
            description=tool.description,
            category=tool.category,
            inputs=[InputOut.of(port) for port in tool.inputs],
            outputs=[OutputOut.of(port) for port in tool.outputs],
            takes_state=tool.takes_state,
            takes_any=tool.takes_any,
            is_async=tool.is_async,
        )


class Health(_Answer):
    status: Literal["healthy"]
    service: str
    version: str
    uptime_s: float
    active_runs: int
    running_steps: int
    workers: int
    last_seq: int


class About(_Answer):
    message: str
    service: str
    version: str
    links: dict[str, str]
