"""Deleting runs: the question before, and the table after, whoever deleted them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from engine.execution.engine import ExecutionEngine
from engine.execution.retention import DeletedRuns
from wfe_desktop.background import Background
from wfe_desktop.dialogs.question import DISCARD, NO, ask
from wfe_desktop.messages import Messages
from wfe_desktop.panels.runs import RunsPanel
from wfe_desktop.running import RunControl


class Removing(QObject):
    """Asks, and has the engine delete runs; takes deleted ones out of the table. On the GUI thread; it never waits."""

    _gone = Signal(list)

    def __init__(
        self,
        engine: ExecutionEngine,
        background: Background,
        messages: Messages,
        window: QWidget,
        panel: RunsPanel,
        runs: RunControl,
    ) -> None:
        super().__init__()
        self._engine, self._background, self._messages = engine, background, messages
        self._window, self._panel, self._runs = window, panel, runs
        self._gone.connect(self._forget)
        panel.delete_requested.connect(self.ask)
        self._unsubscribe = engine.subscribe_deleted(lambda run_ids: self._gone.emit(list(run_ids)))

    def close(self) -> None:
        """Take nothing more from the engine."""
        self._unsubscribe()

    def ask(self, run_ids: Sequence[str]) -> None:
        """Delete these, if the user means it."""
        what = "this run" if len(run_ids) == 1 else f"these {len(run_ids)} runs"
        ask(
            self._window,
            "delete_runs_box",
            "Delete runs",
            f"Delete {what} from the history?",
            "What was recorded of them, child runs included, is gone for good: this cannot be undone.",
            [("Delete", DISCARD, lambda: self._delete(run_ids)), ("Cancel", NO, None)],
        )

    def _forget(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            if (editor := self._runs.editor_of(run_id)) is not None:
                self._runs.clear(editor)
        self._panel.model.remove(run_ids)

    def _delete(self, run_ids: Sequence[str]) -> None:
        self._background.follow(self._engine.request_deletion(run_ids), self._has_deleted)

    def _has_deleted(self, found: DeletedRuns) -> None:
        count = len(found.deleted)
        self._messages.success("1 run is deleted." if count == 1 else f"{count or 'No'} runs are deleted.")
        if found.unfinished:
            self._messages.warning("A run is kept: it, or a child run of it, has not ended.")
