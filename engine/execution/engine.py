"""``ExecutionEngine``: runs workflows. The face of the engine for Python, the window and the server alike."""

from __future__ import annotations

import threading
import time
import uuid
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

from engine.config import AppConfig
from engine.errors import RunNotFound, ServiceUnavailable, ValidationError
from engine.execution.attempts import now_us
from engine.execution.conductor import Conductor, LiveRun, Subscriber
from engine.execution.executors import check_isolation
from engine.execution.snapshots import own_copy, take_snapshot
from engine.flow.decide import fold
from engine.flow.plan import Plan, compile_plan
from engine.flow.presenter import present
from engine.flow.run_state import RunState
from engine.flow.steps import list_steps
from engine.flow.validation import check_runnable
from engine.flow.values import to_json
from engine.model.events import (
    BreakpointsSet,
    JournalEntry,
    RunAccepted,
    RunContinued,
    RunPaused,
    RunResumed,
    RunRetried,
    RunWaiting,
    StepAllowed,
    StepProgress,
)
from engine.model.problem import Problem, Severity
from engine.model.run import EventRecord, HistoryPage, RunSnapshot, RunSummary, StepRecord, to_datetime
from engine.model.statistics import RunStatistics
from engine.model.status import RunStatus
from engine.model.tool import Tool
from engine.storage.graphs import GraphManager
from engine.storage.journal import StateManager
from engine.tools.registry import ToolRegistry

_PLANS = 64
T = TypeVar("T")


