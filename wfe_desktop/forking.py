"""Running again from a step of a run: the dialog, and the new run shown in place of the old one."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from engine.execution.engine import ExecutionEngine
from engine.model.run import ForkPoint
from wfe_desktop.background import Background, is_alive
from wfe_desktop.dialogs.fork_form import ForkForm, Wish
from wfe_desktop.document.edits import same_graph
from wfe_desktop.editors import Editor, Editors
from wfe_desktop.messages import Messages
from wfe_desktop.running import RunControl


class Forking:
    """Asks, then forks. On the GUI thread; it never waits."""

    def __init__(
        self,
        engine: ExecutionEngine,
        background: Background,
        messages: Messages,
        editors: Editors,
        runs: RunControl,
        window: QWidget,
    ) -> None:
        self._engine, self._background, self._messages = engine, background, messages
        self._editors, self._runs, self._window = editors, runs, window

    def ask(self, run_id: str, node_id: str | None, visit: int | None = None) -> None:
        """Open the dialog for a step of a run, for its latest visit; without a step, for the run's start."""
        self._background.follow(self._engine.look_at_fork(run_id, node_id, visit), self._open)

    def _open(self, point: ForkPoint) -> None:
        editor = self._editors.find(lambda e: e.graph_id == point.graph_id and not e.read_only)
        shown = self._runs.editor_of(point.run_id) or editor
        title_of = shown.document.node_title if shown is not None else str
        form = ForkForm(
            title_of(point.node_id) if point.node_id is not None else "",
            [title_of(node) for node in point.taken_over],
            point.state,
            point.graph_version,
            is_changed=editor is not None and _is_changed(editor, point),
            parent=self._window,
        )
        form.asked.connect(lambda wish: self._fork(form, point, editor, wish))
        form.open()

    def _fork(self, form: ForkForm, point: ForkPoint, editor: Editor | None, wish: Wish) -> None:
        if editor is None or not wish.as_it_is_now:
            self._start(form, point, None, wish)
        elif editor.is_storing:
            form.show_refusal("The workflow is just being stored. Try again.")
        else:
            self._runs.store(
                editor,
                lambda: self._start(form, point, editor, wish),
                failed=lambda error: _refuse(form, error),
            )

    def _start(self, form: ForkForm, point: ForkPoint, editor: Editor | None, wish: Wish) -> None:
        """Fork with what ``editor`` holds, or where there is none with the version that ran."""
        stops = self._find_breakpoints(point, editor)
        future = self._engine.submit_fork(
            point.run_id,
            point.node_id,
            point.visit,
            state=wish.state,
            remove=wish.remove,
            graph_version=point.graph_version if editor is None else editor.version,
            breakpoints=stops,
        )

        def started(run_id: str) -> None:
            if is_alive(form):
                form.done(ForkForm.DialogCode.Accepted)
            if editor is None:
                self._runs.show_run(run_id)
            else:
                self._runs.show_started(editor, run_id, stops)

        self._background.follow(future, started, lambda error: _refuse(form, error))

    def _find_breakpoints(self, point: ForkPoint, editor: Editor | None) -> tuple[str, ...]:
        """Those of the workflow on the canvas, as far as the version has these nodes."""
        if editor is not None:
            return editor.document.breakpoints
        shown, view = self._runs.editor_of(point.run_id), self._runs.shown
        if shown is None or view is None or view.run_id != point.run_id:
            return ()
        known = {node.id for node in view.graph.nodes}
        return tuple(node for node in shown.document.breakpoints if node in known)


def _is_changed(editor: Editor, point: ForkPoint) -> bool:
    if editor.stored is None or editor.version != point.graph_version:
        return True
    return not same_graph(editor.stored, editor.document.graph)


def _refuse(form: ForkForm, error: BaseException) -> None:
    if is_alive(form):
        form.show_refusal(str(error))
