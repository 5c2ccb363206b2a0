"""What a client is given: the server's answers as plain immutable data. Times are aware and in UTC.

A field that a newer server adds is left out. ``GET /openapi.json`` and docs/http-api.md say more about each.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal


class RunStatus(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the run has ended."""
        return self in {RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED}


class StepStatus(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


# --------------------------------------------------------------------------------------------------------- runs


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a step waits for. By ``kind``, a ``signal`` with this name and JSON Schema, a ``time``, a ``decision``, its next try
    (``retry``), the end of a ``run`` that it started, or, ``since`` then, so many tokens of ``resources``.
    """

    kind: str
    signal: str | None = None
    message: str = ""
    schema: dict[str, Any] | None = None
    due_at: datetime | None = None
    resources: dict[str, int] | None = None
    since: datetime | None = None
    child_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class CurrentState:
    """``data`` is the run's state; ``execution_path`` the node ids in the order in which their steps started."""

    data: dict[str, Any]
    execution_path: list[str]


@dataclass(frozen=True, slots=True)
class StepInfo:
    """Where one node stands in a run; times are of its latest step."""

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
    child_run_ids: list[str]
    cached_from: str | None


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as it stood at one moment; ``seq`` is the last event that it includes."""

    run_id: str
    graph_id: str
    graph_version: int
    graph_name: str
    status: RunStatus
    current_state: CurrentState
    accepted_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    duration_s: float | None
    error_message: str | None
    steps: dict[str, StepInfo]
    results: dict[str, Any]
    edges_taken: list[int]
    edges_skipped: list[int]
    seq: int
    parent_run_id: str | None
    parent_node_id: str | None
    forked_from: str | None


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run that is stored. ``graph_id`` is there where the graph came along."""

    run_id: str
    message: str
    status: RunStatus
    graph_id: str | None = None


ENDS: Final = frozenset({"workflow_completed", "workflow_cancelled", "execution_error"})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run. ``seq`` rises over all runs, in the order in which things were stored."""

    seq: int
    timestamp: datetime
    run_id: str
    event_type: str
    node_id: str | None
    message: str
    data: dict[str, Any]

    @property
    def ends_run(self) -> bool:
        """Whether the run has ended with this. One that failed may go on later, by a retry."""
        return self.event_type in ENDS


@dataclass(frozen=True, slots=True)
class StepInputs:
    """What a step was given: ``arguments`` by parameter, the ``state`` for a tool that takes it, the list of a ``for_each``."""

    arguments: dict[str, Any]
    state: dict[str, Any] | None
    items: list[Any] | None
    error: str | None


@dataclass(frozen=True, slots=True)
class StepLine:
    """One attempt of a step, or of an item of it (from 0). ``taken_from``: the run from which a fork has it;
    ``cached_from``: the one whose kept result was used in place of a call.
    """

    node_id: str
    visit: int
    attempt: int
    item: int | None
    status: StepStatus
    started_at: datetime | None
    completed_at: datetime | None
    due_at: datetime | None
    duration_s: float | None
    error: str | None
    error_type: str | None
    result: Any
    result_omitted: bool
    inputs: StepInputs | None = None
    inputs_omitted: bool = False
    taken_from: str | None = None
    child_run_id: str | None = None
    cached_from: str | None = None


@dataclass(frozen=True, slots=True)
class ForkPlace:
    """Where a run would be forked: the state that the new run begins with, and the nodes that it does not run again."""

    run_id: str
    node_id: str | None
    visit: int | None
    graph_id: str
    graph_version: int
    state: dict[str, Any]
    taken_over: list[str]


@dataclass(frozen=True, slots=True)
class RunSteps:
    """Steps of a run, in the order in which they began."""

    run_id: str
    steps: list[StepLine]
    total_count: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class RunsCancel:
    """What became of each run: it is being cancelled, it had ended, or there is none of this id."""

    message: str
    cancelled: list[str]
    ended: list[str]
    not_found: list[str]


@dataclass(frozen=True, slots=True)
class RunLine:
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


@dataclass(frozen=True, slots=True)
class History:
    """A page of the history, newest first."""

    executions: list[RunLine]
    total_count: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class Durations:
    """How long completed runs took, in seconds; None where there is none."""

    count: int
    mean_s: float | None
    p50_s: float | None
    p95_s: float | None
    max_s: float | None


@dataclass(frozen=True, slots=True)
class GraphStatistics:
    """The runs of one graph."""

    graph_id: str
    graph_name: str
    total_count: int
    by_status: dict[RunStatus, int]
    durations: Durations


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts and durations of runs."""

    total_count: int
    by_status: dict[RunStatus, int]
    durations: Durations
    by_graph: list[GraphStatistics]
    graph_count: int
    has_more: bool


# ------------------------------------------------------------------------------------------------------- graphs


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of a graph, and its place."""

    severity: str
    code: str
    message: str
    node_id: str | None = None
    edge: int | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class GraphCreated:
    """A graph that was stored."""

    graph_id: str
    message: str
    validation_warnings: list[Problem]


@dataclass(frozen=True, slots=True)
class GraphUpdated:
    """A version of a graph that was stored."""

    graph_id: str
    version: int
    message: str
    validation_warnings: list[Problem]


@dataclass(frozen=True, slots=True)
class GraphValidated:
    """What is wrong with a graph."""

    is_valid: bool
    errors: list[Problem]
    warnings: list[Problem]


@dataclass(frozen=True, slots=True)
class GraphLine:
    """A line of the list of graphs."""

    id: str
    name: str
    description: str
    version: int
    created_at: datetime
    updated_at: datetime
    node_count: int


@dataclass(frozen=True, slots=True)
class VersionLine:
    """A version of a graph."""

    version: int
    created_at: datetime
    name: str
    node_count: int
    edge_count: int


@dataclass(frozen=True, slots=True)
class GraphVersions:
    """Versions of a graph, the newest first."""

    graph_id: str
    versions: list[VersionLine]
    total_count: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class Place:
    """The top left corner of a node, in pixels."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class GraphLayout:
    """Where every node stands; they are ``node_width`` x ``node_height`` pixels."""

    graph_id: str
    version: int
    direction: Literal["right", "down"]
    node_width: float
    node_height: float
    nodes: dict[str, Place]


@dataclass(frozen=True, slots=True)
class Differences:
    """Nodes or edges, as JSON."""

    added: list[dict[str, Any]]
    removed: list[dict[str, Any]]
    changed: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class GraphDiff:
    """What is different between two versions of a graph; ``fields`` are those of the graph itself."""

    graph_id: str
    from_version: int
    to_version: int
    nodes: Differences
    edges: Differences
    fields: dict[str, dict[str, Any]]
    layout_changed: bool


# --------------------------------------------------------------------------------------------------- the server


@dataclass(frozen=True, slots=True)
class ToolInput:
    """A parameter of a tool, with its JSON Schema."""

    name: str
    type: str
    schema: dict[str, Any]
    required: bool
    default: Any
    description: str


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """An output of a tool, with its JSON Schema."""

    name: str
    type: str
    schema: dict[str, Any]
    description: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A registered tool."""

    name: str
    label: str
    description: str
    category: str
    inputs: list[ToolInput]
    outputs: list[ToolOutput]
    takes_state: bool
    takes_any: bool
    is_async: bool


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the engine takes work; ``problem`` says why nothing can be recorded just now, where it cannot."""

    status: str
    problem: str | None
    service: str
    version: str
    uptime_s: float
    active_runs: int
    running_steps: int
    workers: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class DatabaseHealth:
    latency_ms: float


@dataclass(frozen=True, slots=True)
class ToolsHealth:
    """``load_failures`` are the tool files, or tools in them, that could not be loaded."""

    registered: int
    load_failures: list[str]


@dataclass(frozen=True, slots=True)
class SystemHealth(Health):
    """The engine takes work, and so do its parts."""

    database: DatabaseHealth
    tools: ToolsHealth


@dataclass(frozen=True, slots=True)
class ProcessMetrics:
    """Memory is None where the system does not tell."""

    pid: int
    memory_rss_bytes: int | None
    memory_peak_bytes: int | None
    cpu_user_s: float
    cpu_system_s: float
    threads: int


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """``in_use`` of ``limit`` tokens are taken, ``abandoned`` of them by calls that were given up and have not returned
    yet; ``waiting`` steps want some.
    """

    limit: int
    in_use: int
    abandoned: int
    waiting: int


@dataclass(frozen=True, slots=True)
class CacheCleared:
    """How many kept results there were."""

    message: str
    deleted: int


@dataclass(frozen=True, slots=True)
class EngineMetrics:
    """``abandoned_threads`` are still busy with a step that was given up. ``commit_s`` is the time of all ``commits``."""

    active_runs: int
    running_steps: int
    abandoned_threads: int
    workers: int
    last_seq: int
    resources: dict[str, ResourceUsage]
    commits: int
    commit_s: float


@dataclass(frozen=True, slots=True)
class ServerMetrics:
    """Counted since the server started."""

    uptime_s: float
    requests_total: int
    requests_in_progress: int
    requests_by_status: dict[int, int]
    websocket_connections: int
    websocket_queued: int
    websocket_dropped: int
    events_dispatched: int
    journal_lag_events: int


@dataclass(frozen=True, slots=True)
class DurationsHistogram:
    """``up_to_s``: for each duration in seconds, how many took no longer."""

    count: int
    sum_s: float
    up_to_s: dict[float, int]


@dataclass(frozen=True, slots=True)
class RunMetrics:
    """Runs since the server started; ``ended`` by status."""

    accepted: int
    ended: dict[str, int]
    durations: DurationsHistogram


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """Attempts of steps since the server started, by outcome."""

    ended: dict[str, int]
    durations: DurationsHistogram


@dataclass(frozen=True, slots=True)
class Metrics:
    """What the program uses and does."""

    process: ProcessMetrics
    engine: EngineMetrics
    server: ServerMetrics
    runs: RunMetrics
    steps: StepMetrics


@dataclass(frozen=True, slots=True)
class ConnectionLine:
    """A WebSocket client; ``queued`` messages have still to be sent."""

    connection_id: str
    connected_at: datetime
    subscriptions: list[str]
    queued: int
    sent: int


@dataclass(frozen=True, slots=True)
class Connections:
    """The WebSocket clients."""

    connections: list[ConnectionLine]
    total_count: int


@dataclass(frozen=True, slots=True)
class About:
    """What runs at an address."""

    message: str
    service: str
    version: str
    links: dict[str, str]
