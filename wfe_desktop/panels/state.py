"""The state and the results of the run that is shown, as a tree, with the chosen value in full beside it."""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QStyleOptionViewItem,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from engine.model.run import RunSnapshot
from wfe_desktop import theme
from wfe_desktop.models.json_tree import KIND_ROLE, JsonTreeModel
from wfe_desktop.models.times import describe_size
from wfe_desktop.panels.empty import EmptyState, Switcher
from wfe_desktop.panels.rows import Index, RowDelegate, draw_background, draw_text

ROW = 23
MOST_SHOWN = 200_000


class _ValueDelegate(RowDelegate):
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        draw_background(painter, option)
        colors = theme.current_theme()
        is_key = index.column() == 0
        folded = index.data(KIND_ROLE) in {"object", "list", "null"}
        color = colors.text_second if is_key or folded else colors.text
        font = theme.ui_font(theme.TEXT_DENSE_SIZE) if is_key else theme.code_font(theme.CODE_SIZE)
        if is_key:
            color = colors.text
        draw_text(painter, option.rect.adjusted(4, 0, -6, 0), str(index.data()), font, color)


class StatePanel(QWidget):
    """``show_snapshot`` fills it; opened branches stay open when the same run is shown again."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("panel", "true")
        self.model = JsonTreeModel()
        self.model.setParent(self)
        self.view = QTreeView()
        self.view.setObjectName("state_view")
        self.view.setAccessibleName("State and results")
        self.view.setModel(self.model)
        self.view.setUniformRowHeights(True)
        self.view.setIndentation(16)
        self.view.setItemDelegate(_ValueDelegate(ROW, self.view))
        across = self.view.header()
        across.setStretchLastSection(True)
        across.setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        across.resizeSection(0, 220)
        self._path = QLabel("Choose a value to see all of it")
        self._path.setTextFormat(Qt.TextFormat.PlainText)
        self._path.setProperty("role", "second")
        self._copy = QPushButton("Copy")
        self._copy.setEnabled(False)
        self.text = QPlainTextEdit()
        self.text.setObjectName("state_value")
        self.text.setAccessibleName("The chosen value")
        self.text.setReadOnly(True)
        self.text.setProperty("code", "true")
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self._split = QSplitter(Qt.Orientation.Horizontal)
        self._split.addWidget(self.view)
        self._split.addWidget(self._make_side())
        self._split.setSizes([500, 420])
        self._split.setChildrenCollapsible(False)
        self._switcher = Switcher(
            self._split,
            EmptyState(
                "category-data", "No state yet", "The state and the results of the chosen run appear here."
            ),
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._switcher)
        self._run_id = ""
        self._chosen: Any = None
        self.view.selectionModel().currentChanged.connect(self._show_value)
        self._copy.clicked.connect(lambda: QApplication.clipboard().setText(self._as_text(self._chosen)))

    def show_snapshot(self, snapshot: RunSnapshot | None) -> None:
        """Show a run's state and results; None for no run."""
        if snapshot is None:
            self._run_id = ""
            self.model.set_value({})
            self._switcher.show_content(False)  # noqa: FBT003 - reads as a sentence
            return
        value: dict[str, Any] = {"state": snapshot.current_state.data, "results": dict(snapshot.results)}
        if snapshot.error_message:
            value = {"error": snapshot.error_message, **value}
        opened: set[tuple[str, ...]] = self._opened() if snapshot.run_id == self._run_id else {("state",)}
        chosen = self.model.path_of(self.view.currentIndex()) if snapshot.run_id == self._run_id else []
        self._run_id = snapshot.run_id
        at = self.view.verticalScrollBar().value()
        self.model.set_value(value)
        self._open(opened, chosen)
        self.view.verticalScrollBar().setValue(at)
        self._switcher.show_content(True)  # noqa: FBT003

    def _make_side(self) -> QWidget:
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(12, 6, 12, 10)
        column.setSpacing(6)
        top = QHBoxLayout()
        top.addWidget(self._path, 1)
        top.addWidget(self._copy)
        column.addLayout(top)
        column.addWidget(self.text, 1)
        return side

    def _opened(self) -> set[tuple[str, ...]]:
        found: set[tuple[str, ...]] = set()
        waiting = [self.model.index(row, 0) for row in range(self.model.rowCount())]
        while waiting:
            index = waiting.pop()
            if self.view.isExpanded(index):
                found.add(tuple(self.model.path_of(index)))
                waiting.extend(self.model.index(row, 0, index) for row in range(self.model.rowCount(index)))
        return found

    def _open(self, paths: set[tuple[str, ...]], chosen: list[str]) -> None:
        waiting = [self.model.index(row, 0) for row in range(self.model.rowCount())]
        while waiting:
            index = waiting.pop()
            path = self.model.path_of(index)
            if path == chosen:
                self.view.setCurrentIndex(index)
            if tuple(path) in paths:
                if self.model.canFetchMore(index):
                    self.model.fetchMore(index)
                self.view.expand(index)
                waiting.extend(self.model.index(row, 0, index) for row in range(self.model.rowCount(index)))

    def _show_value(self, index: QModelIndex) -> None:
        self._copy.setEnabled(index.isValid())
        if not index.isValid():
            self._path.setText("Choose a value to see all of it")
            self.text.clear()
            return
        self._chosen = self.model.value_at(index)
        text = self._as_text(self._chosen)
        size = len(text.encode(errors="replace"))
        cut = " (the beginning; Copy takes all)" if len(text) > MOST_SHOWN else ""
        self._path.setText(f"{' › '.join(self.model.path_of(index))}   {describe_size(size)}{cut}")
        self.text.setPlainText(text[:MOST_SHOWN])

    @staticmethod
    def _as_text(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
