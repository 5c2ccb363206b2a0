"""The engine's thread: it alone changes runs and writes the journal.

Whatever happens comes in through one queue. The thread takes all that has gathered, *decides*, *commits* everything in one
transaction, *acts* (starts and stops steps) and *tells* (subscribers and those who asked), in this order and nowhere else. So
nothing is announced or built upon before it is durable, and runs share commits.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import queue
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from engine.errors import ServiceUnavailable, StepError
from engine.execution.attempts import Attempt, now_us, prepare
from engine.execution.executors import Executors
from engine.execution.snapshots import take_snapshot
from engine.flow.decide import decide
from engine.flow.run_state import RunState, WaitingStep
from engine.model.events import (
    CancelRequested,
    JournalEntry,
    RunAccepted,
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
    RunSuspended,
    RunWaiting,
    RunWoken,
    StepCancelled,
    StepCompleted,
    StepDue,
    StepFailed,
    StepParked,
    StepProgress,
    StepRetrying,
    StepsAbandoned,
    StepStarted,
)
from engine.model.run import RunSnapshot, RunSummary
from engine.model.tool import Tool
from engine.storage.database import is_storage_error
from engine.storage.journal import Batch, StateManager

log = logging.getLogger(__name__)

T = TypeVar("T")
Subscriber = Callable[[Sequence[JournalEntry]], None]

_MAX_BATCH = 1_000
_RECENT_RUNS = 32
_STATUS_EVENTS = (
    RunAccepted,
    RunStarted,
    RunWaiting,
    RunContinued,
    RunPaused,
    RunResumed,
    RunRetried,
    RunIdled,
    RunWoken,
    RunCompleted,
    RunFailed,
    RunCancelled,
)


@dataclass(slots=True)
class LiveRun:
    """A run in memory: its state, the tools as they were when it came in, and the attempts under way."""

    state: RunState
    about: RunSummary
    tools: tuple[Tool | None, ...]
    stored: bool = False
    attempts: dict[tuple[str, int | None], Attempt] = field(default_factory=dict)
    waiters: list[Future[RunSnapshot]] = field(default_factory=list)


class _Report(NamedTuple):
    run_id: str
    event: RunEvent


class _Call(NamedTuple):
    future: Future[Any]
    function: Callable[[], Any]


class Conductor:
    """Owns the thread, the executors and the live runs. Methods named ``post_...`` are for any thread and never wait."""

    def __init__(self, store: StateManager, workers: int, workspace: Path, cancel_grace_s: float) -> None:
        self._store = store
        self._workspace = workspace
        self._cancel_grace_s = cancel_grace_s
        self._inbox: queue.SimpleQueue[_Report | _Call] = queue.SimpleQueue()
        self._executors = Executors(workers, self.post)
        self._ending_runs = threading.Lock()  # a run moves from _runs to _recent, and its waiters are taken
        self._runs: dict[str, LiveRun] = {}
        self._recent: OrderedDict[str, LiveRun] = OrderedDict()
        self._subscribers: list[Subscriber] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_numbers = itertools.count()
        self._next_seq = store.last_seq() + 1

        self._entries: list[JournalEntry] = []
        self._changed: dict[str, LiveRun] = {}
        self._starts: list[tuple[LiveRun, Attempt | StepFailed]] = []
        self._stops: list[Attempt] = []
        self._given_up: list[Attempt] = []
        self._answers: list[tuple[Future[Any], Any]] = []
        self._ended: list[LiveRun] = []

        self._draining = False  # closing: nothing new starts
        self._dropping = False  # closing: steps were told to stop, so what they report is no result
        self._ending = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    # From any thread ------------------------------------------------------------------------------------------

    @property
    def last_seq(self) -> int:
        return self._next_seq - 1

    @property
    def active_runs(self) -> int:
        return len(self._runs)

    @property
    def running_steps(self) -> int:
        return sum(len(live.attempts) for live in list(self._runs.values()))

    @property
    def abandoned_steps(self) -> int:
        return self._executors.abandoned

    def post(self, run_id: str, event: RunEvent) -> None:
        """Report something that happened to a run."""
        self._inbox.put(_Report(run_id, event))

    def post_call(self, function: Callable[[], T]) -> Future[T]:
        """Have the engine's thread call this; the answer is given after whatever it recorded is committed."""
        future: Future[T] = Future()
        if self._stopped.is_set():
            future.set_exception(_closed())
            return future

        self._inbox.put(_Call(future, function))
        if self._stopped.is_set():
            _fail(future, _closed())
        return future

    def add_waiter(self, run_id: str, future: Future[RunSnapshot]) -> bool:
        """Resolve the future when the run has ended; False where no such run is in memory."""
        with self._ending_runs:
            live = self._runs.get(run_id)
            if live is not None and not self._stopped.is_set():
                live.waiters.append(future)
                return True
            live = self._recent.get(run_id)
        if live is None:
            return False
        _resolve(future, take_snapshot(live.state, live.about, self.last_seq))  # an ended run changes no more
        return True

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Be told of committed entries, on the engine's thread."""
        self._subscribers = [*self._subscribers, subscriber]

        def unsubscribe() -> None:
            self._subscribers = [other for other in self._subscribers if other is not subscriber]

        return unsubscribe

    def subscribe_progress(self, subscriber: Callable[[StepProgress], None]) -> Callable[[], None]:
        """Be told how far steps are, on their threads."""
        return self._executors.subscribe_progress(subscriber)

    # On the engine's thread -----------------------------------------------------------------------------------

    def accept(self, live: LiveRun, event: RunAccepted) -> str:
        """Take a new run in. Its id is the answer, once it is committed."""
        if self._draining:
            raise _closed()
        self._runs[live.state.run_id] = live
        self._take_in(live, event)
        return live.state.run_id

    def adopt(self, live: LiveRun, event: RunContinued | RunWaiting | RunRetried) -> bool:
        """Take in a run that was read from the journal; whether it was not here already."""
        run_id = live.state.run_id
        known = self._runs.get(run_id)
        if self._draining or (known is not None and known.state.waiting_for is None):
            return False
        if known is not None:
            live.waiters = known.waiters
        live.stored = True
        self._recent.pop(run_id, None)
        self._runs[run_id] = live
        waiting = list(live.state.waiting.items())
        self._take_in(live, event)
        for key, step in waiting:
            node, item = key if isinstance(key, tuple) else (key, None)
            node_id = live.state.plan.topology.node_ids[node]
            self._wake_later(run_id, StepParked(0, node_id, step.visit, step.attempt, step.due, item=item))
        return True

    def command(self, run_id: str, event: RunEvent) -> bool:
        """Take in what somebody asks of a run; whether it changed anything."""
        live = self._runs.get(run_id)
        before = self._next_seq
        if live is not None:
            self._take_in(live, event)
        return self._next_seq > before

    def find_waiting(self, run_id: str) -> list[tuple[str, int | None, WaitingStep]]:
        """The run's steps that wait: node, item, and how."""
        live = self._runs.get(run_id)
        if live is None:
            return []
        ids = live.state.plan.topology.node_ids
        keys = (
            (key if isinstance(key, tuple) else (key, None), step) for key, step in live.state.waiting.items()
        )
        return [(ids[node], item, step) for (node, item), step in keys]

    def cancel(self, run_id: str) -> bool:
        """Begin to cancel a run; whether there was anything to cancel."""
        live = self._runs.get(run_id)
        if live is None or live.state.cancelling:
            return False
        self._take_in(live, CancelRequested(now_us()))
        if not live.state.status.is_final:
            self._stops.extend(live.attempts.values())
            self._call_later(self._cancel_grace_s, lambda: self.post(run_id, StepsAbandoned(now_us())))
        return True

    def find_snapshot(self, run_id: str) -> RunSnapshot | None:
        """The run as it stands, if it is in memory."""
        live = self._runs.get(run_id) or self._recent.get(run_id)
        return None if live is None else take_snapshot(live.state, live.about, self.last_seq)

    def remember(self, live: LiveRun) -> None:
        """Keep an ended run that somebody looked at within reach."""
        self._recent[live.state.run_id] = live
        while len(self._recent) > _RECENT_RUNS:
            self._recent.popitem(last=False)

    # The loop -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while not self._ending:
                try:
                    self._handle(self._inbox.get(timeout=self._until_next_timer()))
                    for _ in range(_MAX_BATCH):
                        self._handle(self._inbox.get_nowait())
                except queue.Empty:
                    pass
                self._fire_timers()
                self._commit()
                self._act()
                self._tell()
        except _CannotGoOn as error:
            log.critical("the engine stops: %s", error)
        except Exception:
            log.exception("internal error; the engine stops")
        finally:
            self._refuse_the_rest()

    def _handle(self, message: _Report | _Call) -> None:
        if isinstance(message, _Call):
            try:
                self._answers.append((message.future, message.function()))
            except Exception as error:  # noqa: BLE001 - it is the asker's
                _fail(message.future, error)
            return
        run_id, event = message
        live = self._runs.get(run_id)
        if live is None or (self._dropping and isinstance(event, StepCompleted | StepFailed | StepParked)):
            return  # a late report
        self._take_in(live, event)

    def _take_in(self, live: LiveRun, event: RunEvent) -> None:
        try:
            events = decide(live.state, event)
        except Exception:
            reference = uuid.uuid4().hex[:8]
            log.exception("internal error %s in run %s", reference, live.state.run_id)
            events = self._give_up(live, reference)
        run_id = live.state.run_id
        for fact in events:
            self._entries.append(JournalEntry(self._next_seq, run_id, fact))
            self._next_seq += 1
            match fact:
                case StepStarted():
                    self._prepare(live, fact)
                case StepCompleted() | StepFailed():
                    live.attempts.pop((fact.node, fact.item), None)
                case StepRetrying():
                    self._wake_later(run_id, fact)
                case StepParked():
                    live.attempts.pop((fact.node, fact.item), None)
                    self._wake_later(run_id, fact)
                case StepCancelled():
                    if (attempt := live.attempts.pop((fact.node, fact.item), None)) is not None:
                        self._given_up.append(attempt)
                case _ if isinstance(fact, _STATUS_EVENTS):
                    self._changed[run_id] = live
        if events and live.state.status.is_final:
            self._ended.append(live)

    def _prepare(self, live: LiveRun, started: StepStarted) -> None:
        run = live.state
        node = run.plan.topology.index[started.node]
        if started.item is None and run.plan.for_each[node] is not None:
            return  # its items are the ones that are executed
        tool = live.tools[node]
        assert tool is not None, "a run with a missing tool is refused, or waits"
        try:
            log = self._executors.open_log(run.run_id, started)
            watch = self._executors.open_progress(run.run_id, started) if tool.takes_context else None
            attempt = prepare(run, node, tool, started, self._workspace, log, watch)
        except StepError as error:
            failed = StepFailed(
                now_us(),
                started.node,
                started.visit,
                started.attempt,
                error.message,
                error.code,
                item=started.item,
            )
            self._starts.append((live, failed))
        else:
            live.attempts[started.node, started.item] = attempt
            self._starts.append((live, attempt))

    def _give_up(self, live: LiveRun, reference: str) -> list[RunEvent]:
        """A fault of ours: the run ends here, and says where to look."""
        live.state.status, live.state.completed_at = type(live.state.status).FAILED, now_us()
        message = f"Internal error {reference}; the log has the details."
        return [RunFailed(now_us(), message)]

    def _commit(self) -> None:
        """One transaction for all that gathered. If the disk does not take it, wait and try again: nothing goes on."""
        if not self._entries:
            return
        batch = Batch(self._entries)
        for live in self._changed.values():
            row = _row_of(live)
            if live.stored:
                batch.changed_runs.append(
                    {("run_id" if key == "id" else f"new_{key}"): row[key] for key in _CHANGING}
                )
            else:
                batch.new_runs.append(row)
        warned = False
        while True:
            try:
                self._store.append(batch)
                break
            except Exception as error:
                if not is_storage_error(error):
                    raise
                if not warned:
                    log.warning("the journal cannot be written (%s); work stands still until it can", error)
                    warned = True
            if self._stopped.wait(1.0):
                raise _CannotGoOn("it was closed while the journal could not be written")
        for live in self._changed.values():
            live.stored = True
        self._changed.clear()

    def _act(self) -> None:
        starts, self._starts = self._starts, []
        for live, attempt in starts:
            if isinstance(attempt, StepFailed):
                self.post(live.state.run_id, attempt)
            elif live.attempts.get((attempt.started.node, attempt.started.item)) is attempt:
                self._executors.submit(attempt)
        stops, self._stops = self._stops, []
        for attempt in stops:
            self._executors.stop(attempt)
        given_up, self._given_up = self._given_up, []
        for attempt in given_up:
            self._executors.give_up(attempt)

    def _tell(self) -> None:
        entries, self._entries = self._entries, []
        if entries:
            for subscriber in self._subscribers:
                try:
                    subscriber(entries)
                except Exception:
                    log.exception("a subscriber failed")
        ended, self._ended = self._ended, []
        for live in ended:
            with self._ending_runs:
                del self._runs[live.state.run_id]
                self.remember(live)
            if live.waiters:
                snapshot = take_snapshot(live.state, live.about, self.last_seq)
                for future in live.waiters:
                    _resolve(future, snapshot)
        answers, self._answers = self._answers, []
        for future, value in answers:
            _resolve(future, value)

    def _wake_later(self, run_id: str, waits: StepRetrying | StepParked) -> None:
        if waits.due is None:
            return
        wait_s = max(0.0, (waits.due - now_us()) / 1e6)
        node, visit, attempt, item = waits.node, waits.visit, waits.attempt, waits.item
        self._call_later(wait_s, lambda: self.post(run_id, StepDue(now_us(), node, visit, attempt, item)))

    def _call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._timer_numbers), call))

    def _until_next_timer(self) -> float | None:
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _fire_timers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    # Closing --------------------------------------------------------------------------------------------------

    def close(self, timeout_s: float) -> bool:
        """Let running steps finish and be recorded, then stop. Runs go on at the next start.

        Steps that do not end in time are told to stop; what they still return is thrown away, and they are tried
        again at the next start. Returns whether every thread has ended.
        """
        deadline = time.monotonic() + timeout_s
        self.post_call(self._suspend_all)
        while time.monotonic() < deadline and self.running_steps and self._thread.is_alive():
            time.sleep(0.005)
        self.post_call(self._drop_all)
        ended = self._executors.close(1.0)
        self.post_call(self._end)
        self._thread.join(2.0)
        self._stopped.set()  # also ends a wait for a full disk
        self._thread.join(2.0)
        return ended and not self._thread.is_alive()

    def _suspend_all(self) -> None:
        self._draining = True
        for live in list(self._runs.values()):
            if live.state.waiting_for is None:
                self._take_in(live, RunSuspended(now_us()))

    def _drop_all(self) -> None:
        self._dropping = True
        for live in self._runs.values():
            self._stops.extend(live.attempts.values())

    def _end(self) -> None:
        self._ending = True

    def _refuse_the_rest(self) -> None:
        """Nobody waits for an engine that has ended, and nobody is told what is not committed."""
        self._stopped.set()
        futures: list[Future[Any]] = [future for future, _ in self._answers]
        for live in [*self._runs.values(), *self._ended]:
            futures.extend(live.waiters)
        while True:
            try:
                message = self._inbox.get_nowait()
            except queue.Empty:
                break
            if isinstance(message, _Call):
                futures.append(message.future)
        for future in futures:
            _fail(future, _closed())


