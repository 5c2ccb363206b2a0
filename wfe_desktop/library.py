"""The workflows in the database as the window sees them: listed live, opened, deleted, changed from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

from engine.execution.services import Services
from engine.model.graph import GraphDefinition
from engine.model.run import GraphSummary
from engine.storage.graphs import GraphChanged
from wfe_desktop.background import Background
from wfe_desktop.dialogs.question import DISCARD, NO, YES, ask
from wfe_desktop.editors import Editor, Editors
from wfe_desktop.filing import Filing
from wfe_desktop.messages import Messages
from wfe_desktop.models.graphs import GraphsModel

LIST_DELAY_MS = 150


class Library(QObject):
    """Keeps the list and the open workflows in step with the database. ``place_changed``: an open one is elsewhere."""

    place_changed = Signal()
    _changed = Signal(GraphChanged)

    def __init__(
        self,
        window: QWidget,
        editors: Editors,
        filing: Filing,
        background: Background,
        messages: Messages,
        model: GraphsModel,
    ) -> None:
        super().__init__(window)
        self._window, self._editors, self._filing = window, editors, filing
        self._background, self._messages, self._model = background, messages, model
        self._services: Services | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(LIST_DELAY_MS)
        self._timer.timeout.connect(self._list)
        self._changed.connect(self._follow)

    def attach(self, services: Services) -> None:
        """The database is open."""
        self._services = services
        self._unsubscribe = services.graphs.subscribe(self._changed.emit)
        self._list()

    def detach(self) -> None:
        """The database is about to close."""
        self._timer.stop()
        if self._services is not None:
            self._unsubscribe()
            self._services = None

    def open_graph(self, graph_id: str, *, is_asked: bool = True) -> None:
        """Open a workflow at its newest version. One that has gone is told of where ``is_asked``."""
        services = self._services
        if services is None:
            return

        def read() -> tuple[GraphDefinition, GraphSummary]:
            summary = services.graphs.get_summary(graph_id)
            return services.graphs.get_graph(graph_id, summary.version), summary

        self._background.run(
            read,
            lambda found: self._filing.open_stored(found[0], graph_id, found[1].version),
            lambda error: self._messages.report(error) if is_asked else self._filing.ensure_open(),
        )

    def ask_delete(self, graph_id: str) -> None:
        """Delete a workflow after a question."""
        summary, services = self._model.find_graph(graph_id), self._services
        if summary is None or services is None:
            return
        ask(
            self._window,
            "delete_box",
            "Delete workflow",
            f"Delete “{summary.name}” from the database?",
            "Its runs stay in the history. This cannot be undone.",
            (
                (
                    "Delete",
                    DISCARD,
                    lambda: self._background.run(lambda: services.graphs.delete_graph(graph_id)),
                ),
                ("Cancel", NO, None),
            ),
        )

    def ask_conflict(self, editor: Editor, version: int, answer: object) -> None:
        """Somebody else stored ``version`` meanwhile: what is to become of what is on the canvas."""
        go_on = cast("Callable[..., object]", answer)
        ask(
            self._window,
            "conflict_box",
            "Changed from outside",
            f"“{editor.document.title}” was changed from outside and is now version {version}.",
            f"Yours was made from version {editor.version}. Keep both, and yours becomes a workflow of its own; "
            f"or make yours the next version, in place of version {version}.",
            (
                ("Keep both", YES, lambda: go_on(replace=False)),
                ("Replace theirs", DISCARD, lambda: go_on(replace=True)),
                ("Cancel", NO, None),
            ),
        )

    def _list(self) -> None:
        if self._services is not None:
            self._background.run(self._services.graphs.list_graphs, self._model.set_graphs)

    def _follow(self, change: GraphChanged) -> None:
        """Something was stored or deleted, by us or by somebody else."""
        if self._services is None:
            return
        if not self._timer.isActive():
            self._timer.start()
        editor = self._editors.find(lambda e: e.graph_id == change.graph_id and not e.read_only)
        if editor is None:
            return
        if change.kind == "deleted":
            editor.graph_id = editor.version = editor.stored = None
            self.place_changed.emit()
            self._messages.info(
                f"“{editor.document.title}” was deleted from the database. It is still open here."
            )
        elif change.kind == "updated" and not editor.is_storing and change.version != editor.version:
            self._take_over(editor, change)

    def _take_over(self, editor: Editor, change: GraphChanged) -> None:
        services, version, document = self._services, change.version, editor.document
        assert services is not None
        if not document.is_clean:
            self._messages.warning(
                f"“{document.title}” was changed from outside and is now version {version}.",
                "You have unsaved changes. When you save or run, you are asked what becomes of them.",
            )
            return

        def done(graph: GraphDefinition) -> None:
            if not document.is_clean:
                return  # the user has begun to edit meanwhile; saving tells of the conflict
            document.replace(graph, "Change from outside")
            editor.graph_id, editor.version, editor.stored = change.graph_id, version, document.graph
            document.mark_saved(graph_id=change.graph_id, version=version)
            self._messages.info(f"“{document.title}” was changed from outside and is now version {version}.")

        self._background.run(lambda: services.graphs.get_graph(change.graph_id, version), done, owner=editor)
