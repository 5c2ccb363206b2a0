"""The runs: the history as a table, and the timeline of the one that is shown beside it."""

from __future__ import annotations

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPoint, QRect, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QMenu,
    QSplitter,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from engine.model.status import RunStatus
from wfe_desktop import theme
from wfe_desktop.models.runs import (
    ORIGIN_ROLE,
    ORIGIN_SIGN_ROLE,
    RUN_ROLE,
    STATUS_ROLE,
    Column,
    RunRow,
    RunsModel,
)
from wfe_desktop.panels.empty import EmptyState, Switcher
from wfe_desktop.panels.rows import Index, RowDelegate, draw_background, draw_text
from wfe_desktop.panels.timeline import Timeline

ROW = 25
SIGN = 20
TICK_MS = 1000
WIDTHS = {Column.STATUS: 40, Column.STARTED: 118, Column.TOOK: 92, Column.STEPS: 64}


class _RunDelegate(RowDelegate):
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        colors = theme.current_theme()
        draw_background(painter, option)
        status = index.data(STATUS_ROLE)
        match index.column():
            case Column.STATUS:
                self.draw_sign(
                    painter, option.rect, theme.STATUS_ICONS[status], colors.status_color(status), 14
                )
            case Column.TOOK | Column.STEPS:
                self._words(painter, option.rect, index, code=True)
            case Column.RUN if origin := index.data(ORIGIN_ROLE):
                self._name_fork(painter, option.rect, index, origin)
            case _:
                self._words(painter, option.rect, index, code=False)

    def _name_fork(self, painter: QPainter, rect: QRect, index: Index, origin: str) -> None:
        """The run's name, then where it comes from: in words, or where there is no room by a sign."""
        color, font = theme.current_theme().text_second, theme.ui_font(theme.TEXT_SECOND_SIZE)
        wanted = QFontMetrics(theme.ui_font(theme.TEXT_DENSE_SIZE)).horizontalAdvance(str(index.data())) + 18
        room = rect.width() - wanted - 10
        if room >= QFontMetrics(font).horizontalAdvance(origin):
            draw_text(painter, rect.adjusted(wanted, 0, -8, 0), origin, font, color)
            self._words(painter, rect, index, code=False)
        else:
            width = min(wanted, rect.width() - SIGN)
            sign = QRect(rect.x() + width - 4, rect.y(), SIGN, rect.height())
            self.draw_sign(painter, sign, index.data(ORIGIN_SIGN_ROLE), color, 13)
            self._words(painter, rect.adjusted(0, 0, width - rect.width(), 0), index, code=False)

    def _words(self, painter: QPainter, rect: QRect, index: Index, *, code: bool) -> None:
        colors = theme.current_theme()
        font = theme.code_font(theme.CODE_SIZE) if code else theme.ui_font(theme.TEXT_DENSE_SIZE)
        color = colors.text if index.column() != Column.STARTED else colors.text_second
        draw_text(painter, rect.adjusted(8, 0, -8, 0), str(index.data()), font, color)


