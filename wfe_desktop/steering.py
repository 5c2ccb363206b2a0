"""Pausing runs, going on, single steps, breakpoints: what is asked of a run after it has started."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from PySide6.QtCore import QObject

from engine.execution.engine import ExecutionEngine
from engine.model.graph import GraphDefinition
from wfe_desktop.background import Background
from wfe_desktop.document.breakpoints import breakpoints
from wfe_desktop.editors import Editor, Editors
from wfe_desktop.messages import Messages
from wfe_desktop.models.runs import RunsModel
from wfe_desktop.running import RunControl


class Steering(QObject):
    """Steers runs and keeps their breakpoints those of their workflow. On the GUI thread; it never waits.

    What was asked shows when the engine has recorded it, with everything else that happens to the run.
    """

    def __init__(
        self,
        engine: ExecutionEngine,
        background: Background,
        messages: Messages,
        editors: Editors,
        runs: RunControl,
        rows: RunsModel,
    ) -> None:
        super().__init__()
        self._engine, self._background, self._messages = engine, background, messages
        self._editors, self._runs, self._rows = editors, runs, rows
        for editor in editors:
            self._watch(editor)
        editors.opened.connect(self._watch)
        runs.started.connect(self._check_breakpoints)

    def pause(self, run_id: str) -> None:
        """Let a run start nothing new; what runs finishes."""
        self._ask(self._engine.pause(run_id), "The run is not running any more.")

    def resume(self, run_id: str) -> None:
        """Let a paused run go on."""
        self._ask(self._engine.resume(run_id), "The run is not paused any more.")

    def step(self, run_id: str) -> None:
        """Let a paused run start one step."""
        self._ask(self._engine.step(run_id), "There is no step to start yet: steps are still running.")

    def retry(self, run_id: str) -> None:
        """Let a failed run go on from where it failed, and show it; its breakpoints are its workflow's now."""
        row = self._rows.find_run(run_id)
        editor = self._runs.editor_of(run_id) or self._editors.find(
            lambda e: row is not None and e.graph_id == row.graph_id
        )
        stops = editor.document.breakpoints if editor is not None else None
        self._ask(
            self._engine.retry(run_id, stops),
            "The run has nothing to go on from.",
            lambda: self._runs.show_run(run_id),
        )

    def _ask(self, answer: Future[bool], refusal: str, then: Callable[[], object] | None = None) -> None:
        def done(was_done: bool) -> None:
            if not was_done:
                self._messages.info(refusal)
            elif then is not None:
                then()

        self._background.follow(answer, done)

    def _watch(self, editor: Editor) -> None:
        editor.document.changed.connect(lambda old, new: self._follow_breakpoints(editor, old, new))

    def _follow_breakpoints(self, editor: Editor, old: GraphDefinition, new: GraphDefinition) -> None:
        run_id = self._runs.active_run_of(editor)
        if run_id and old.ui is not new.ui and breakpoints(old) != breakpoints(new):
            self._background.follow(self._engine.set_breakpoints(run_id, breakpoints(new)))

    def _check_breakpoints(self, editor: Editor, run_id: str, given: object) -> None:
        """They may have been changed while the run was being started."""
        if editor.document.breakpoints != given:
            self._background.follow(self._engine.set_breakpoints(run_id, editor.document.breakpoints))
