"""The open workflows: each a document and the canvas that shows it, one of them in front."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from PySide6.QtCore import QObject, QPoint, QPointF, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from engine.model.graph import EdgeDefinition, GraphDefinition
from engine.model.tool import Catalog
from wfe_desktop import theme
from wfe_desktop.canvas.adapter import CanvasWidget
from wfe_desktop.canvas.spec import PendingWire
from wfe_desktop.document.document import WorkflowDocument
from wfe_desktop.models.run_view import EdgeKey
from wfe_desktop.panels.family_bar import FamilyBar
from wfe_desktop.panels.tabs import DocumentTabs
from wfe_desktop.panels.waiting_bar import WaitingBar

READ_ONLY = "This version is kept as a run saw it and cannot be changed. Edit a copy instead."
SAMPLE_BUTTONS = 3


class Sample(NamedTuple):
    """A workflow that comes with the program."""

    name: str
    graph: GraphDefinition


class Editor(QWidget):
    """One open workflow. Gestures on the canvas become edits of the document; the document's graph is drawn.

    ``graph_id`` and ``version`` say where the graph is in the database; ``stored`` is the graph as it is there.
    """

    refused = Signal(str)
    tool_placed = Signal(str)
    search_requested = Signal(QPointF, QPoint, object)
    condition_edit_requested = Signal(object)
    node_open_requested = Signal(str)
    selection_changed = Signal()
    sample_requested = Signal(str)
    copy_requested = Signal()

    def __init__(self, document: WorkflowDocument, *, note: str = "") -> None:
        super().__init__()
        self.document = document
        document.setParent(self)
        self.read_only = bool(note)
        self.graph_id = document.graph_id
        self.version = document.version
        self.stored: GraphDefinition | None = document.graph if document.graph_id else None
        self.is_storing = False
        self.canvas = CanvasWidget(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        if note:
            column.addWidget(self._make_banner(note))
        self.waiting_bar = WaitingBar()
        column.addWidget(self.waiting_bar)
        self.family_bar = FamilyBar()
        column.addWidget(self.family_bar)
        column.addWidget(self.canvas, 1)
        self._connect()
        self._draw()

    # ------------------------------------------------------------------------------------------- to the window

    def set_samples(self, samples: Sequence[Sample]) -> None:
        """Offer these while the canvas is empty."""
        if self.read_only:
            return
        buttons = QWidget()
        buttons.setObjectName("samples")
        row = QHBoxLayout(buttons)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        for sample in samples[:SAMPLE_BUTTONS]:
            button = QPushButton(sample.graph.name)
            button.setToolTip(sample.graph.description)
            button.clicked.connect(lambda _=False, name=sample.name: self.sample_requested.emit(name))
            row.addWidget(button)
        self.canvas.set_empty_widget(buttons)

    def set_catalog(self, catalog: Catalog) -> None:
        """There are other tools now."""
        self.document.set_catalog(catalog)
        self._draw()

    def place(self, function_name: str, at: QPointF | None = None, wire: PendingWire | None = None) -> None:
        """Add a node for a tool, by default in the middle of what is seen, and end the ``wire`` at it."""
        where = at if at is not None else self.canvas.view_center()
        tool = self.document.catalog.get(function_name)
        if wire is None or tool is None:
            self._add_node(function_name, where.x(), where.y())
            return
        stack = self.document.undo_stack
        stack.beginMacro(f"Add {tool.label}")
        try:
            self._add_node(function_name, where.x(), where.y())
            self.edit("connect_nodes", wire.edge_for(self.document.graph.nodes[-1].id, tool))
        finally:
            stack.endMacro()

    def fit(self) -> None:
        """Bring the whole workflow into view."""
        self.canvas.zoom_fit()

    def select(self, node_id: str | None = None, edge: EdgeKey | None = None) -> None:
        """Mark a node or an edge and bring it into view."""
        self.canvas.select([node_id] if node_id else [], [edge] if edge else [])
        if node_id:
            self.canvas.center_on(node_id)
        if edge:
            self.canvas.show_edge(edge)

    # ------------------------------------------------------------------------------------------------ gestures

    def _connect(self) -> None:
        canvas, document = self.canvas, self.document
        document.changed.connect(self._draw)
        document.refused.connect(self.refused)
        canvas.connection_check = self._check_connection
        canvas.node_requested.connect(self._add_node)
        canvas.connect_requested.connect(lambda edge: self.edit("connect_nodes", edge))
        canvas.disconnect_requested.connect(lambda keys: self.edit("remove", (), keys))
        canvas.move_requested.connect(lambda positions: self.edit("move", positions))
        canvas.delete_requested.connect(lambda nodes, keys: self.edit("remove", nodes, keys))
        canvas.search_requested.connect(self.search_requested)
        canvas.condition_edit_requested.connect(self.condition_edit_requested)
        canvas.open_node_requested.connect(self.node_open_requested)
        canvas.selection_changed.connect(lambda *_: self.selection_changed.emit())

    def edit(self, name: str, *arguments: object) -> bool:
        """Do an edit of the document by name; a refusal is shown and undone on the canvas."""
        if self.read_only:
            self.refused.emit(READ_ONLY)
            self._draw()
            return False
        if self.document.attempt(name, *arguments):
            return True
        self._draw()
        return False

    def toggle_entry(self, node_id: str) -> None:
        """Start at this node, or, where it is the entry already, wherever nothing comes before."""
        self.edit("set_entry", None if self.document.graph.entry_point == node_id else node_id)

    def _add_node(self, function_name: str, x: float, y: float) -> None:
        if self.edit("add_node", function_name, x, y):
            self.tool_placed.emit(function_name)
            self.canvas.select([self.document.graph.nodes[-1].id], [])
            self.canvas.setFocus(Qt.FocusReason.OtherFocusReason)

    def _check_connection(self, edge: EdgeDefinition) -> str | None:
        return READ_ONLY if self.read_only else self.document.explain_connect(edge)

    def _draw(self, *_: object) -> None:
        graph = self.document.graph
        self.canvas.show_graph(graph, self.document.catalog)

    # --------------------------------------------------------------------------------------------------- looks

    def _make_banner(self, note: str) -> QWidget:
        banner = QWidget()
        banner.setProperty("panel", "true")
        banner.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        row = QHBoxLayout(banner)
        row.setContentsMargins(16, 6, 12, 6)
        label = QLabel(note)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setProperty("role", "second")
        button = QPushButton("Edit a copy")
        button.clicked.connect(self.copy_requested)
        sign = QLabel()
        sign.setPixmap(theme.icon_pixmap("eye", theme.current_theme().text_second, 16))
        row.addWidget(sign)
        row.addWidget(label, 1)
        row.addWidget(button)
        return banner


class Editors(QObject):
    """The open workflows in the order of their tabs. ``current_changed`` also when the last one has gone."""

    current_changed = Signal()
    opened = Signal(Editor)
    closed = Signal(Editor)
    close_requested = Signal(Editor)
    titles_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.tabs = DocumentTabs()
        self.stack = QStackedWidget()
        self._editors: list[Editor] = []
        self.tabs.chosen.connect(self._bring_forward)
        self.tabs.moved.connect(self._move)
        self.tabs.close_requested.connect(lambda index: self.close_requested.emit(self._editors[index]))

    def __iter__(self) -> Iterator[Editor]:
        return iter(list(self._editors))

    def __len__(self) -> int:
        return len(self._editors)

    @property
    def current(self) -> Editor | None:
        """The one in front."""
        index = self.tabs.bar.currentIndex()
        return self._editors[index] if 0 <= index < len(self._editors) else None

    def find(self, wanted: Callable[[Editor], bool]) -> Editor | None:
        """The one in front if it fits, else the first that does."""
        current = self.current
        if current is not None and wanted(current):
            return current
        return next((editor for editor in self._editors if wanted(editor)), None)

    def add(self, editor: Editor) -> None:
        """Open a tab for it and bring it to the front."""
        self._editors.append(editor)
        self.stack.addWidget(editor)
        was_blocked = self.tabs.bar.blockSignals(True)  # noqa: FBT003 - the first tab would be chosen before it is ready
        index = self.tabs.add_tab(editor.document.title)
        self.tabs.bar.blockSignals(was_blocked)
        editor.document.title_changed.connect(self.refresh_titles)
        editor.document.clean_changed.connect(self.refresh_titles)
        editor.document.place_changed.connect(self.refresh_titles)
        self.refresh_titles()
        self.opened.emit(editor)
        if self.tabs.bar.currentIndex() == index:
            self._bring_forward(index)
        else:
            self.tabs.bar.setCurrentIndex(index)

    def bring_forward(self, editor: Editor) -> None:
        """Show this one."""
        self.tabs.bar.setCurrentIndex(self._editors.index(editor))

    def step(self, by: int) -> None:
        """Show the tab so many places further, around the ends."""
        if self._editors:
            self.tabs.bar.setCurrentIndex((self.tabs.bar.currentIndex() + by) % len(self._editors))

    def remove(self, editor: Editor) -> None:
        """Close it, whatever is unsaved."""
        index = self._editors.index(editor)
        self._editors.remove(editor)
        self.stack.removeWidget(editor)
        self.tabs.bar.removeTab(index)
        self.closed.emit(editor)
        editor.deleteLater()
        if not self._editors:
            self.current_changed.emit()

    def silence(self) -> None:
        """The window is about to be taken apart: what its pieces say from now on concerns nobody."""
        for speaker in (self, self.tabs.bar, *self._editors):
            speaker.blockSignals(True)  # noqa: FBT003 - Qt has no name for it
        for editor in self._editors:
            for speaker in (editor.document, editor.document.undo_stack, editor.canvas):
                speaker.blockSignals(True)  # noqa: FBT003

    def refresh_titles(self, *_: object) -> None:
        """Let the tabs say what the documents say."""
        for index, editor in enumerate(self._editors):
            document = editor.document
            title = document.title if not editor.read_only else f"{document.title} · v{document.version}"
            tip = str(document.file_path) if document.file_path else document.title
            self.tabs.set_tab(index, title, tip, is_modified=not document.is_clean)
        self.titles_changed.emit()

    def _bring_forward(self, index: int) -> None:
        if 0 <= index < len(self._editors):
            self.stack.setCurrentWidget(self._editors[index])
            self.current_changed.emit()

    def _move(self, source: int, target: int) -> None:
        self._editors.insert(target, self._editors.pop(source))