class RunsPanel(QWidget):
    """``run_chosen(run_id)`` when the user picks a run; ``stop_requested(run_id)`` from its menu.

    ``steer_requested(what, run_id)``: from its menu too; ``what`` is pause, resume or retry.
    ``fork_requested(run_id, node_id, visit)``: run again from a step of it; without a node from its start, with visit 0 from
    the latest.
    """

    run_chosen = Signal(str)
    stop_requested = Signal(str)
    steer_requested = Signal(str, str)
    delete_requested = Signal(list)
    """The ids of the runs that are selected and have ended; child runs, which go with their parent, are not among them."""
    fork_requested = Signal(str, str, int)
    node_chosen = Signal(str)

    def __init__(self, model: RunsModel) -> None:
        super().__init__()
        self.setProperty("panel", "true")
        self.model = model
        self.view = QTableView()
        self.view.setObjectName("runs_view")
        self.view.setAccessibleName("Runs")
        self.view.setModel(model)
        self.view.setItemDelegate(_RunDelegate(ROW, self.view))
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setShowGrid(False)
        self.view.setMouseTracking(True)
        self.view.setWordWrap(False)
        self.view.setTabKeyNavigation(False)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._set_up_headers()
        self.timeline = Timeline()
        self._marked = ""
        self._split = QSplitter(Qt.Orientation.Horizontal)
        self._split.addWidget(self.view)
        self._split.addWidget(self.timeline)
        self._split.setStretchFactor(0, 0)
        self._split.setStretchFactor(1, 1)
        self._split.setSizes([440, 460])
        self._split.setChildrenCollapsible(False)
        self.empty = EmptyState("history", "No runs yet", "Press F5 to run the workflow on the canvas.")
        self._switcher = Switcher(self._split, self.empty)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._switcher)
        self.view.clicked.connect(self._choose)
        self.view.activated.connect(self._choose)
        self.view.selectionModel().currentRowChanged.connect(self._follow_keys)
        self.view.customContextMenuRequested.connect(self._open_menu)
        self.timeline.node_chosen.connect(self.node_chosen)
        self.timeline.fork_requested.connect(
            lambda node_id, visit: self.fork_requested.emit(self._marked, node_id, visit)
        )
        model.rowsInserted.connect(self._settle)
        model.rowsRemoved.connect(self._settle)
        model.modelReset.connect(self._settle)
        self._ticker = QTimer(self)
        self._ticker.setInterval(TICK_MS)
        self._ticker.timeout.connect(self._tick)
        self._ticker.start()
        self._settle()

    def select_run(self, run_id: str) -> None:
        """Mark the run that is shown, without choosing it again; later, where it is not in the table yet."""
        self._marked = run_id
        row = self.model.row_of(run_id)
        selection = self.view.selectionModel()
        if row < 0:
            selection.clear()
        elif selection.currentIndex().row() != row or not selection.isRowSelected(row, QModelIndex()):
            selection.blockSignals(True)  # noqa: FBT003 - Qt has no name for it
            rows = QItemSelectionModel.SelectionFlag.Rows
            selection.setCurrentIndex(
                self.model.index(row, 0), rows | QItemSelectionModel.SelectionFlag.ClearAndSelect
            )
            selection.blockSignals(False)  # noqa: FBT003
            self.view.viewport().update()

    def _set_up_headers(self) -> None:
        down = self.view.verticalHeader()
        down.hide()
        down.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        down.setDefaultSectionSize(ROW)
        across = self.view.horizontalHeader()
        across.setHighlightSections(False)
        across.setSectionsClickable(False)
        across.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        across.setMinimumSectionSize(32)
        across.setSectionResizeMode(Column.RUN, QHeaderView.ResizeMode.Stretch)
        for column, width in WIDTHS.items():
            across.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            across.resizeSection(column, width)

    def _settle(self) -> None:
        if self._marked:
            self.select_run(self._marked)
        self._switcher.show_content(self.model.rowCount() > 0)

    def _tick(self) -> None:
        if self.view.isVisible():
            self.model.tick()

    def _choose(self, index: QModelIndex) -> None:
        run_id = index.data(RUN_ROLE)
        if run_id:
            self.run_chosen.emit(run_id)

    def _follow_keys(self, index: QModelIndex) -> None:
        if self.view.hasFocus() and QApplication.mouseButtons() == Qt.MouseButton.NoButton:
            self._choose(index)

    def _show_children(self, wanted: bool) -> None:
        self.model.with_children = wanted
        self.model.reload()

    def _steering_action(self, run: RunRow, menu: QMenu) -> QAction:
        """The one of three that goes with how the run stands."""
        match run.status:
            case RunStatus.PAUSED:
                what, text = "resume", "Resume"
            case RunStatus.FAILED:
                what, text = "retry", "Go on from the failure"
            case _:
                what, text = "pause", "Pause"
        action = QAction(text, menu)
        action.setEnabled(what != "pause" or run.status is RunStatus.RUNNING)
        action.triggered.connect(lambda: self.steer_requested.emit(what, run.run_id))
        return action

    def _delete_action(self, run: RunRow, menu: QMenu) -> QAction:
        """For all that are selected, if the run is one of them; else for the run alone."""
        chosen = [self.model.run_at(index.row()) for index in self.view.selectionModel().selectedRows()]
        if run not in chosen:
            chosen = [run]
        ended = [each.run_id for each in chosen if each.status.is_final and each.parent_run_id is None]
        action = QAction("Delete…" if len(chosen) == 1 else f"Delete {len(ended)} ended runs…", menu)
        action.setEnabled(bool(ended))
        action.triggered.connect(lambda: self.delete_requested.emit(ended))
        return action

    def _open_menu(self, at: QPoint) -> None:
        index = self.view.indexAt(at)
        if not index.isValid():
            return
        run = self.model.run_at(index.row())
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        show = QAction("Show on the canvas", menu)
        show.triggered.connect(lambda: self.run_chosen.emit(run.run_id))
        copy = QAction("Copy run id", menu)
        copy.triggered.connect(lambda: QApplication.clipboard().setText(run.run_id))
        stop = QAction("Stop", menu)
        stop.setEnabled(not run.status.is_final)
        stop.triggered.connect(lambda: self.stop_requested.emit(run.run_id))
        menu.addActions([show, copy])
        if (parent := run.parent_run_id) is not None:
            up = QAction("Show the run that started it", menu)
            up.triggered.connect(lambda: self.run_chosen.emit(parent))
            menu.addAction(up)
        if (origin := run.forked_from) is not None:
            old = QAction("Show the run that it was forked from", menu)
            old.triggered.connect(lambda: self.run_chosen.emit(origin))
            menu.addAction(old)
        menu.addSeparator()
        menu.addAction(self._steering_action(run, menu))
        again = QAction("Run again from the start…", menu)
        again.triggered.connect(lambda: self.fork_requested.emit(run.run_id, "", 0))
        menu.addAction(again)
        menu.addAction(stop)
        menu.addAction(self._delete_action(run, menu))
        menu.addSeparator()
        children = QAction("Child runs in the table, too", menu)
        children.setCheckable(True)
        children.setChecked(self.model.with_children)
        children.toggled.connect(self._show_children)
        menu.addAction(children)
        menu.popup(self.view.viewport().mapToGlobal(at))
