"""The facts a run is made of. An event is past tense, stored for ever, and never changed.

Events are plain slotted records, for speed; nobody changes one after it was made. ``at`` is microseconds since
1970 UTC. A step is named by ``node`` (its id) and ``visit``; an ``attempt`` is one try of it, from 1.
A step with ``for_each`` has a step for each ``item``, which is counted from 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from engine.model.graph import Durability


@dataclass(slots=True)
class RunAccepted:
    """A run exists. Everything it needs to go on after a crash is here and in the stored graph version.

    ``refusal`` says why it cannot run at all (a tool is missing, say); it then fails before any step.
    ``breakpoints`` are known before the first step starts; ``BreakpointsSet`` would come too late for that one.
    ``parent_run_id`` and ``parent_node`` name the step that runs this graph, and ``depth`` counts the runs above this
    one; it begins ``paused`` where its parent is. ``forked_from`` is the run that this one takes over steps of: it starts
    nothing before ``RunForked``. With an ``idempotency_key`` its ``fork_request`` says what else was asked for, to be held
    against requests with the same key. Of ``durability`` see ``engine.model.graph.Durability``.
    """

    at: int
    graph_id: str
    graph_version: int
    graph_name: str
    initial_state: dict[str, Any]
    refusal: str | None = None
    refused_node: str | None = None
    breakpoints: tuple[str, ...] = ()
    parent_run_id: str | None = None
    parent_node: str | None = None
    forked_from: str | None = None
    idempotency_key: str | None = None
    durability: Durability = "strict"
    depth: int = 0
    paused: bool = False
    fork_request: dict[str, Any] | None = None


@dataclass(slots=True)
class RunStarted:
    at: int


@dataclass(slots=True)
class StepStarted:
    at: int
    node: str
    visit: int
    attempt: int
    item: int | None = None


@dataclass(slots=True)
class StepCompleted:
    """``changes`` is what the step did to the state (a key's new value; removed keys in ``removed``).

    ``taken`` and ``skipped`` are the indexes of the source's edges as they were decided; decide fills them in.
    ``end_status`` is how the tool wants the run to end here, if it does. ``cached_from`` is the run in which the result
    was made, where it was kept and the tool was not called.
    """

    at: int
    node: str
    visit: int
    attempt: int
    result: Any
    changes: dict[str, Any]
    removed: tuple[str, ...] = ()
    duration_us: int = 0
    taken: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()
    item: int | None = None
    end_status: str | None = None
    end_reason: str = ""
    cached_from: str | None = None


@dataclass(slots=True)
class StepFailed:
    """``error`` is a sentence; ``error_type`` the exception's name; ``trace`` the tool's own part of the traceback."""

    at: int
    node: str
    visit: int
    attempt: int
    error: str
    error_type: str
    trace: str = ""
    duration_us: int = 0
    handled: bool = False
    taken: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()
    item: int | None = None


@dataclass(slots=True)
class StepTakenOver(StepCompleted):
    """A completed step of the run ``origin``, recorded there at ``recorded_at``, stands in this fork as it was.

    Nothing is started for it; its ``attempt`` is 1, however many it took there.
    """

    origin: str = ""
    recorded_at: int = 0


@dataclass(slots=True)
class FailureTakenOver(StepFailed):
    """A step that failed in the run ``origin``, where the failure was handled; as ``StepTakenOver``."""

    origin: str = ""
    recorded_at: int = 0


@dataclass(slots=True)
class StepRetrying:
    """The step waits for its next ``attempt``, which is due at ``due`` (microseconds since 1970 UTC)."""

    at: int
    node: str
    visit: int
    attempt: int
    due: int
    item: int | None = None


@dataclass(slots=True)
class StepParked:
    """The tool asked to wait: until ``due`` (then its result is ``result``), or for ``signal`` (then it is the value).

    ``changes`` and ``removed`` are what it did to the state; they are applied when the step is completed.
    """

    at: int
    node: str
    visit: int
    attempt: int
    due: int | None = None
    signal: str | None = None
    message: str = ""
    schema: dict[str, Any] | None = None
    result: Any = None
    changes: dict[str, Any] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    item: int | None = None


@dataclass(slots=True)
class SignalReceived:
    """What a step was waiting for has come."""

    at: int
    node: str
    visit: int
    attempt: int
    value: Any
    item: int | None = None


@dataclass(slots=True)
class ChildStarted:
    """The step runs another graph, as the run ``child_run_id``, which is accepted in the same commit.

    The step fails if that run has not ended at ``due``. ``changes`` and ``removed`` are what the step's tool did to the
    state; they are applied when the step is completed.
    """

    at: int
    node: str
    visit: int
    attempt: int
    child_run_id: str
    graph_id: str
    graph_name: str
    due: int | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    item: int | None = None


@dataclass(slots=True)
class ChildIdled:
    """Nothing in the run of another graph goes on by itself; it waits for what ``reason`` says."""

    at: int
    node: str
    visit: int
    attempt: int
    child_run_id: str
    reason: str
    item: int | None = None


@dataclass(slots=True)
class ChildWoken:
    """Something goes on in the run of another graph, which was waiting."""

    at: int
    node: str
    visit: int
    attempt: int
    child_run_id: str
    item: int | None = None


@dataclass(slots=True)
class ChildEnded:
    """The run of another graph has ended, in the same commit. ``result`` is its final state, ``error`` why it failed.

    ``status`` is completed, failed or cancelled.
    """

    at: int
    node: str
    visit: int
    attempt: int
    child_run_id: str
    status: str
    result: Any = None
    error: str | None = None
    item: int | None = None


@dataclass(slots=True)
class StepUnsure:
    """The step was interrupted and must not simply be tried again; somebody has to decide."""

    at: int
    node: str
    visit: int
    attempt: int
    item: int | None = None


@dataclass(slots=True)
class StepDecided:
    """Somebody has decided: try the step again (``rerun``), take ``result``, or let it ``fail``."""

    at: int
    node: str
    visit: int
    attempt: int
    choice: str
    result: Any = None
    item: int | None = None


@dataclass(slots=True)
class StepDue:
    """The time of a waiting step has come."""

    at: int
    node: str
    visit: int
    attempt: int
    item: int | None = None


@dataclass(slots=True)
class StateEdited:
    """Somebody changed the state of a fork before it goes on by itself."""

    at: int
    changes: dict[str, Any]
    removed: tuple[str, ...] = ()


@dataclass(slots=True)
class RunForked:
    """All that is taken over has been: from here the run goes on by itself.

    ``node`` and ``visit`` are the step of the old run at which it was forked; None from its start.
    """

    at: int
    node: str | None = None
    visit: int | None = None


@dataclass(slots=True)
class StepQueued:
    """The step is to start, and waits for its tokens: so many of each of the ``resources``. Its ``visit`` has not begun."""

    at: int
    node: str
    visit: int
    attempt: int
    resources: dict[str, int]
    item: int | None = None


@dataclass(slots=True)
class ResourcesGranted:
    """The step has all the tokens that it waited for, and starts."""

    at: int
    node: str
    visit: int
    attempt: int
    item: int | None = None


@dataclass(slots=True)
class StepSkipped:
    at: int
    node: str


@dataclass(slots=True)
class StepCancelled:
    """The step was running when the run ended (what it may still return is thrown away), or it waited and will not start."""

    at: int
    node: str
    visit: int
    attempt: int
    item: int | None = None


@dataclass(slots=True)
class LogWritten:
    """A line that a tool printed or logged. ``level`` is debug, info, warning, error or critical."""

    at: int
    node: str
    visit: int
    attempt: int
    level: str
    message: str
    item: int | None = None


class StepProgress(NamedTuple):
    """How far a running step has come, as its tool says: ``done`` of ``total``. No fact of the run: it is not stored."""

    run_id: str
    node: str
    visit: int
    attempt: int
    item: int | None
    done: float
    total: float | None
    message: str


@dataclass(slots=True)
class ChildWanted:
    """A step asks for a run of the graph with this id or name. No fact of the run: ``ChildStarted`` is, or a failure."""

    at: int
    node: str
    visit: int
    attempt: int
    graph: str
    initial_state: dict[str, Any]
    changes: dict[str, Any]
    removed: tuple[str, ...] = ()
    item: int | None = None


@dataclass(slots=True)
class CancelRequested:
    at: int


@dataclass(slots=True)
class StepsAbandoned:
    """Steps that were asked to stop did not within the time given; the run ends without them."""

    at: int


@dataclass(slots=True)
class RunCompleted:
    """``exit_condition`` is the expression that ended the run early, where one did."""

    at: int
    exit_condition: str | None = None


@dataclass(slots=True)
class RunFailed:
    at: int
    error: str
    node: str | None = None


@dataclass(slots=True)
class RunCancelled:
    at: int


@dataclass(slots=True)
class RunWaiting:
    """The run cannot go on by itself; ``reason`` says for what it waits."""

    at: int
    reason: str


@dataclass(slots=True)
class RunPaused:
    """Nothing new starts until the run is resumed; ``node`` is the breakpoint it came to, where it was one."""

    at: int
    node: str | None = None


@dataclass(slots=True)
class RunResumed:
    at: int


@dataclass(slots=True)
class StepAllowed:
    """A paused run may start one step."""

    at: int


@dataclass(slots=True)
class BreakpointsSet:
    """The run pauses before these nodes start; they take the place of those set before."""

    at: int
    nodes: tuple[str, ...]


@dataclass(slots=True)
class RunRetried:
    """A failed run goes on from where it failed."""

    at: int


@dataclass(slots=True)
class RunSuspended:
    """The program is closing: nothing new starts, and the run goes on at the next start."""

    at: int


@dataclass(slots=True)
class RunIdled:
    """Nothing is running; the run waits for what ``reason`` says."""

    at: int
    reason: str


@dataclass(slots=True)
class RunWoken:
    """Something runs again."""

    at: int


@dataclass(slots=True)
class RunContinued:
    """After a restart of the program, the run goes on.

    Steps of the nodes in ``ask`` that were interrupted wait for a decision, those in ``fail`` fail; all others are
    tried again.
    """

    at: int
    ask: tuple[str, ...] = ()
    fail: tuple[str, ...] = ()


RunEvent: TypeAlias = (
    RunAccepted
    | RunStarted
    | StepStarted
    | StepCompleted
    | StepFailed
    | StepTakenOver
    | FailureTakenOver
    | StateEdited
    | RunForked
    | StepRetrying
    | StepDue
    | StepParked
    | SignalReceived
    | ChildStarted
    | ChildIdled
    | ChildWoken
    | ChildEnded
    | StepUnsure
    | StepDecided
    | StepQueued
    | ResourcesGranted
    | StepSkipped
    | StepCancelled
    | LogWritten
    | CancelRequested
    | StepsAbandoned
    | RunCompleted
    | RunFailed
    | RunCancelled
    | RunWaiting
    | RunPaused
    | RunResumed
    | StepAllowed
    | BreakpointsSet
    | RunRetried
    | RunSuspended
    | RunIdled
    | RunWoken
    | RunContinued
)


STOPPED = "StepWasCancelled"
"""The ``error_type`` of a step that stopped because it was asked to."""

INTERRUPTED = "Interrupted"
"""The ``error_type`` of a step that was under way when the program ended, and may not be tried again."""

CHILD_FAILED = "ChildRunFailed"
"""The ``error_type`` of a step whose run of another graph failed."""

CHILD_CANCELLED = "ChildRunCancelled"
"""The ``error_type`` of a step whose run of another graph was cancelled."""

INPUTS = (
    RunAccepted,
    StepCompleted,
    StepFailed,
    StateEdited,
    RunForked,
    StepDue,
    LogWritten,
    StepParked,
    SignalReceived,
    ChildStarted,
    ChildIdled,
    ChildWoken,
    ChildEnded,
    StepDecided,
    ResourcesGranted,
    CancelRequested,
    StepsAbandoned,
    RunPaused,
    RunResumed,
    StepAllowed,
    BreakpointsSet,
    RunRetried,
    RunWaiting,
    RunSuspended,
    RunContinued,
)
"""The events that come from outside; every other one follows from these by ``decide``.

A ``RunPaused`` at a breakpoint follows as well; fed in again it changes nothing."""


class JournalEntry(NamedTuple):
    """An event in its place: ``seq`` rises by commit order over all runs."""

    seq: int
    run_id: str
    event: RunEvent
