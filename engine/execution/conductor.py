"""The one place where runs are changed and the journal is written.

Whatever happens comes in through one inbox. Who has the turn takes all that has gathered, *decides*, *commits* everything in one
transaction, *acts* (starts and stops steps) and *tells* (subscribers and those who asked), in this order and nowhere else. So
nothing is announced or built upon before it is durable, and runs share commits. The turn is the engine's thread's, or for a
moment that of a worker whose step was the only one under way: it goes on with the next one without a change of thread.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from engine.config import AppConfig
from engine.errors import ServiceUnavailable
from engine.execution.attempts.attempt import Attempt, Outcome, now_us
from engine.execution.attempts.executors import Executors
from engine.execution.families import Families, Opened
from engine.execution.inbox import Call, Inbox, Report
from engine.execution.live_run import LiveRun
from engine.execution.recorder import CannotGoOn, Commits, Recorder, Subscriber
from engine.execution.result_cache import ResultCache
from engine.execution.snapshots import take_snapshot
from engine.execution.timers import Timers
from engine.execution.token_pool import TokenPool
from engine.execution.under_way import AttemptsUnderWay
from engine.failpoints import failpoint
from engine.flow.decide import decide
from engine.flow.run_state import WaitingStep
from engine.model.events import (
    CancelRequested,
    ChildStarted,
    ChildWanted,
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
    StepQueued,
    StepRetrying,
    StepsAbandoned,
    StepStarted,
)
from engine.model.run import RunSnapshot
from engine.shelf import Shelf
from engine.storage.journal import StateManager

log = logging.getLogger(__name__)

T = TypeVar("T")

_reach_answer = failpoint("before-answer")

_MAX_BATCH = 1_000
_ROOM_FOR_ENDED = 20_000
"""So many nodes and steps have the ended runs in memory in all: some 20 MB."""
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


class Conductor:
    """Owns the thread, the executors and the live runs. Methods named ``post_...`` are for any thread and never wait."""

    def __init__(
        self, store: StateManager, config: AppConfig, open_child: Callable[[LiveRun, ChildWanted], None]
    ) -> None:
        self._cancel_grace_s = config.cancel_grace_s
        self._inbox = Inbox()
        self._stopped = threading.Event()
        self._recorder = Recorder(store, self._stopped, self._stand_still, self._call_later)
        self._executors = Executors(config.workers, self.post, self.report)
        cache = ResultCache(store.database, self.post, self.post_call, self._recorder.keep)
        self._attempts = AttemptsUnderWay(
            self._executors, cache, config.workspace, config.max_result_bytes, self.post
        )
        self._open_child = open_child
        self._timers = Timers()
        self._ending_runs = threading.Lock()  # a run moves from _runs to _recent, and its waiters are taken
        self._runs: dict[str, LiveRun] = {}
        self._recent: Shelf[str, LiveRun] = Shelf(_ROOM_FOR_ENDED)
        self.families = Families(self._runs, self._take_in, self._attempts.end)
        self.tokens = TokenPool(config.resources, self._runs, self._take_in, self.post_call)

        self._answers: list[tuple[Future[Any], Any]] = []
        self._ended: list[LiveRun] = []

        self._draining = False  # closing: nothing new starts
        self._dropping = False  # closing: steps were told to stop, so what they report is no result
        self._ending = False
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    # From any thread ------------------------------------------------------------------------------------------

    @property
    def last_seq(self) -> int:
        """Of what is committed."""
        return self._recorder.committed_seq

    @property
    def commits(self) -> Commits:
        return self._recorder.commits

    @property
    def active_runs(self) -> int:
        return len(self._runs)

    @property
    def storage_problem(self) -> str | None:
        """Why nothing can be recorded just now, and what to do; None where all is well."""
        return self._recorder.problem

    @property
    def running_steps(self) -> int:
        return self._attempts.count

    @property
    def abandoned_steps(self) -> int:
        return self._executors.abandoned

    def post(self, run_id: str, event: RunEvent | ChildWanted | Opened) -> None:
        """Report something that happened to a run."""
        self._inbox.put(Report(run_id, event))

    def report(self, run_id: str, outcome: Outcome) -> Attempt | None:
        """Report the end of a step, from a worker that has time to take it in itself.

        Returns the attempt that the worker is to go on with, where there is one.
        """
        self._inbox.put(Report(run_id, outcome), ring=False)
        if self._attempts.count != 1 or not self._inbox.turn.acquire(blocking=False):
            self._inbox.ring()
            return None
        try:
            return self._go_round(by_worker=True)
        finally:
            self._inbox.turn.release()
            if self._inbox:
                self._inbox.ring()

    def post_call(self, function: Callable[[], T]) -> Future[T]:
        """Have this called with the turn; the answer is given after whatever it recorded is committed."""
        future: Future[T] = Future()
        if self._stopped.is_set():
            future.set_exception(_closed())
            return future
        if (problem := self.storage_problem) is not None:
            future.set_exception(ServiceUnavailable(problem))
            return future

        self._inbox.put(Call(future, function))
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
        """Be told of committed entries, by whoever has the turn."""
        return self._recorder.subscribe(subscriber)

    def subscribe_progress(self, subscriber: Callable[[StepProgress], None]) -> Callable[[], None]:
        """Be told how far steps are, on their threads."""
        return self._executors.subscribe_progress(subscriber)

    # With the turn ----------------------------------------------------------------------------------------------

    def accept(self, live: LiveRun, event: RunAccepted) -> str:
        """Take a new run in. Its id is the answer, once it is committed."""
        if self._draining:
            raise _closed()
        self._runs[live.state.run_id] = live
        self._take_in(live, event)
        return live.state.run_id

    def accept_fork(self, live: LiveRun, events: list[RunEvent]) -> str:
        """Take in a new run that has begun with these events. Its id is the answer, once they are committed."""
        if self._draining:
            raise _closed()
        self._runs[live.state.run_id] = live
        self._record(live, events)
        return live.state.run_id

    def adopt(self, family: Sequence[tuple[LiveRun, RunContinued | RunWaiting | RunRetried]]) -> int:
        """Take in runs that were read from the journal, each with its children; how many were not here already."""
        members: list[tuple[LiveRun, RunContinued | RunWaiting | RunRetried]] = []
        for read, event in family:
            live, run_id = read, read.state.run_id
            known = self._runs.get(run_id)
            if self._draining or (known is not None and known.state.waiting_for is None):
                continue
            if known is not None:  # its children may have ended since it was read
                known.tools, live = read.tools, known
            live.stored = True
            self._recent.drop(run_id)
            self._runs[run_id] = live
            members.append((live, event))
        self.families.join(live for live, _ in members)
        for live, event in members:
            waiting = live.list_waiting()
            self._take_in(live, event)
            for node_id, item, step in waiting:
                parked = StepParked(0, node_id, step.visit, step.attempt, step.due, item=item)
                self._wake_later(live.state.run_id, parked)
            for started in live.children.values():
                self._wake_later(live.state.run_id, started)
        return len(members)

    def command(self, run_id: str, event: RunEvent) -> bool:
        """Take in what somebody asks of a run; whether it changed anything."""
        live = self._runs.get(run_id)
        before = self._recorder.next_seq
        if live is not None:
            self._take_in(live, event)
        return self._recorder.next_seq > before

    def find_waiting(self, run_id: str) -> list[tuple[str, int | None, WaitingStep]]:
        """The run's steps that wait: node, item, and how."""
        live = self._runs.get(run_id)
        return [] if live is None else live.list_waiting()

    def cancel(self, run_id: str) -> bool:
        """Begin to cancel a run; whether there was anything to cancel."""
        live = self._runs.get(run_id)
        if live is None or live.state.cancelling or live.state.status.is_final:
            return False
        self._take_in(live, CancelRequested(now_us()))
        return True

    def find_snapshot(self, run_id: str) -> RunSnapshot | None:
        """The run as it stands, if it is in memory."""
        live = self._runs.get(run_id) or self._recent.get(run_id)
        if live is None:
            return None
        return take_snapshot(live.state, live.about, self._recorder.next_seq - 1)  # told after the commit

    def release(self, run_ids: Sequence[str]) -> list[str]:
        """Let go of ended runs that are to be deleted; those that are not being executed."""
        for run_id in run_ids:
            self._recent.drop(run_id)
        return [run_id for run_id in run_ids if run_id not in self._runs]

    def remember(self, live: LiveRun) -> None:
        """Keep an ended run within reach."""
        run = live.state
        self._recent.put(run.run_id, live, 1 + len(run.plan.graph.nodes) + len(run.path))

    # The loop -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        timeout_s: float | None = None
        try:
            while not self._ending:
                self._inbox.sleep(0.0 if self._inbox else timeout_s)
                with self._inbox.turn:
                    self._go_round()
                    timeout_s = self._timers.until_next()
        finally:
            self._refuse_the_rest()

    def _go_round(self, *, by_worker: bool = False) -> Attempt | None:
        """Take in what has gathered, and what follows; a worker is given the attempt that it is to go on with."""
        if self._ending:
            return None
        kept: Attempt | None = None
        whole = False
        try:
            for _ in range(_MAX_BATCH):
                if (message := self._inbox.take()) is None:
                    break
                self._handle(message)
            self._timers.fire()
            if not self._draining and self.tokens.grant():
                self.families.settle()
            committed = self._recorder.commit(at_once=bool(self._answers or self._ended))
            kept = self._attempts.act(by_worker=by_worker)
            if committed:
                self._tell()
            whole = True
        except CannotGoOn as error:
            log.critical("the engine stops: %s", error)
        except Exception:
            log.exception("internal error; the engine stops")
        finally:
            if not whole:
                self._end()
                self._inbox.ring()
        return kept

    def _stand_still(self, problem: str) -> None:
        """The disk does not take what was decided. Who asked for something is told so, and does not wait with us."""
        answers, self._answers = self._answers, []
        for future, _ in answers:  # it was decided, so it is done later all the same
            _fail(future, ServiceUnavailable(f"{problem}; whether it was done will show when work goes on"))
        for call in self._inbox.take_calls():
            _fail(call.future, ServiceUnavailable(problem))

    def _handle(self, message: Report | Call) -> None:
        self._receive(message)
        self.families.settle()

    def _receive(self, message: Report | Call) -> None:
        if isinstance(message, Call):
            try:
                self._answers.append((message.future, message.function()))
            except Exception as error:  # noqa: BLE001 - it is the asker's
                _fail(message.future, error)
            return
        run_id, event = message
        live = self._runs.get(run_id)
        if live is None or (self._dropping and isinstance(event, Outcome)):
            return  # a late report
        if isinstance(event, ChildWanted):
            self._open_child(live, event)
        elif isinstance(event, Opened):
            self.families.start(live, event)
        else:
            self._take_in(live, event)

    def _take_in(self, live: LiveRun, event: RunEvent) -> bool:
        """Decide what follows from the event, and begin to do it; whether anything did."""
        try:
            events = decide(live.state, event)
        except Exception:
            reference = uuid.uuid4().hex[:8]
            log.exception("internal error %s in run %s", reference, live.state.run_id)
            events = self._give_up(live, reference)
        self._record(live, events)
        return bool(events)

    def _record(self, live: LiveRun, events: list[RunEvent]) -> None:
        self._recorder.urge(live, events)
        for fact in events:
            self._recorder.add(live.state.run_id, fact)
            self._note(live, fact)
        if events and live.state.status.is_final:
            self._ended.append(live)
        if live.children or live.origin is not None:
            self.families.follow(live, events)

    def _note(self, live: LiveRun, fact: RunEvent) -> None:
        """What is to be done about a decided fact, once it is committed."""
        match fact:
            case StepStarted():
                self._attempts.start(live, fact)
            case StepCompleted() | StepFailed() | StepCancelled():
                self._attempts.end(live, fact)
            case StepRetrying():
                self._wake_later(live.state.run_id, fact)
            case StepParked() | ChildStarted():
                self._attempts.end(live, fact)
                self._wake_later(live.state.run_id, fact)
            case StepQueued():
                self.tokens.queue(live.state, fact)
            case CancelRequested():
                self._stop_steps(live)
            case _ if isinstance(fact, _STATUS_EVENTS):
                self._recorder.mark_changed(live)

    def _stop_steps(self, live: LiveRun) -> None:
        if not live.state.status.is_final:
            run_id = live.state.run_id
            self._attempts.stop(live)
            self._call_later(self._cancel_grace_s, lambda: self.post(run_id, StepsAbandoned(now_us())))

    def _give_up(self, live: LiveRun, reference: str) -> list[RunEvent]:
        """A fault of ours: the run ends here, and says where to look."""
        live.state.status, live.state.completed_at = type(live.state.status).FAILED, now_us()
        self._attempts.forget(live)
        message = f"Internal error {reference}; the log has the details."
        return [RunFailed(now_us(), message)]

    def _tell(self) -> None:
        self._recorder.tell()
        ended, self._ended = self._ended, []
        for live in ended:
            with self._ending_runs:
                del self._runs[live.state.run_id]
                self.remember(live)
                waiters, live.waiters = live.waiters, []  # they hold what they are given
            if waiters:
                snapshot = take_snapshot(live.state, live.about, self.last_seq)
                for future in waiters:
                    _resolve(future, snapshot)
        answers, self._answers = self._answers, []
        if answers:
            _reach_answer()
        for future, value in answers:
            _resolve(future, value)

    def _wake_later(self, run_id: str, waits: StepRetrying | StepParked | ChildStarted) -> None:
        if waits.due is None:
            return
        wait_s = max(0.0, (waits.due - now_us()) / 1e6)
        node, visit, attempt, item = waits.node, waits.visit, waits.attempt, waits.item
        self._call_later(wait_s, lambda: self.post(run_id, StepDue(now_us(), node, visit, attempt, item)))

    def _call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        if self._timers.call_later(delay_s, call):
            self._inbox.ring()  # the engine's thread may sleep for too long, if it is not this one

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
        self._attempts.close()
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
            self._attempts.stop(live)

    def _end(self) -> None:
        self._ending = True

    def _refuse_the_rest(self) -> None:
        """Nobody waits for an engine that has ended, and nobody is told what is not committed."""
        self._stopped.set()
        futures: list[Future[Any]] = [future for future, _ in self._answers]
        for live in [*self._runs.values(), *self._ended]:
            futures.extend(live.waiters)
        while (message := self._inbox.take()) is not None:
            if isinstance(message, Call):
                futures.append(message.future)
        for future in futures:
            _fail(future, _closed())


def _closed() -> ServiceUnavailable:
    return ServiceUnavailable("the engine is closed")


def _resolve(future: Future[Any], value: Any) -> None:
    if future.set_running_or_notify_cancel():
        future.set_result(value)


def _fail(future: Future[Any], error: Exception) -> None:
    if not future.done() and future.set_running_or_notify_cancel():
        future.set_exception(error)
