"""The thread pool that runs tools: loops that stay in a QThreadPool of our own and take attempts from a queue.

The one place of the engine that uses Qt. A loop that takes from a queue costs a third of a QRunnable a step.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from PySide6.QtCore import QRunnable, QThreadPool

from engine.execution.attempts import Attempt, Outcome, execute

Report = Callable[[str, Outcome], None]

_abandoned: list[QThreadPool] = []
"""Pools whose tools would not end: a pool's destructor would wait for them, holding the interpreter."""


class _Worker(QRunnable):
    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self._work = work

    def run(self) -> None:
        self._work()


class ThreadPool:
    """Runs attempts on at most ``size`` threads. Threads are started as they are needed and stay until ``close``."""

    def __init__(self, size: int, report: Report) -> None:
        self.size = size
        self._report = report
        self._queue: queue.SimpleQueue[Attempt | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._workers = 0
        self._free = 0
        self._pool = QThreadPool()
        self._pool.setMaxThreadCount(size)
        self._pool.setExpiryTimeout(-1)

    def submit(self, attempt: Attempt) -> None:
        """Run the attempt when a thread is free; its outcome is reported from that thread."""
        self._queue.put(attempt)
        with self._lock:
            self._free -= 1  # counts threads that wait for work, less the work that waits
            if self._free >= 0 or self._workers >= self.size:
                return
            self._workers += 1
            self._free += 1
        self._pool.start(_Worker(self._work))

    def _work(self) -> None:
        while (attempt := self._queue.get()) is not None:
            run_id = attempt.run_id
            outcome = execute(attempt)
            del attempt  # what it refers to is free while this thread waits
            self._report(run_id, outcome)
            with self._lock:
                self._free += 1

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
