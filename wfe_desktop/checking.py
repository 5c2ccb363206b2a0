"""Finds the problems of a workflow while it is edited: a moment after each change, away from the GUI thread."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Signal

from engine.execution.services import Services
from engine.flow.validation import validate_graph
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem
from wfe_desktop.background import Background
from wfe_desktop.editors import Editor

DELAY_MS = 200


class ProblemChecker(QObject):
    """Checks the workflow it watches. ``checked(Editor, GraphDefinition, list[Problem])`` with each outcome."""

    checked = Signal(Editor, GraphDefinition, list)
    _stored = Signal()

    def __init__(self, background: Background) -> None:
        super().__init__()
        self._background = background
        self._services: Services | None = None
        self._editor: Editor | None = None
        self._is_busy = False
        self._is_due = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self.check)
        self._stored.connect(self._check_again)

    def attach(self, services: Services) -> Callable[[], None]:
        """The engine is open: check also against its resources and the stored workflows. Returns what ends it."""
        self._services = services
        unsubscribe = services.graphs.subscribe(lambda _: self._stored.emit())

        def detach() -> None:
            unsubscribe()
            self._services = None
            self.watch(None)

        return detach

    def watch(self, editor: Editor | None) -> None:
        """Check this workflow from now on, beginning at once."""
        self._editor = editor
        self._timer.stop()
        self.check()

    def check_soon(self) -> None:
        """It was changed."""
        self._timer.start()

    def _check_again(self) -> None:
        """A workflow was stored or deleted, which may be so many times a second."""
        if not self._timer.isActive():
            self._timer.start()

    def check(self) -> None:
        """Check what is watched now; one check at a time."""
        if self._editor is None:
            return
        if self._is_busy:
            self._is_due = True
            return
        self._is_busy = True
        editor, graph, services = self._editor, self._editor.document.graph, self._services
        catalog = dict(editor.document.catalog)

        def find_problems() -> list[Problem]:
            if services is None:
                return validate_graph(graph, catalog)
            return validate_graph(graph, catalog, services.config.resources, services.graphs.find_graph)

        def done(problems: list[Problem]) -> None:
            self._finish()
            if editor is self._editor and graph is editor.document.graph:
                self.checked.emit(editor, graph, problems)

        def failed(error: BaseException) -> None:
            self._finish()
            raise error

        self._background.run(find_problems, done, failed)

    def _finish(self) -> None:
        self._is_busy = False
        if self._is_due:
            self._is_due = False
            self._timer.start()
