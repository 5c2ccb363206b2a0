"""Where the program's log goes: warnings to stderr for people, and everything to a file, one JSON object a line.

No line can be forged and no terminal be steered by what is logged: in the file JSON escapes control characters, on
stderr they are made visible. Values of secrets are taken out, the server's token among them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

import platformdirs

from engine.execution.secrets import hide
from wfe_desktop.options import APP_DIR_NAME
from wfe_desktop.terminal import notice, plain

LEVELS: Final = ("debug", "info", "warning", "error")
FILE_BYTES: Final = 5_000_000
OLD_FILES: Final = 3
_OURS: Final = ("engine", "wfe", "wfe_desktop")
"""The loggers that the level is for. Others say warnings and errors, so that tools' libraries do not fill runs' logs."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

log = logging.getLogger(__name__)


def log_file() -> Path:
    """The file of this user's programs; beside it the older ones, ``.1`` to ``.3``."""
    return platformdirs.user_log_path(APP_DIR_NAME, appauthor=False) / "wfe.log"


def log_level_of_environment() -> str:
    """What ``WFE_LOG_LEVEL`` says; a word that is none is refused later, with the rest of the configuration."""
    level = os.environ.get("WFE_LOG_LEVEL", "")
    return level if level in LEVELS else "info"


@contextmanager
def logging_to(level: str, path: Path | None) -> Iterator[None]:
    """Within, the program logs: warnings to stderr, and from ``level`` on to the file, where one is given.

    A file that cannot be written is said on stderr, and the program goes on without.
    """
    stderr = logging.StreamHandler(sys.stderr)
    stderr.setLevel(logging.WARNING)
    stderr.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handlers: list[logging.Handler] = [stderr]
    if path is not None:
        try:
            handlers.append(open_file(path))
        except OSError as error:
            notice(f"There is no log file: {path}: {error.strerror or error}")
    before = {name: logging.getLogger(name).level for name in _OURS}
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())
    for handler in handlers:
        logging.root.addHandler(handler)
    hooks = sys.excepthook, threading.excepthook
    sys.excepthook, threading.excepthook = _log_uncaught, _log_uncaught_of_thread
    try:
        yield
    finally:
        sys.excepthook, threading.excepthook = hooks
        for handler in handlers:
            logging.root.removeHandler(handler)
            handler.close()
        for name, old in before.items():
            logging.getLogger(name).setLevel(old)


def open_file(path: Path) -> logging.Handler:
    """A handler that writes to the file, which is for its user's eyes only.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = LogFile(path, maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8")
    handler.setFormatter(JsonFormatter())
    return handler


class JsonFormatter(logging.Formatter):
    """A record as one line: time, level, logger, message, pid; the traceback as ``error``; what it was given as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": hide(_message(record)),
            "pid": record.process,
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in line:
                line[name] = hide(str(value))
        if record.exc_info:
            line["error"] = hide(self.formatException(record.exc_info))
        return json.dumps(line)  # ASCII: no character in it ends a line or is obeyed by a terminal


class PlainFormatter(logging.Formatter):
    """A record for people: one line, and a traceback indented below it."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines."""
        record.message = plain(hide(_message(record)))
        record.asctime = self.formatTime(record)
        text = self.formatMessage(record)
        if record.exc_info:
            trace = hide(self.formatException(record.exc_info))
            text += "".join(f"\n    {plain(line)}" for line in trace.splitlines())
        return text


class LogFile(RotatingFileHandler):
    """The file, which several programs of the user may write to, and one of them moves aside when it is full."""

    def _open(self) -> Any:
        stream = super()._open()
        if os.name == "posix":
            os.fchmod(stream.fileno(), 0o600)
        return stream

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802
        """Whether it is full. One that another program has moved meanwhile is left for the new one."""
        if self.stream is not None and not self._is_current(self.stream):
            self.stream.close()
            self.stream = self._open()
        return bool(super().shouldRollover(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A disk that is full stops no program, and stderr has had what matters."""

    def _is_current(self, stream: TextIO) -> bool:
        try:
            there, ours = Path(self.baseFilename).stat(), os.fstat(stream.fileno())
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit their text, of whatever library
        return str(record.msg)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("an exception was not caught", exc_info=(kind, error, trace))


def _log_uncaught_of_thread(about: threading.ExceptHookArgs) -> None:
    if about.exc_type is not SystemExit and about.exc_value is not None:
        name = about.thread.name if about.thread is not None else "that has ended"
        info = (about.exc_type, about.exc_value, about.exc_traceback)
        log.critical("an exception was not caught in the thread %s", name, exc_info=info)
