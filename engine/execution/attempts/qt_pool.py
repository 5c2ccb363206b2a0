"""The thread pool that runs tools: loops that stay in a QThreadPool of our own and take attempts from a queue.

The one place of the engine that uses Qt. A loop that takes from a queue costs a third of a QRunnable a step.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from PySide6.QtCore import QRunnable, QThreadPool

from engine.execution.attempts.attempt import Attempt, Outcome, execute, fail_timed_out
from engine.execution.attempts.deadlines import Deadlines

Post = Callable[[str, Outcome], None]
Report = Callable[[str, Outcome], Attempt | None]
"""As ``Post``, takes the end of an attempt of a run; may give the worker that reports the attempt it is to go on with."""

CPU_BOUND_NS = 50_000_000
"""A call that took more of the processor than this is looked at."""

_abandoned: list[QThreadPool] = []
"""Pools whose tools would not end: a pool's destructor would wait for them, holding the interpreter."""


class _Worker(QRunnable):
    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self._work = work

    def run(self) -> None:
        self._work()


class ThreadPool:
    """Runs attempts on at most ``size`` threads. Threads are started as they are needed and stay until ``close``.

    A thread whose attempt was given up is not one of the ``size``: another takes its place until it returns.
    """

    def __init__(
        self,
        size: int,
        deadlines: Deadlines,
        post: Post,
        report: Report,
        observe: Callable[[Attempt], None],
    ) -> None:
        self.size = size
        self._deadlines = deadlines
        self._post = post
        self._report = report
        self._observe = observe
        self._queue: queue.SimpleQueue[Attempt | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._workers = 0
        self._free = 0
        self._lost = 0
        self._pool = QThreadPool()
        self._pool.setMaxThreadCount(size)
        self._pool.setExpiryTimeout(-1)

    @property
    def lost(self) -> int:
        """How many threads are still busy with an attempt that was given up."""
        return self._lost

    def submit(self, attempt: Attempt) -> None:
        """Run the attempt when a thread is free; its outcome is reported from that thread."""
        self._queue.put(attempt)
        with self._lock:
            self._free -= 1  # counts threads that wait for work, less the work that waits
            self._hire()

    def give_up(self, attempt: Attempt) -> bool:
        """Expect nothing of the attempt any more; whether its end was still open. Any thread."""
        with self._lock:
            if not attempt.claim():
                return False
            if attempt.began_ns:
                self._lost += 1
                self._pool.setMaxThreadCount(self.size + self._lost)
                self._hire()
            else:
                attempt.over()
        attempt.cancel()
        attempt.log.close()
        return True

    def _hire(self) -> None:
        if self._free >= 0 or self._workers >= self.size + self._lost:
            return
        self._workers += 1
        self._free += 1
        self._pool.start(_Worker(self._work))

    def _work(self) -> None:
        while (attempt := self._queue.get()) is not None:
            following: Attempt | bool = attempt
            while isinstance(following, Attempt):
                following = self._serve(following)
            del attempt  # what it refers to is free while this thread waits
            if not following:
                return

    def _serve(self, attempt: Attempt) -> Attempt | bool:
        """Run one attempt; the one to go on with, or whether this thread is still needed."""
        with self._lock:
            if not attempt.ticket:  # given up while it waited
                self._free += 1
                return True
            attempt.began_ns = time.perf_counter_ns()
        deadline = None
        if attempt.timeout_s is not None:
            deadline = self._deadlines.call_later(attempt.timeout_s, lambda: self._time_out(attempt))
        outcome = execute(attempt)
        if deadline is not None:
            deadline.cancel()
        attempt.over()
        if attempt.cpu_ns > CPU_BOUND_NS:
            self._observe(attempt)
        if attempt.claim():
            following = self._report(attempt.run_id, outcome)
            if following is not None:
                return following
            with self._lock:
                self._free += 1
            return True
        with self._lock:
            self._lost -= 1
            if self._workers > self.size + self._lost:
                self._workers -= 1
                return False
            self._free += 1
        return True

    def _time_out(self, attempt: Attempt) -> None:
        if self.give_up(attempt):
            self._post(attempt.run_id, fail_timed_out(attempt))

    def close(self, timeout_s: float) -> bool:
        """Let the threads end after their present work; whether they did in time. Nothing may be submitted after."""
        with self._lock:
            workers = self._workers
        for _ in range(workers):
            self._queue.put(None)
        if self._pool.waitForDone(max(0, int(timeout_s * 1000))):
            return True
        _abandoned.append(self._pool)
        return False
