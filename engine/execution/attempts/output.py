"""What a tool prints and logs, line by line, wherever it runs.

``sys.stdout`` and ``sys.stderr`` are stood in for by streams that hand everything on to the real ones and, within a
step, also to that step's ``StepLog``; a handler of the root logger does the same for log records. Which step it is
travels in a context variable: threads of the pool set it around each call, async tools have it by their task. A thread
that a tool starts itself has no step, unless it is started in a copy of the context.
"""

from __future__ import annotations

import contextvars
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from engine.execution.secrets import hide

Emit = Callable[[int, str, str], None]
"""Takes a line: microseconds since 1970, level, message."""

MAX_LINES = 1_000
MAX_CHARACTERS = 64 * 1024
"""What of the output of one try of a step is kept; a last line says how many more there were."""

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LEVELS = (
    (logging.CRITICAL, "critical"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
)
_STREAMS = {"stdout": "info", "stderr": "warning"}

_making = threading.Lock()
_current: contextvars.ContextVar[StepLog | None] = contextvars.ContextVar("step_log", default=None)


class StepLog:
    """Makes lines of what one try of a step prints, no more than are wanted. Any thread.

    ``emit`` is given each line, and ``flush`` called after the last one.
    """

    __slots__ = ("_characters", "_emit", "_flush", "_lines", "_lock", "_more", "_open", "_parts")

    def __init__(self, emit: Emit, flush: Callable[[], None] | None = None) -> None:
        self._emit = emit
        self._flush = flush
        self._lock: threading.RLock | None = None  # made at the first line: most steps say nothing
        self._parts: dict[str, list[str]] = {}
        self._lines = self._characters = self._more = 0
        self._open = True

    def write(self, stream: str, text: str) -> None:
        """Take in a piece of a stream; a line is handed on when it is complete."""
        if not text:
            return
        with self._get_lock():
            if not self._open:
                return
            if self._is_full:
                self._more += text.count("\n")
                self._parts[stream] = [] if text.endswith("\n") else [""]  # counted when it ends
                return
            *complete, rest = text.split("\n")
            for line in complete:
                self._take("".join((*self._parts.pop(stream, ()), line)), _STREAMS[stream])
            if rest:
                parts = self._parts.setdefault(stream, [])
                parts.append(rest)
                if "\r" in rest or len(parts) > 1_000:  # a progress bar: only what it shows last counts
                    parts[:] = ["".join(parts).rpartition("\r")[2][:MAX_CHARACTERS]]

    def record(self, level: str, message: str) -> None:
        """Take in a log record, of one or several lines."""
        with self._get_lock():
            if self._open:
                for line in message.split("\n"):
                    self._take(line, level)

    def forward(self, at: int, level: str, line: str) -> None:
        """Hand on a line as another ``StepLog`` made it, which has kept the bounds."""
        with self._get_lock():
            if self._open:
                self._emit(at, level, line)

    def close(self) -> None:
        """Hand on what has no line end, and say how much was left out. Later output is dropped."""
        self._open = False  # who comes now makes a lock, and then sees this
        if self._lock is None:
            return
        with self._lock:
            for stream, parts in self._parts.items():
                if parts:
                    self._take("".join(parts), _STREAMS[stream])
            self._parts.clear()
            if self._more:
                self._emit(
                    _now_us(), "warning", f"... {self._more:,} more line{'s' if self._more > 1 else ''}"
                )
            self._more = 0
            if self._flush is not None:
                self._flush()

    def _get_lock(self) -> threading.RLock:
        if self._lock is None:
            with _making:
                if self._lock is None:
                    self._lock = threading.RLock()
        return self._lock

    @property
    def _is_full(self) -> bool:
        return self._lines >= MAX_LINES or self._characters >= MAX_CHARACTERS

    def _take(self, line: str, level: str) -> None:
        if self._is_full:
            self._more += 1
            return
        text = hide(clean_line(line))
        if not text:
            return
        room = MAX_CHARACTERS - self._characters
        if len(text) > room:
            text = f"{text[:room]}..."
        self._lines += 1
        self._characters += len(text)
        self._emit(_now_us(), level, text)


def clean_line(line: str) -> str:
    """The line as it would look: without escape codes and control characters, and what a CR wrote over."""
    if line.isascii() and line.isprintable():
        return line
    line = _ESCAPES.sub("", line.rstrip("\r").rpartition("\r")[2])
    return _CONTROLS.sub("", line.encode("utf-8", "replace").decode()).rstrip()


class Capture:
    """Within (``with Capture(log):``), what this thread or task prints and logs belongs to this step."""

    __slots__ = ("_log", "_token")

    def __init__(self, log: StepLog) -> None:
        self._log = log

    def __enter__(self) -> None:
        _stand_in()
        self._token = _current.set(self._log)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)
        self._log.close()