class _CannotGoOn(Exception):
    """The engine has to end with work unrecorded; nothing of it was announced."""


_CHANGING = ("id", "status", "started_at", "completed_at", "error_message", "step_count")


def _row_of(live: LiveRun) -> dict[str, Any]:
    run, about = live.state, live.about
    return {
        "id": run.run_id,
        "graph_id": about.graph_id,
        "graph_version": about.graph_version,
        "graph_name": about.graph_name,
        "status": run.status.value,
        "accepted_at": run.accepted_at,
        "started_at": run.started_at,
        "completed_at": run.completed_at,
        "error_message": run.failure.message if run.failure else run.waiting_for or run.idle_reason,
        "step_count": len(run.path),
        "parent_run_id": about.parent_run_id,
        "parent_node_id": about.parent_node_id,
        "forked_from": about.forked_from,
        "idempotency_key": about.idempotency_key,
        "durability": about.durability,
    }


def _closed() -> ServiceUnavailable:
    return ServiceUnavailable("the engine is closed")


def _resolve(future: Future[Any], value: Any) -> None:
    if future.set_running_or_notify_cancel():
        future.set_result(value)


def _fail(future: Future[Any], error: Exception) -> None:
    if not future.done() and future.set_running_or_notify_cancel():
        future.set_exception(error)