class ExecutionEngine:
    """Runs workflows, and tells about them.

    Any thread may call any method. Those that return a ``Future`` never wait; the others wait for the database, and
    are not for a thread that must not (a window's). Runs of an earlier program go on at the first use, or at ``recover``.
    """

    def __init__(
        self,
        *,
        graph_manager: GraphManager,
        state_manager: StateManager,
        tool_registry: ToolRegistry,
        config: AppConfig | None = None,
    ) -> None:
        self.config = config or AppConfig()
        self.graphs = graph_manager
        self.states = state_manager
        self.tools = tool_registry
        workspace = self.config.workspace
        self._conductor = Conductor(state_manager, self.config.workers, workspace, self.config.cancel_grace_s)
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="engine-loader")
        self._lock = threading.Lock()
        self._plans: dict[tuple[str, int], _Prepared] = {}
        self._recovering = threading.RLock()
        self._recovered = False
        self._closed = False
        self._at_exit = weakref.finalize(self, _close, self._conductor, self._loader, 5.0)

    # Running --------------------------------------------------------------------------------------------------

    def execute_workflow(
        self, graph_id: str, initial_state: dict[str, Any] | None = None, breakpoints: Sequence[str] = ()
    ) -> str:
        """Start a run of a graph's newest version and return its id, once the run is durable.

        It pauses before the first of the nodes in ``breakpoints`` that is due.

        Raises:
            GraphNotFound: there is no such graph.
            ValidationError: the initial state is not a JSON object.
            ServiceUnavailable: the engine is closed.
        """
        return self._accept(graph_id, initial_state, breakpoints).result()

    def submit_workflow(
        self, graph_id: str, initial_state: dict[str, Any] | None = None, breakpoints: Sequence[str] = ()
    ) -> Future[str]:
        """As ``execute_workflow``, without waiting: a future of the run's id."""
        return self._in_loader(lambda: self._accept(graph_id, initial_state, breakpoints))

    def cancel_execution(self, run_id: str) -> bool:
        """Cancel a run; whether there was anything to cancel. Returns before running steps have stopped."""
        return self.request_cancel(run_id).result()

    def request_cancel(self, run_id: str) -> Future[bool]:
        """As ``cancel_execution``, without waiting. The future fails with ``RunNotFound`` where there is no such run."""
        return self._ask(run_id, lambda: self._conductor.cancel(run_id))

    def pause(self, run_id: str) -> Future[bool]:
        """Let a run start nothing new; running steps finish. The future says whether it was running."""
        return self._ask(run_id, lambda: self._conductor.command(run_id, RunPaused(now_us())))

    def resume(self, run_id: str) -> Future[bool]:
        """Let a paused run go on. The future says whether it was paused."""
        return self._ask(run_id, lambda: self._conductor.command(run_id, RunResumed(now_us())))

    def step(self, run_id: str) -> Future[bool]:
        """Let a paused run start one step more. The future says whether there was one to start."""
        return self._ask(run_id, lambda: self._conductor.command(run_id, StepAllowed(now_us())))

    def set_breakpoints(self, run_id: str, nodes: Sequence[str]) -> Future[bool]:
        """Have a run pause before these nodes start, in place of those set before."""
        return self._ask(
            run_id, lambda: self._conductor.command(run_id, BreakpointsSet(now_us(), tuple(nodes)))
        )

    def retry(self, run_id: str, breakpoints: Sequence[str] | None = None) -> Future[bool]:
        """Let a failed run go on from where it failed. The future says whether it had failed.

        ``breakpoints`` take the place of those set before; what failed itself starts in any case.
        It fails with ``ValidationError`` where a tool that the run needs is missing.
        """

        def load() -> Future[bool]:
            self._ensure_recovered()
            about = self.states.get_run(run_id)
            if about.status is not RunStatus.FAILED or about.started_at is None:
                return _done(value=False)
            run = self._load_run(about)
            catalog = self.tools.list_tools()
            problems = check_runnable(run.plan.graph, catalog) or check_isolation(run.plan.graph, catalog)
            if problems:
                raise ValidationError(f"the run cannot go on: {problems[0].message}", problems)
            live = LiveRun(run, about, _bind_tools(run.plan, catalog))
            return self._conductor.post_call(lambda: go_on(live))

        def go_on(live: LiveRun) -> bool:
            adopted = self._conductor.adopt(live, RunRetried(now_us()))
            if adopted and breakpoints is not None:  # before any step is acted upon
                self._conductor.command(run_id, BreakpointsSet(now_us(), tuple(breakpoints)))
            return adopted

        return self._in_loader(load)

    def _ask(self, run_id: str, command: Callable[[], bool]) -> Future[bool]:
        def look_up() -> Future[bool]:
            self._ensure_recovered()
            self.states.get_run(run_id)
            return self._conductor.post_call(command)

        return self._in_loader(look_up)

    # Looking --------------------------------------------------------------------------------------------------

    def get_execution_status(self, run_id: str) -> RunSnapshot:
        """The run as it stands now. The caller may keep and change what it is given.

        Raises:
            RunNotFound: there is no such run.
        """
        return own_copy(self.request_status(run_id).result())

    def request_status(self, run_id: str) -> Future[RunSnapshot]:
        """As ``get_execution_status``, without waiting; the snapshot's values are shared and must not be changed."""
        answer: Future[RunSnapshot] = Future()
        found = self._conductor.post_call(lambda: self._conductor.find_snapshot(run_id))

        def use(done: Future[RunSnapshot | None]) -> None:
            if (error := done.exception()) is not None:
                answer.set_exception(error)
            elif (snapshot := done.result()) is not None:
                answer.set_result(snapshot)
            else:
                _chain(self._in_loader(lambda: _done(self._load_snapshot(run_id))), answer)

        found.add_done_callback(use)
        return answer

    def wait(self, run_id: str, timeout: float | None = None) -> RunSnapshot:
        """Wait until the run has ended; ``timeout`` in seconds.

        Raises:
            RunNotFound: there is no such run.
            TimeoutError: it had not ended in time; it goes on.
        """
        try:
            return own_copy(self.when_finished(run_id).result(timeout))
        except TimeoutError:
            raise TimeoutError(f"run {run_id} had not ended after {timeout} s") from None

    def when_finished(self, run_id: str) -> Future[RunSnapshot]:
        """A future of the run as it ended; its values are shared and must not be changed."""
        answer: Future[RunSnapshot] = Future()
        if not self._conductor.add_waiter(run_id, answer):
            _chain(self._in_loader(lambda: self._find_ended(run_id, answer)), answer)
        return answer

    def get_execution_logs(
        self, run_id: str, since: int = 0, limit: int | None = None, types: Sequence[str] | None = None
    ) -> list[EventRecord]:
        """The run's events with a ``seq`` above ``since``, oldest first; of these ``event_type``s where given.

        Raises:
            RunNotFound: there is no such run.
        """
        self.states.get_run(run_id)
        records: list[EventRecord] = []
        while True:
            entries = self.states.read_events(since, run_id)
            for entry in entries:
                record = present(entry)
                if types is None or record.event_type in types:
                    records.append(record)
                    if len(records) == limit:
                        return records
            if len(entries) < 1_000:
                return records
            since = entries[-1].seq

    def query_historical_executions(
        self,
        graph_id: str | None = None,
        status: RunStatus | str | Sequence[RunStatus | str] | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> HistoryPage:
        """A page of all runs, newest first. ``start_date`` is included, ``end_date`` is not; both by acceptance."""
        return self.states.query_runs(graph_id, status, start_date, end_date, limit, offset)

    def get_execution_statistics(
        self,
        graph_id: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> RunStatistics:
        """Counts by status and by graph, and durations in seconds. ``limit`` and ``offset`` page the graphs."""
        return self.states.get_statistics(graph_id, start_date, end_date, limit, offset)

    def get_execution_steps(self, run_id: str) -> list[StepRecord]:
        """Every attempt of every step and item of the run, in the order in which they began.

        Raises:
            RunNotFound: there is no such run.
        """
        self.states.get_run(run_id)
        return list_steps(entry.event for entry in self.states.read_events(0, run_id, limit=None))

    def read_events(
        self,
        since: int = 0,
        run_id: str | None = None,
        graph_id: str | None = None,
        limit: int | None = 1_000,
    ) -> list[JournalEntry]:
        """The journal from after ``since``, oldest first; of one run or one graph where given."""
        return self.states.read_events(since, run_id, graph_id, limit)

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Have each batch of committed entries handed to ``callback``, in ``seq`` order; returns what ends it.

        It is called on the engine's thread and must only put them aside; the entries must not be changed.
        """
        return self._conductor.subscribe(callback)

    def subscribe_progress(self, callback: Callable[[StepProgress], None]) -> Callable[[], None]:
        """Have what tools say of their progress handed to ``callback``; returns what ends it.

        At most ten times a second for a step. It is called on the step's thread and must only put it aside. Progress is
        not among the events: it is not stored, and has no ``seq``.
        """
        return self._conductor.subscribe_progress(callback)

    @property
    def last_seq(self) -> int:
        """The ``seq`` of the newest event."""
        return self._conductor.last_seq

    @property
    def running_steps(self) -> int:
        """How many steps are running or queued for a worker."""
        return self._conductor.running_steps

    @property
    def abandoned_steps(self) -> int:
        """How many threads are still busy with a step that was given up: it timed out, or its run has ended."""
        return self._conductor.abandoned_steps

    @property
    def active_runs(self) -> int:
        """How many runs have not ended."""
        return self._conductor.active_runs

    @property
    def worker_count(self) -> int:
        """How many threads may run tools."""
        return self.config.workers

    # Beginning and end ----------------------------------------------------------------------------------------

    def recover(self) -> int:
        """Let runs that an earlier program left unfinished go on; how many did.

        A run whose tools are not all registered waits, and says so; call this again when they are.
        """
        with self._recovering:
            self._recovered = True
            return sum(self._recover(about) for about in self.states.unfinished_runs())

    def close(self, timeout_s: float = 5.0) -> bool:
        """Let running steps finish for this long, then stop. Unfinished runs go on at the next start.

        Returns whether all threads have ended; a tool that does not return keeps its thread.
        """
        self._closed = True
        self._at_exit.detach()
        return _close(self._conductor, self._loader, timeout_s)

    # ----------------------------------------------------------------------------------------------------------

    def _in_loader(self, call: Callable[[], Future[Any]]) -> Future[Any]:
        """Have something that reads the database done by the loader's thread; its future's outcome is the answer."""
        answer: Future[Any] = Future()

        def load() -> None:
            try:
                _chain(call(), answer)
            except BaseException as error:  # noqa: BLE001 - it is the asker's
                if not answer.done():
                    answer.set_exception(error)

        try:
            self._loader.submit(load)
        except RuntimeError:
            answer.set_exception(ServiceUnavailable("the engine is closed"))
        return answer

    def _ensure_recovered(self) -> None:
        if not self._recovered:
            with self._recovering:
                if not self._recovered:
                    self.recover()

    def _accept(
        self, graph_id: str, initial_state: dict[str, Any] | None, breakpoints: Sequence[str]
    ) -> Future[str]:
        if self._closed:
            raise ServiceUnavailable("the engine is closed")
        self._ensure_recovered()
        version = self.graphs.get_summary(graph_id).version
        prepared = self._prepare(graph_id, version)
        catalog = self.tools.list_tools()
        event = RunAccepted(
            now_us(),
            graph_id,
            version,
            prepared.plan.graph.name,
            _check_state(initial_state),
            breakpoints=tuple(breakpoints),
        )
        tools = _bind_tools(prepared.plan, catalog)
        problem = prepared.find_problem(tools, catalog)
        if problem is not None:
            event.refusal, event.refused_node = problem.message, problem.node_id
        live = _make_live(_new_run_id(), prepared.plan, event, tools)
        return self._conductor.post_call(lambda: self._conductor.accept(live, event))

    def _prepare(self, graph_id: str, version: int) -> _Prepared:
        with self._lock:
            prepared = self._plans.get((graph_id, version))
        if prepared is None:
            prepared = _Prepared(compile_plan(self.graphs.get_graph(graph_id, version)))
            with self._lock:
                while len(self._plans) >= _PLANS:
                    del self._plans[next(iter(self._plans))]
                self._plans[graph_id, version] = prepared
        return prepared

    def _load_run(self, about: RunSummary) -> RunState:
        """The run as the journal tells it."""
        plan = self._prepare(about.graph_id, about.graph_version).plan
        entries = self.states.read_events(0, about.run_id, limit=None)
        return fold(about.run_id, plan, (entry.event for entry in entries))

    def _load_snapshot(self, run_id: str) -> RunSnapshot:
        about = self.states.get_run(run_id)
        run = self._load_run(about)
        live = LiveRun(run, about, (), stored=True)
        if run.status.is_final:
            self._conductor.post_call(lambda: self._conductor.remember(live))
        return take_snapshot(run, about, self.last_seq)

    def _find_ended(self, run_id: str, waiting: Future[RunSnapshot]) -> Future[RunSnapshot]:
        self._ensure_recovered()
        about = self.states.get_run(run_id)
        if about.status.is_final:
            return _done(self._load_snapshot(run_id))
        if self._conductor.add_waiter(run_id, waiting):
            return Future()  # the waiter answers
        about = self.states.get_run(run_id)
        if about.status.is_final:  # it ended in between
            return _done(self._load_snapshot(run_id))
        raise RunNotFound(f'run "{run_id}" is not being executed by this program', {"run_id": run_id})

    def _recover(self, about: RunSummary) -> bool:
        if (
            self._conductor.post_call(lambda: self._conductor.find_snapshot(about.run_id)).result()
            is not None
        ):
            snapshot = self._conductor.post_call(lambda: self._conductor.find_snapshot(about.run_id)).result()
            if snapshot is None or snapshot.status is not RunStatus.WAITING:
                return False
        run = self._load_run(about)
        catalog = self.tools.list_tools()
        missing = sorted({node.function_name for node in run.plan.graph.nodes} - catalog.keys())
        live = LiveRun(run, about, _bind_tools(run.plan, catalog))
        if missing:
            reason = f"it needs tools that are not registered: {', '.join(missing)}"
            event: RunWaiting | RunContinued = RunWaiting(now_us(), reason)
            if run.waiting_for == reason and about.status is RunStatus.WAITING:
                return False
        else:
            event = RunContinued(now_us())
        return self._conductor.post_call(lambda: self._conductor.adopt(live, event)).result() and not missing


class _Prepared:
    """A version's plan, and what was found when it was last held against the registered tools."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._checked: tuple[tuple[Tool | None, ...], Problem | None] | None = None

    def find_problem(self, tools: tuple[Tool | None, ...], catalog: dict[str, Tool]) -> Problem | None:
        """The first thing that keeps the graph from running with these tools."""
        checked = self._checked
        if checked is None or any(old is not new for old, new in zip(checked[0], tools, strict=True)):
            checked = self._checked = (tools, self._look(catalog))
        return checked[1]

    def _look(self, catalog: dict[str, Tool]) -> Problem | None:
        graph = self.plan.graph
        return next(iter(check_runnable(graph, catalog) or check_isolation(graph, catalog)), None)


def _make_live(run_id: str, plan: Plan, event: RunAccepted, tools: tuple[Tool | None, ...]) -> LiveRun:
    about = RunSummary(
        run_id=run_id,
        graph_id=event.graph_id,
        graph_version=event.graph_version,
        graph_name=event.graph_name,
        status=RunStatus.PENDING,
        accepted_at=to_datetime(event.at),
        started_at=None,
        completed_at=None,
        error_message=None,
        step_count=0,
    )
    return LiveRun(RunState(run_id, plan), about, tools)


def _bind_tools(plan: Plan, catalog: dict[str, Tool]) -> tuple[Tool | None, ...]:
    return tuple(catalog.get(node.function_name) for node in plan.graph.nodes)


def _check_state(state: object) -> dict[str, Any]:
    if state is None:
        return {}
    if not isinstance(state, dict):
        message = f"the initial state must be an object (a dict with text keys), not {type(state).__name__}"
        raise ValidationError(message, [Problem(Severity.ERROR, "bad-state", message, field="initial_state")])
    try:
        copy: dict[str, Any] = to_json(state, "the initial state")
    except Exception as error:
        raise ValidationError(
            str(error), [Problem(Severity.ERROR, "bad-state", str(error), field="initial_state")]
        ) from error
    return copy


def _new_run_id() -> str:
    """A random id that begins with the time, so that runs lie in the index as they came."""
    return f"{time.time_ns() // 1_000_000:012x}{uuid.uuid4().hex[:16]}"


def _done(value: T) -> Future[T]:
    future: Future[T] = Future()
    future.set_result(value)
    return future


def _chain(source: Future[Any], target: Future[Any]) -> None:
    def copy(done: Future[Any]) -> None:
        if target.done():
            return
        if (error := done.exception()) is not None:
            target.set_exception(error)
        else:
            target.set_result(done.result())

    source.add_done_callback(copy)


def _close(conductor: Conductor, loader: ThreadPoolExecutor, timeout_s: float) -> bool:
    loader.shutdown(wait=False, cancel_futures=True)
    ended = conductor.close(timeout_s)
    loader.shutdown(wait=True)
    return ended
