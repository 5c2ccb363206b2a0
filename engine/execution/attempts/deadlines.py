"""One thread that calls things when their time has come: timeouts of steps, and lines that wait to be sent on."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Deadline:
    """Something to be called later, unless it is cancelled before. A late cancel does nothing."""

    __slots__ = ("_call", "_order")

    def __init__(self, when: float, number: int, call: Callable[[], None]) -> None:
        self._order = (when, number)
        self._call: Callable[[], None] | None = call

    def __lt__(self, other: Deadline) -> bool:
        return self._order < other._order

    @property
    def when(self) -> float:
        """On the monotonic clock, in seconds."""
        return self._order[0]

    def cancel(self) -> None:
        """Do not call. What the call refers to is let go of at once."""
        self._call = None

    def fire(self) -> None:
        """Call, unless cancelled."""
        call, self._call = self._call, None
        if call is not None:
            call()


class Deadlines:
    """Calls functions at their time. The thread starts with the first one. What is called must not wait."""

    def __init__(self) -> None:
        self._heap: list[Deadline] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Deadline:
        """Have ``call()`` called on this object's thread after so many seconds. Any thread."""
        deadline = Deadline(time.monotonic() + delay_s, next(self._numbers), call)
        with self._changed:
            heapq.heappush(self._heap, deadline)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="deadlines", daemon=True)
                self._thread.start()
            elif self._heap[0] is deadline:
                self._changed.notify()
        return deadline

    def close(self, timeout_s: float) -> bool:
        """Call nothing any more, and end the thread; whether it ended in time."""
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._heap or self._heap[0].when > time.monotonic()):
                    wait_s = self._heap[0].when - time.monotonic() if self._heap else None
                    self._changed.wait(wait_s if wait_s is None else min(wait_s, threading.TIMEOUT_MAX))
                if self._closed:
                    return
                due = heapq.heappop(self._heap)
            try:
                due.fire()
            except Exception:
                log.exception("internal error in a deadline")
