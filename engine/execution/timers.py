"""Things to be done by the engine's thread at a time."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable


class Timers:
    """Calls functions when their time has come and somebody asks. With the engine's turn only."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def call_later(self, delay_s: float, call: Callable[[], None]) -> bool:
        """Have it called so many seconds from now; whether it is the next of all."""
        entry = (time.monotonic() + delay_s, next(self._numbers), call)
        heapq.heappush(self._heap, entry)
        return self._heap[0] is entry

    def until_next(self) -> float | None:
        """Seconds until the next is due; None where there is none."""
        return max(0.0, self._heap[0][0] - time.monotonic()) if self._heap else None

    def fire(self) -> None:
        """Call what is due."""
        while self._heap and self._heap[0][0] <= time.monotonic():
            heapq.heappop(self._heap)[2]()
