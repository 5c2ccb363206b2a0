"""Where one run stands, kept so that a step costs in proportion to its own edges.

Only ``decide`` changes a ``RunState``, and only on the thread that runs it. Values in ``state`` and ``results`` are JSON and never
changed in place, so references to them may be handed out and copied by whoever receives them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from engine.flow.expression_scope import UNSET, Scope, StepView
from engine.flow.plan import Plan
from engine.model.events import ChildStarted, StepCompleted, StepFailed, StepParked
from engine.model.status import RunStatus, StepStatus

UNRESOLVED, TAKEN, SKIPPED = 0, 1, 2
"""The status of an edge within the current pass."""


StepKey: TypeAlias = int | tuple[int, int]
"""A node, or an item of a node with ``for_each``."""


class RunningStep(NamedTuple):
    """A step that was started and has no recorded end. ``wires`` are the taken data wires as it started.

    Nothing of the program is busy with one that runs another graph (``child``).
    """

    visit: int
    attempt: int
    wires: tuple[int, ...]
    child: ChildStarted | None = None


class Taken(NamedTuple):
    """A node's ``visit`` was not run here; its outcome is from the run ``origin``."""

    visit: int
    origin: str


class HeldStep(NamedTuple):
    """A step that may not start now. ``visit`` is 0 for a new one; else it is the next ``attempt`` of that visit."""

    node: int
    wires: tuple[int, ...]
    visit: int = 0
    attempt: int = 1
    item: int | None = None


class WaitingStep(NamedTuple):
    """A step that waits: for its next attempt, as its tool asked (``parked``), for a decision (``unsure``), or for the
    tokens of its resources since ``queued``; then it has not started yet.

    ``due`` is when it goes on by itself; times are in microseconds since 1970 UTC.
    """

    visit: int
    attempt: int
    wires: tuple[int, ...]
    due: int | None = None
    parked: StepParked | None = None
    unsure: bool = False
    queued: int | None = None

    @property
    def is_long(self) -> bool:
        """Whether it waits for something from outside the run, so that the run counts as waiting."""
        return self.parked is not None or self.unsure


class Items:
    """The items of a step with ``for_each``: ``pending`` have not started, ``open`` are running or waiting."""

    __slots__ = ("done", "failure", "open", "pending", "results", "step", "values")

    def __init__(self, step: RunningStep, values: list[Any]) -> None:
        self.step = step
        self.values = values
        self.results: list[Any] = [None] * len(values)
        self.done = 0
        self.open = 0
        self.pending = deque(range(len(values)))
        self.failure: StepFailed | None = None


class Failure(NamedTuple):
    """Why the run will end as failed once its running steps have finished."""

    message: str
    node: str | None


class RunState:
    """One run. By node: ``step_status``, ``visits``, ``results``... By edge: ``edges`` (its status in this pass) and
    ``decided`` (what its source decided; an edge that leaves a loop is resolved only when the loop ends).
    """

    __slots__ = (
        "accepted_at",
        "arrived",
        "attempts",
        "breakpoints",
        "broken_off",
        "busy",
        "cached",
        "cancelling",
        "children",
        "completed_at",
        "decided",
        "depth",
        "derived",
        "durations",
        "edges",
        "errors",
        "failure",
        "finish_order",
        "fired",
        "held",
        "idle_children",
        "idle_loops",
        "idle_reason",
        "items",
        "open_loops",
        "passes",
        "path",
        "paused",
        "plan",
        "results",
        "resumable",
        "run_id",
        "running",
        "started",
        "started_at",
        "state",
        "status",
        "step_status",
        "steps_finished",
        "suspended",
        "taken",
        "taking_over",
        "todo",
        "unresolved",
        "unrouted",
        "visits",
        "waiting",
        "waiting_for",
    )

    def __init__(self, run_id: str, plan: Plan) -> None:
        topology = plan.topology
        nodes, edges, loops = len(topology.node_ids), len(topology.source), len(topology.loops)
        self.run_id = run_id
        self.plan = plan
        self.status = RunStatus.PENDING
        self.state: dict[str, Any] = {}
        self.accepted_at = 0
        self.started_at: int | None = None
        self.completed_at: int | None = None
        self.failure: Failure | None = None
        self.waiting_for: str | None = None
        self.idle_reason: str | None = None
        self.cancelling = False
        self.suspended = False
        self.paused = False
        self.taking_over = False  # a fork: steps begin in thought only, until all that is taken over has been
        self.taken: dict[int, Taken] = {}  # the latest one by node
        self.cached: dict[int, Taken] = {}  # as well: the latest one whose result had been kept
        self.breakpoints: frozenset[int] = frozenset()
        self.depth = 0  # how many runs are above this one

        self.step_status = [StepStatus.PENDING] * nodes
        self.visits = [0] * nodes
        self.attempts = [0] * nodes
        self.started = [0] * nodes
        self.durations = [0] * nodes
        self.results: list[Any] = [None] * nodes
        self.errors: list[str | None] = [None] * nodes
        self.finish_order = [0] * nodes
        self.steps_finished = 0
        self.path: list[int] = []
        self.running: dict[StepKey, RunningStep] = {}
        self.waiting: dict[StepKey, WaitingStep] = {}
        self.items: dict[int, Items] = {}  # of nodes whose items are under way
        self.resumable: dict[int, Items] = {}  # of those that failed, for a retry of the run
        self.derived: list[StepCompleted | StepFailed] = []  # ends of such nodes, to be decided next
        self.children: dict[int, tuple[int, dict[int | None, str]]] = {}  # by node: visit, and runs by item
        self.idle_children: dict[StepKey, str] = {}  # of the running steps, those whose child waits: for what
        self.held: list[HeldStep] = []
        self.broken_off: list[HeldStep] = []  # what a retry of the run begins again
        self.unrouted: list[
            tuple[int, bool]
        ] = []  # steps whose edges could not be evaluated; whether they failed

        self.edges = bytearray(edges)
        self.decided = bytearray(edges)
        self.unresolved = list(topology.incoming)
        self.arrived = [0] * nodes
        self.fired = bytearray(nodes)
        self.todo: list[tuple[int, bool]] = []

        self.busy = [0] * loops
        self.passes = [0] * loops
        self.open_loops = bytearray(loops)
        self.idle_loops: set[int] = set()

    @property
    def holding(self) -> bool:
        """Whether nothing new may start."""
        return (
            self.failure is not None
            or self.cancelling
            or self.suspended
            or self.paused
            or self.waiting_for is not None
        )

    def scope(self, node: int, result: Any = UNSET, item: int | None = None) -> Scope:
        """What an expression at ``node`` sees now; ``result`` is that of the step just done, where there is one."""
        return Scope(
            state=self.state,
            result=result,
            steps=self,
            visit=self.visits[node],
            item=UNSET if item is None else self.items[node].values[item],
            index=UNSET if item is None else item,
            run={"id": self.run_id, "graph": self.plan.graph.name, "steps": len(self.path)},
        )

    def find_step(self, node_id: str) -> StepView | None:
        """A step as expressions see it; None where the graph has no such node."""
        node = self.plan.topology.index.get(node_id)
        if node is None:
            return None
        return StepView(
            self.results[node], self.step_status[node].value, self.errors[node], self.visits[node]
        )

    def step_ids(self) -> Mapping[str, int]:
        """The ids of all nodes, for messages."""
        return self.plan.topology.index
