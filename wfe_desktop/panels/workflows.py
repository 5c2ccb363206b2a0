"""The workflows in the database, live: what is made over HTTP appears here too."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QAction, QFont, QPainter
from PySide6.QtWidgets import QHBoxLayout, QListView, QMenu, QStyleOptionViewItem, QVBoxLayout, QWidget

from wfe_desktop import theme
from wfe_desktop.models.graphs import DETAIL_ROLE, ID_ROLE, GraphsModel
from wfe_desktop.panels.empty import EmptyState, Switcher
from wfe_desktop.panels.palette import SearchField
from wfe_desktop.panels.rows import LEFT, Index, RowDelegate, draw_background, draw_text

ROW = 46


class _GraphDelegate(RowDelegate):
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        colors = theme.current_theme()
        draw_background(painter, option)
        rect = option.rect.adjusted(14, 5, -12, -5)
        half = rect.height() // 2
        name = QRect(rect.x(), rect.y(), rect.width(), half)
        detail = QRect(rect.x(), rect.y() + half, rect.width(), half)
        font = theme.ui_font(theme.TEXT_DENSE_SIZE + 0.5, QFont.Weight.Medium)
        draw_text(painter, name, str(index.data()), font, colors.text, LEFT, Qt.TextElideMode.ElideMiddle)
        second = theme.ui_font(theme.TEXT_SECOND_SIZE)
        draw_text(painter, detail, index.data(DETAIL_ROLE), second, colors.text_second)


class WorkflowsPanel(QWidget):
    """``open_requested(graph_id)`` on a double-click or Enter; ``delete_requested(graph_id)`` from the menu."""

    open_requested = Signal(str)
    delete_requested = Signal(str)

    def __init__(self, model: GraphsModel) -> None:
        super().__init__()
        self.setProperty("panel", "true")
        self.model = model
        self.search = SearchField("Search workflows")
        self.search.setAccessibleName("Search workflows")
        self.view = QListView()
        self.view.setObjectName("workflows_view")
        self.view.setAccessibleName("Workflows in the database")
        self.view.setModel(model)
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        self.view.setItemDelegate(_GraphDelegate(ROW, self.view))
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._empty = EmptyState(
            "category-data",
            "No workflows yet",
            "Workflows that you run or save in the database, and those made over HTTP, appear here.",
        )
        self._switcher = Switcher(self.view, self._empty)
        top = QHBoxLayout()
        top.setContentsMargins(12, 8, 12, 4)
        top.addWidget(self.search)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(top)
        column.addWidget(self._switcher, 1)
        self.search.textChanged.connect(model.set_filter)
        self.view.doubleClicked.connect(self._open)
        self.view.customContextMenuRequested.connect(self._open_menu)
        self.search.key_passed.connect(
            lambda: self._open(
                self.view.currentIndex() if self.view.currentIndex().isValid() else self.model.index(0)
            )
        )
        model.modelReset.connect(self._settle)

    def _settle(self) -> None:
        self._switcher.show_content(self.model.rowCount() > 0)
        if self.search.text():
            self._empty.set_text("No such workflow", "Try another word.")
        else:
            self._empty.set_text(
                "No workflows yet",
                "Workflows that you run or save in the database, and those made over HTTP, appear here.",
            )

    def _open(self, index: QModelIndex) -> None:
        if index.isValid():
            self.open_requested.emit(index.data(ID_ROLE))

    def _open_menu(self, at: QPoint) -> None:
        index = self.view.indexAt(at)
        if not index.isValid():
            return
        graph_id: str = index.data(ID_ROLE)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for text, signal in (("Open", self.open_requested), ("Delete…", self.delete_requested)):
            action = QAction(text, menu)
            action.triggered.connect(lambda _=False, signal=signal: signal.emit(graph_id))
            menu.addAction(action)
        menu.popup(self.view.viewport().mapToGlobal(at))
