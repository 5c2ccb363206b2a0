"""The one door for messages to the user. The window shows them; tests and the log can read what was said."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import uuid4

from PySide6.QtCore import QObject, Signal

from engine.errors import ValidationError, WorkflowError
from wfe_desktop.canvas.export import ExportError
from wfe_desktop.document.files import WorkflowFileError

log = logging.getLogger("wfe.messages")


class Tone(StrEnum):
    """How a message is shown: errors stay until they are closed, the rest fades."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Message:
    """``text`` says what happened and where; ``advice`` what to do about it."""

    tone: Tone
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Wording:
    """What an exception is to the user."""

    text: str
    advice: str = ""
    is_ours: bool = field(default=False)


def word(error: BaseException) -> Wording:
    """Put an exception in words: the user's and the environment's errors as they are, ours with a reference."""
    if isinstance(error, ValidationError) and error.problems:
        others = len(error.problems) - 1
        more = f" (and {others} more, listed under Problems)" if others else ""
        return Wording(f"{error.problems[0].message}{more}")
    if isinstance(error, (WorkflowError, WorkflowFileError, ExportError)):
        return Wording(str(error))
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return Wording(
            f"{place}{error.strerror or error}", "Check that the place exists and that you may write there."
        )
    reference = uuid4().hex[:8]
    return Wording(
        f"Something went wrong inside the program (reference {reference}).",
        "Your work is kept. The log has the details; please report it with the reference.",
        is_ours=True,
    )


class Messages(QObject):
    """``posted(Message)`` is emitted for each message; ``history`` keeps the latest of them."""

    posted = Signal(Message)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.history: deque[Message] = deque(maxlen=200)

    def info(self, text: str) -> None:
        """Something happened that the user may like to know."""
        self._post(Message(Tone.INFO, text), logging.INFO)

    def success(self, text: str) -> None:
        """What the user asked for is done."""
        self._post(Message(Tone.SUCCESS, text), logging.INFO)

    def warning(self, text: str, advice: str = "") -> None:
        """Something is not as the user would expect, and the program goes on."""
        self._post(Message(Tone.WARNING, text, advice), logging.INFO)

    def error(self, text: str, advice: str = "") -> None:
        """What the user asked for could not be done."""
        self._post(Message(Tone.ERROR, text, advice), logging.INFO)

    def report(self, error: BaseException) -> None:
        """Show an exception: expected ones as they are, ours with a reference that is in the log."""
        wording = word(error)
        if wording.is_ours:
            log.error("%s", wording.text, exc_info=error)
        self._post(Message(Tone.ERROR, wording.text, wording.advice), logging.INFO)

    def _post(self, message: Message, level: int) -> None:
        log.log(level, "%s %s", message.text, message.advice)
        self.history.append(message)
        self.posted.emit(message)