# The streams ---------------------------------------------------------------------------------------------------


class _Stream:
    """Stands in for a standard stream, also where there is none (a windowed program)."""

    def __init__(self, name: str, real: TextIO | None) -> None:
        self._name = name
        self.real = real

    def write(self, text: str) -> int:
        step = _current.get()
        # A log handler that writes here: the record itself was taken in already.
        if step is not None and sys._getframe(1).f_code is not _HANDLER_CODE:  # noqa: SLF001 - the one way to tell
            step.write(self._name, text)
        if self.real is not None and (step is None or _echoes):
            self.real.write(hide(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self.real is not None:
            self.real.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


_HANDLER_CODE = logging.StreamHandler.emit.__code__


class _Handler(logging.Handler):
    """Hands records of a step on to its log."""

    def emit(self, record: logging.LogRecord) -> None:
        step = _current.get()
        if step is not None:
            try:
                text = record.getMessage()
                if record.exc_info:
                    text += "\n" + (record.exc_text or logging.Formatter().formatException(record.exc_info))
            except Exception:  # noqa: BLE001 - a record whose arguments do not fit its text
                text = str(record.msg)
            step.record(next((name for least, name in _LEVELS if record.levelno >= least), "debug"), text)
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and logging.root.handlers == [self]:
            last.handle(record)  # as without this handler: with no other, warnings go to stderr


_handler = _Handler()
_lock = threading.Lock()
_users = 0
_echoes = True


@contextmanager
def logged_only() -> Iterator[None]:
    """Within, what steps print goes to their logs alone: for a program whose own output it would disturb."""
    global _echoes  # noqa: PLW0603 - the streams are the interpreter's own globals
    _echoes = False
    try:
        yield
    finally:
        _echoes = True


def install() -> None:
    """Stand in for the streams until as many calls of ``uninstall``."""
    global _users  # noqa: PLW0603 - the streams are the interpreter's own globals
    with _lock:
        _users += 1
    _stand_in()


def uninstall() -> None:
    """Put the real streams back, once nobody needs the others any more."""
    global _users  # noqa: PLW0603
    with _lock:
        _users -= 1
        if _users == 0:
            logging.root.removeHandler(_handler)
            for name in _STREAMS:
                stream = getattr(sys, name)
                if isinstance(stream, _Stream):
                    setattr(sys, name, stream.real)


def _stand_in() -> None:
    """Stand in for the streams there are now: somebody may have put others there meanwhile."""
    if type(sys.stdout) is _Stream and type(sys.stderr) is _Stream and _handler in logging.root.handlers:
        return
    with _lock:
        if _users == 0:
            return
        for name in _STREAMS:
            stream = getattr(sys, name)
            if not isinstance(stream, _Stream):
                setattr(sys, name, _Stream(name, stream))
        if _handler not in logging.root.handlers:
            logging.root.addHandler(_handler)


def _now_us() -> int:
    return time.time_ns() // 1_000
