"""The log of the run that is shown: filtered, searched, and following its end."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPoint, QRect, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QKeySequence, QPainter, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QPushButton,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from wfe_desktop import theme
from wfe_desktop.models.log import LEVEL_ROLE, NODE_ROLE, Column, Level, LogModel
from wfe_desktop.panels.empty import EmptyState, Switcher
from wfe_desktop.panels.palette import SearchField
from wfe_desktop.panels.rows import Index, RowDelegate, draw_background, draw_text

ROW = 22
FILTER_DELAY_MS = 150
MOST_COPIED = 20_000
SIGNS = {Level.DETAIL: "dot", Level.INFO: "info", Level.WARNING: "warning", Level.ERROR: "error"}
CHOICES = (
    ("Everything", Level.DETAIL),
    ("Without details", Level.INFO),
    ("Warnings and errors", Level.WARNING),
    ("Errors", Level.ERROR),
)


class _LogDelegate(RowDelegate):
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        colors = theme.current_theme()
        draw_background(painter, option)
        rect = option.rect.adjusted(8, 0, -8, 0)
        level = Level(index.data(LEVEL_ROLE))
        color = colors.text
        match index.column():
            case Column.TIME:
                color = colors.text_second
                sign = QRect(rect.x() + 2, rect.y(), 16, rect.height())
                fill = colors.text_faint if level < Level.WARNING else colors.status_color(level.name.lower())
                self.draw_sign(painter, sign, SIGNS[level], fill, 8 if level is Level.DETAIL else 13)
                rect.adjust(26, 0, 8, 0)
            case Column.NODE:
                color = colors.text_second
            case _ if level >= Level.WARNING:
                color = colors.status_text_color(level.name.lower())
        font = theme.code_font(11) if index.column() == Column.TIME else theme.ui_font(theme.TEXT_DENSE_SIZE)
        elide = Qt.TextElideMode.ElideMiddle if index.column() == Column.NODE else Qt.TextElideMode.ElideRight
        draw_text(painter, rect, str(index.data()), font, color, elide=elide)


class LogPanel(QWidget):
    """Shows a :class:`LogModel`. ``node_chosen(node_id)`` when a line is double-clicked.

    ``fork_requested(node_id, visit)`` from the menu of a line.
    """

    node_chosen = Signal(str)
    fork_requested = Signal(str, int)

    def __init__(self, model: LogModel) -> None:
        super().__init__()
        self.setProperty("panel", "true")
        self.model = model
        self.level = QComboBox()
        self.level.setAccessibleName("Which lines")
        for text, level in CHOICES:
            self.level.addItem(text, level)
        self.search = SearchField("Search the log")
        self.search.setAccessibleName("Search the log")
        self.search.setMaximumWidth(260)
        self.count = QLabel()
        self.count.setProperty("role", "second")
        self.follow = QPushButton("Follow")
        self.follow.setCheckable(True)
        self.follow.setChecked(True)
        self.follow.setToolTip("Keep the newest line in sight")
        self._copy = QPushButton("Copy")
        self._copy.setToolTip("Copy the selected lines, or all that are shown")
        self.view = self._make_view()
        self._switcher = Switcher(
            self.view,
            EmptyState("terminal", "No lines", "The log of the chosen run appears here, line by line."),
        )
        top = QHBoxLayout()
        top.setContentsMargins(12, 8, 12, 6)
        top.setSpacing(8)
        for widget in (self.level, self.search, self.count):
            top.addWidget(widget)
        top.addStretch(1)
        top.addWidget(self.follow)
        top.addWidget(self._copy)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(top)
        column.addWidget(self._switcher, 1)
        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(FILTER_DELAY_MS)
        self._connect()
        self._settle()

    def _make_view(self) -> QTableView:
        view = QTableView()
        view.setObjectName("log_view")
        view.setAccessibleName("Log")
        view.setModel(self.model)
        view.setItemDelegate(_LogDelegate(ROW, view))
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        view.setShowGrid(False)
        view.setWordWrap(False)
        view.setTabKeyNavigation(False)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        down, across = view.verticalHeader(), view.horizontalHeader()
        down.hide()
        down.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        down.setDefaultSectionSize(ROW)
        across.hide()
        across.setSectionResizeMode(Column.TIME, QHeaderView.ResizeMode.Fixed)
        across.resizeSection(Column.TIME, 128)
        across.setSectionResizeMode(Column.NODE, QHeaderView.ResizeMode.Fixed)
        across.resizeSection(Column.NODE, 170)
        across.setSectionResizeMode(Column.MESSAGE, QHeaderView.ResizeMode.Stretch)
        return view

    def _connect(self) -> None:
        self._delay.timeout.connect(self._filter)
        self.search.textChanged.connect(lambda _text: self._delay.start())
        self.level.currentIndexChanged.connect(self._filter)
        self.model.rowsInserted.connect(self._settle)
        self.model.modelReset.connect(self._settle)
        self.follow.toggled.connect(self._settle)
        self.view.verticalScrollBar().rangeChanged.connect(self._keep_up)
        self._copy.clicked.connect(self.copy)
        self.view.doubleClicked.connect(self._choose)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._open_menu)
        bar = self.view.verticalScrollBar()
        bar.sliderMoved.connect(lambda value: self.follow.setChecked(value >= bar.maximum()))
        shortcut = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self.view)
        shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
        shortcut.activated.connect(self.copy)

    def copy(self) -> None:
        """Put the selected lines, or all that are shown, on the clipboard."""
        rows = [index.row() for index in self.view.selectionModel().selectedRows()]
        rows = rows or list(range(self.model.rowCount()))
        QApplication.clipboard().setText(self.model.text_of(rows[-MOST_COPIED:]))

    def wheelEvent(self, event: object) -> None:
        super().wheelEvent(event)  # type: ignore[arg-type]
        bar = self.view.verticalScrollBar()
        if bar.value() < bar.maximum():
            self.follow.setChecked(False)

    def _filter(self) -> None:
        self.model.set_filter(Level(self.level.currentData()), self.search.text())

    def _settle(self) -> None:
        shown, kept = self.model.rowCount(), self.model.line_count
        self._switcher.show_content(shown > 0)
        self.count.setText(f"{kept:,} lines" if shown == kept else f"{shown:,} of {kept:,} lines")
        self.count.setVisible(kept > 0)
        if self.follow.isChecked():
            self.view.scrollToBottom()

    def _keep_up(self) -> None:
        if self.follow.isChecked():
            self.view.scrollToBottom()

    def _choose(self, index: QModelIndex) -> None:
        node_id = index.data(NODE_ROLE)
        if node_id:
            self.node_chosen.emit(node_id)

    def _open_menu(self, at: QPoint) -> None:
        index = self.view.indexAt(at)
        if not index.isValid():
            return
        line = self.model.line_at(index.row())
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        again = QAction("Run again from here…", menu)
        again.setEnabled(line.visit > 0)
        again.triggered.connect(lambda: self.fork_requested.emit(line.node, line.visit))
        show = QAction("Show the node", menu)
        show.setEnabled(bool(line.node))
        show.triggered.connect(lambda: self.node_chosen.emit(line.node))
        copy = QAction("Copy", menu)
        copy.triggered.connect(self.copy)
        menu.addActions([again, show, copy])
        menu.popup(self.view.viewport().mapToGlobal(at))
