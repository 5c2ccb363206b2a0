"""Places where the program can be made to fail, to see what it leaves behind: ``WFE_FAILPOINT=name:nth:kill|raise``.

Several are separated by commas. ``kill`` ends the process as ``kill -9`` does, ``raise`` raises ``FailpointReached``, when
the place is reached for the nth time in this process. What the variable says is read once, when a module asks for its
points; a point that it does not name is a function that does nothing.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

VARIABLE: Final = "WFE_FAILPOINT"

POINTS: Final[Mapping[str, str]] = {
    "accept": "a run was asked for, and nothing of it is recorded",
    "before-commit": "decided, and not committed",
    "after-commit": "committed, and no step started",
    "before-tell": "steps started, and nobody told",
    "before-answer": "subscribers told, and not those who asked (for a new run's id, say)",
    "before-tool": "a worker has a step's arguments, and has not called its tool",
    "after-tool": "the tool has returned, and nothing was made of it",
    "before-result": "in a tool's process: the result is there, and not sent",
    "after-result": "in a tool's process: the result is sent",
    "backup": "the copy before a migration is written, and has not got its name",
    "migrate": "in a migration, before each of its statements",
    "prune": "some of what retention takes out of the database is deleted, and not committed",
    "save-file": "a workflow file's new content is written, and not in its place",
}


class FailpointReached(Exception):
    """Raised where ``WFE_FAILPOINT`` says so."""


class _Wanted(NamedTuple):
    nth: int
    action: Literal["kill", "raise"]


def failpoint(name: str) -> Callable[[], None]:
    """What to call at the place of this name.

    Raises:
        ValueError: the variable is not understood.
    """
    assert name in POINTS, name
    text = os.environ.get(VARIABLE)
    wanted = _parse(text).get(name) if text else None
    return _nothing if wanted is None else _Failpoint(name, wanted)


def is_set(point: Callable[[], None]) -> bool:
    """Whether calling it does anything; for places that are reached only with some effort."""
    return point is not _nothing


def _nothing() -> None:
    pass


class _Failpoint:
    def __init__(self, name: str, wanted: _Wanted) -> None:
        self._name = name
        self._left, self._action = wanted
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left != 0:
                return
            if self._action == "kill":
                os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
                threading.Event().wait()  # the signal may take a moment, in which nothing may happen
        raise FailpointReached(f"{VARIABLE} says to fail at {self._name}: {POINTS[self._name]}")


def _parse(text: str) -> dict[str, _Wanted]:
    found: dict[str, _Wanted] = {}
    for part in text.split(","):
        name, _, rest = part.strip().partition(":")
        nth, _, action = rest.partition(":")
        if name not in POINTS or not nth.isdecimal() or int(nth) < 1 or action not in ("kill", "raise"):
            raise ValueError(
                f"{VARIABLE}: {part.strip()!r} is not NAME:NTH:kill or NAME:NTH:raise; names: {', '.join(POINTS)}"
            )
        found[name] = _Wanted(int(nth), "kill" if action == "kill" else "raise")
    return found
