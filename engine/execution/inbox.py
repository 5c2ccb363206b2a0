"""What happens to runs, in the order in which it was reported, and whose turn it is to take it in.

One thread at a time has the *turn*: it alone may change runs and write the journal. As a rule that is the engine's thread, which
sleeps until something has come. A worker whose step was the only one under way may take the turn itself, if it is free, which
saves two changes of thread; whatever was reported before is taken in first.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NamedTuple

from engine.execution.families import Opened
from engine.model.events import ChildWanted, RunEvent


class Report(NamedTuple):
    """Something that happened to a run."""

    run_id: str
    event: RunEvent | ChildWanted | Opened


class Call(NamedTuple):
    """Something to be called by whoever has the turn; what it returns is the future's, once it is committed."""

    future: Future[Any]
    function: Callable[[], Any]


class Inbox:
    """A queue of messages, a bell for the thread that sleeps until one comes, and the turn. Any thread."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self._messages: deque[Report | Call] = deque()
        self._bell = threading.Lock()
        self._bell.acquire()

    def __bool__(self) -> bool:
        return bool(self._messages)

    def put(self, message: Report | Call, *, ring: bool = True) -> None:
        """Leave a message, and wake who sleeps. Who does not ``ring`` has to see to it that it is taken."""
        self._messages.append(message)
        if ring:
            self.ring()

    def ring(self) -> None:
        """Wake who sleeps; who does not will not sleep the next time."""
        with suppress(RuntimeError):  # it rings already
            self._bell.release()

    def sleep(self, timeout_s: float | None) -> None:
        """Wait until something may have come, or for so many seconds."""
        self._bell.acquire(timeout=-1 if timeout_s is None else min(timeout_s, threading.TIMEOUT_MAX))

    def take_calls(self) -> list[Call]:
        """All calls; the reports stay, as they came. With the turn only."""
        taken = []
        while self._messages:
            taken.append(self._messages.popleft())
        self._messages.extendleft(message for message in reversed(taken) if isinstance(message, Report))
        return [message for message in taken if isinstance(message, Call)]

    def take(self) -> Report | Call | None:
        """The oldest message, or None. With the turn only."""
        return self._messages.popleft() if self._messages else None
