"""What the server answers about itself and its tools, as models."""

from __future__ import annotations

from datetime import datetime
from itertools import accumulate
from typing import Any, Literal

from pydantic import Field

from engine.model.run import ResourceUsage
from engine.model.tool import InputPort, OutputPort, PortType, Tool
from wfe_desktop.server.measures import Histogram
from wfe_desktop.server.payloads import AnswerBody, QueryModel


class InputOut(AnswerBody):
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


class OutputOut(AnswerBody):
    name: str
    type: PortType
    json_schema: dict[str, Any] = Field(serialization_alias="schema")
    description: str

    @classmethod
    def of(cls, port: OutputPort) -> OutputOut:
        return cls.model_construct(
            name=port.name, type=port.type, json_schema=dict(port.schema), description=port.description
        )


class ToolOut(AnswerBody):
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


class Health(AnswerBody):
    status: Literal["healthy", "unhealthy"]
    problem: str | None
    service: str
    version: str
    uptime_s: float
    active_runs: int
    running_steps: int
    workers: int
    last_seq: int


class About(AnswerBody):
    message: str
    service: str
    version: str
    links: dict[str, str]


class DatabaseHealth(AnswerBody):
    latency_ms: float


class ToolsHealth(AnswerBody):
    """``load_failures`` are the tool files, or tools in them, that could not be loaded."""

    registered: int
    load_failures: list[str]


class SystemHealth(Health):
    """Each part as it was just now; a database that cannot be read is answered with 503."""

    database: DatabaseHealth
    tools: ToolsHealth


class ProcessMetrics(AnswerBody):
    """Memory is null where the system does not tell."""

    pid: int
    memory_rss_bytes: int | None
    memory_peak_bytes: int | None
    cpu_user_s: float
    cpu_system_s: float
    threads: int


class EngineMetrics(AnswerBody):
    """``abandoned_threads`` are still busy with a step that was given up. ``commit_s`` is the time of all ``commits``.

    Each of the ``resources``: ``in_use`` of its ``limit`` tokens, of which ``abandoned`` are held by calls that were given
    up and have not returned, and how many steps are ``waiting`` for some.
    """

    active_runs: int
    running_steps: int
    abandoned_threads: int
    workers: int
    last_seq: int
    resources: dict[str, ResourceUsage]
    commits: int
    commit_s: float


class ServerMetrics(AnswerBody):
    """Counted since the server started. Statuses are those of the answers.

    ``journal_lag_events`` are committed and not handed out yet; ``websocket_queued`` messages wait for their clients;
    ``websocket_dropped`` clients were given up for reading too slowly.
    """

    uptime_s: float
    requests_total: int
    requests_in_progress: int
    requests_by_status: dict[int, int]
    websocket_connections: int
    websocket_queued: int
    websocket_dropped: int
    events_dispatched: int
    journal_lag_events: int


class DurationsHistogram(AnswerBody):
    """``up_to_s``: for each duration in seconds, how many took no longer; ``count`` is how many there were."""

    count: int
    sum_s: float
    up_to_s: dict[float, int]

    @classmethod
    def of(cls, found: Histogram) -> DurationsHistogram:
        below = accumulate(found.counts)
        return cls(
            count=found.count,
            sum_s=round(found.sum_s, 6),
            up_to_s=dict(zip(found.bounds_s, below, strict=False)),
        )


class RunMetrics(AnswerBody):
    """Runs since the server started; ``ended`` by status. One that is retried ends again."""

    accepted: int
    ended: dict[str, int]
    durations: DurationsHistogram


class StepMetrics(AnswerBody):
    """Attempts of steps since the server started, by outcome: completed, failed, retried, skipped, cancelled."""

    ended: dict[str, int]
    durations: DurationsHistogram


class Metrics(AnswerBody):
    process: ProcessMetrics
    engine: EngineMetrics
    server: ServerMetrics
    runs: RunMetrics
    steps: StepMetrics


class CacheQuery(QueryModel):
    """Which kept results."""

    tool: str | None = Field(
        default=None, min_length=1, max_length=200, description="Only those of this tool; left out: all."
    )


class CacheCleared(AnswerBody):
    """How many there were."""

    message: str
    deleted: int


class ConnectionLine(AnswerBody):
    """``subscriptions`` are run ids, and * for all; ``queued`` messages have still to be sent."""

    connection_id: str
    connected_at: datetime
    subscriptions: list[str]
    queued: int
    sent: int


class Connections(AnswerBody):
    connections: list[ConnectionLine]
    total_count: int
