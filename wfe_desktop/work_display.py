"""How much the engine does, in the status bar; and a message when it cannot go on, and when it can again."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, QTimer

from engine.execution.engine import ExecutionEngine
from wfe_desktop.messages import Messages
from wfe_desktop.panels.statusbar import StatusBar

POLL_MS: Final = 300


class WorkDisplay(QObject):
    """Looks at the engine some times a second. For the GUI thread."""

    def __init__(self, parent: QObject, status: StatusBar, messages: Messages) -> None:
        super().__init__(parent)
        self._status = status
        self._messages = messages
        self._engine: ExecutionEngine | None = None
        self._problem: str | None = None
        self._poll = QTimer(self)
        self._poll.setInterval(POLL_MS)
        self._poll.timeout.connect(self.refresh)

    def start(self, engine: ExecutionEngine) -> None:
        """Show what this engine does."""
        self._engine = engine
        self._poll.start()
        self.refresh()

    def stop(self) -> None:
        """The engine is about to close."""
        self._poll.stop()
        self._engine = None

    def refresh(self) -> None:
        """Look now."""
        if self._engine is None:
            return
        engine, problem = self._engine, self._engine.storage_problem
        self._status.set_work(engine.active_runs, engine.running_steps, engine.worker_count, problem)
        if problem == self._problem:
            return
        self._problem = problem
        if problem is None:
            self._messages.success("The database can be written again; work goes on.")
        else:
            text = f"{problem[:1].upper()}{problem[1:]}."
            self._messages.error(text, "All work stands still until then. What is recorded is safe.")
