"""The inspector: shows and edits what is selected. Every change goes through the document."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import cast

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import QGridLayout, QPushButton, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from engine.model.problem import Problem
from engine.model.run import RunSnapshot
from wfe_desktop.document.clipboard import put_on_clipboard
from wfe_desktop.document.document import WorkflowDocument
from wfe_desktop.document.edits import EdgeKey
from wfe_desktop.forms.controls import line, words
from wfe_desktop.panels.inspector_edge import EdgePage
from wfe_desktop.panels.inspector_graph import GraphPage
from wfe_desktop.panels.inspector_node import NodePage
from wfe_desktop.panels.inspector_parts import Header, column
from wfe_desktop.theme import INSPECTOR_WIDTH, SPACE


class ManyPage(QWidget):
    """Several things are selected: how many, and what can be done with all of them."""

    duplicated = Signal(list)
    """The ids of the new nodes."""

    def __init__(self, document: WorkflowDocument, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document = document
        self._nodes: tuple[str, ...] = ()
        self._edges: tuple[EdgeKey, ...] = ()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        self.header = Header()
        self.header.tile.show_icon("copy")
        self.header.title.setReadOnly(True)
        self.header.title.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        outer.addWidget(self.header)
        outer.addWidget(line())
        body = QWidget()
        layout = column(body)
        grid = QGridLayout()
        grid.setSpacing(2 * SPACE)
        self.duplicate_button = QPushButton("Duplicate")
        self.duplicate_button.clicked.connect(self._duplicate)
        self.copy_button = QPushButton("Copy")
        self.copy_button.clicked.connect(lambda: put_on_clipboard(self._document.copy(self._nodes)))
        self.delete_button = QPushButton("Delete")
        self.delete_button.setProperty("danger", "true")
        self.delete_button.clicked.connect(lambda: self._document.remove(self._nodes, self._edges))
        for index, button in enumerate((self.duplicate_button, self.copy_button, self.delete_button)):
            grid.addWidget(button, index // 2, index % 2)
        layout.addLayout(grid)
        layout.addWidget(words("Select a single node to see its parameters.", "second", wrap=True))
        layout.addStretch(1)
        outer.addWidget(body, 1)

    def show_selection(self, nodes: tuple[str, ...], edges: tuple[EdgeKey, ...]) -> None:
        """Show how many nodes and edges are selected."""
        self._nodes, self._edges = nodes, edges
        parts = [
            f"{len(some)} {noun}{'' if len(some) == 1 else 's'}"
            for some, noun in ((nodes, "node"), (edges, "edge"))
            if some
        ]
        self.header.show_title(f"{len(nodes) + len(edges)} selected")
        self.header.show_subtitle(" · ".join(parts))
        self.duplicate_button.setEnabled(bool(nodes))
        self.copy_button.setEnabled(bool(nodes))

    def _duplicate(self) -> None:
        self.duplicated.emit(self._document.duplicate(self._nodes))


class InspectorPanel(QWidget):
    """The panel at the right. Tell it the document, what is selected, the run that is shown and the problems.

    ``select_requested(node ids, edge keys)``: something else should be selected, and seen.
    """

    select_requested = Signal(list, list)
    inputs_wanted = Signal(str, str, int, int)
    """What was a step given? Run, node, visit and attempt; to be answered with ``show_inputs``."""

    def __init__(
        self,
        document: WorkflowDocument | None = None,
        workspace: Path | None = None,
        resources: Mapping[str, int] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setProperty("panel", "true")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setMinimumWidth(INSPECTOR_WIDTH - 16 * SPACE)
        self._workspace = workspace
        self._resources = resources
        self._document: WorkflowDocument | None = None
        self._nodes: tuple[str, ...] = ()
        self._edges: tuple[EdgeKey, ...] = ()
        self._run: RunSnapshot | None = None
        self._problems: Sequence[Problem] = ()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self.pages: QStackedWidget | None = None
        self.set_document(document)

    def sizeHint(self) -> QSize:
        """As wide as the theme says."""
        return QSize(INSPECTOR_WIDTH, super().sizeHint().height())

    def set_document(self, document: WorkflowDocument | None) -> None:
        """Show another document; its selection is empty until ``show_selection``."""
        if self._document is not None:
            self._document.changed.disconnect(self._refresh)
            self._document.catalog_changed.disconnect(self._refresh)
            self._document.node_renamed.disconnect(self._follow_node)
            self._document.edge_rekeyed.disconnect(self._follow_edge)
        if self.pages is not None:
            self.pages.hide()
            self._layout.removeWidget(self.pages)
            self.pages.deleteLater()
            self.pages = None
        self._document, self._run, self._problems = document, None, ()
        self._nodes, self._edges = (), ()
        if document is None:
            return
        self.graph_page = GraphPage(document)
        self.node_page = NodePage(document, self._workspace, self._resources)
        self.edge_page = EdgePage(document)
        self.many_page = ManyPage(document)
        self.node_page.jump_requested.connect(lambda node_id: self.select_requested.emit([node_id], []))
        self.node_page.inputs_wanted.connect(self.inputs_wanted)
        self.edge_page.jump_requested.connect(lambda node_id: self.select_requested.emit([node_id], []))
        self.many_page.duplicated.connect(lambda node_ids: self.select_requested.emit(node_ids, []))
        self.pages = QStackedWidget()
        for page in (self.graph_page, self.node_page, self.edge_page, self.many_page):
            self.pages.addWidget(page)
        self._layout.addWidget(self.pages)
        document.changed.connect(self._refresh)
        document.catalog_changed.connect(self._refresh)
        document.node_renamed.connect(self._follow_node)
        document.edge_rekeyed.connect(self._follow_edge)
        self.show_selection((), ())

    def show_selection(self, node_ids: Collection[str], edge_keys: Collection[EdgeKey]) -> None:
        """Show what is selected on the canvas."""
        self._nodes, self._edges = tuple(node_ids), tuple(edge_keys)
        self._refresh()

    def show_run(self, snapshot: RunSnapshot | None) -> None:
        """Show where the node stands in this run; None: no run is shown."""
        self._run = snapshot
        if self.pages is not None:
            self.node_page.show_run(snapshot)

    def show_inputs(self, run_id: str, found: object) -> None:
        """Show what a step of a run was given, if it is still the one in sight; None: it cannot be found."""
        if self.pages is not None:
            self.node_page.result.given.show_inputs(run_id, found)

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """Show faults of parameters at their fields."""
        self._problems = problems
        if self.pages is not None:
            self.node_page.show_problems(problems)

    def edit_condition(self, key: EdgeKey) -> None:
        """Show an edge with the caret in its condition."""
        self.show_selection((), (key,))
        if self.pages is not None:
            self.edge_page.edit_condition()

    def edit_label(self, node_id: str) -> None:
        """Show a node with its title ready to be typed over."""
        self.show_selection((node_id,), ())
        if self.pages is not None:
            self.node_page.header.title.setFocus()
            self.node_page.header.title.selectAll()

    def _follow_node(self, old: str, new: str) -> None:
        self._nodes = tuple(new if node_id == old else node_id for node_id in self._nodes)
        if new in self._nodes:
            self.node_page.follow(old, new)
            self._select_again()

    def _follow_edge(self, old: object, new: object) -> None:
        self._edges = tuple(cast("EdgeKey", new) if key == old else key for key in self._edges)
        if new in self._edges:
            self.edge_page.key = new
            self._select_again()

    def _select_again(self) -> None:
        """The canvas knows the thing by its old name until the graph has changed: select it after that."""
        QTimer.singleShot(0, self, lambda: self.select_requested.emit(list(self._nodes), list(self._edges)))

    def _refresh(self, *_: object) -> None:
        document, pages = self._document, self.pages
        if document is None or pages is None:
            return
        nodes, edges = self._nodes, self._edges
        if nodes:
            there = {node.id for node in document.graph.nodes}
            nodes = tuple(node_id for node_id in nodes if node_id in there)
        if edges:
            keys = {edge.key for edge in document.graph.edges}
            edges = tuple(key for key in edges if key in keys)
        self._show(pages, nodes, edges)

    def _show(self, pages: QStackedWidget, nodes: tuple[str, ...], edges: tuple[EdgeKey, ...]) -> None:
        page: QWidget
        if len(nodes) + len(edges) > 1:
            self.many_page.show_selection(nodes, edges)
            page = self.many_page
        elif nodes:
            if self.node_page.node_id != nodes[0]:
                self.node_page.show_node(nodes[0])
            else:
                self.node_page.refresh()
            page = self.node_page
        elif edges:
            self.edge_page.show_edge(edges[0])
            page = self.edge_page
        else:
            self.graph_page.refresh()
            page = self.graph_page
        if pages.currentWidget() is not page:
            pages.setCurrentWidget(page)

    def changeEvent(self, event: QEvent) -> None:
        """Colours that are not the style sheet's follow the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self.pages is not None:
            self._refresh()
