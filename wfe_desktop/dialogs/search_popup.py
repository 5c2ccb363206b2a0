"""Search for a tool to place: a small window at the cursor, all by keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QFontMetrics, QGuiApplication, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from engine.model.tool import Catalog, Tool
from wfe_desktop.forms.controls import LineEdit, words
from wfe_desktop.theme import (
    CORNER,
    INSPECTOR_WIDTH,
    SPACE,
    TEXT_DENSE_SIZE,
    TEXT_SECOND_SIZE,
    category_color,
    current_theme,
    ui_font,
)

Index: TypeAlias = QModelIndex | QPersistentModelIndex

TOOL_ROLE = Qt.ItemDataRole.UserRole + 1
_ROW_HEIGHT = 11 * SPACE
_ROWS_SHOWN = 7
_MAX_FOUND = 200


def rank_tools(tools: Iterable[Tool], text: str, recent: Sequence[str] = ()) -> list[Tool]:
    """The tools that match, the best first; with no text all of them, the recent ones first.

    Each word must match: the label or the name at its start, at a word's start, inside, or by letters in order; or
    the category or a word of the description.
    """
    needles = text.casefold().split()
    order = {name: place for place, name in enumerate(recent)}
    scored = []
    for tool in tools:
        scores = [_score(tool, needle) for needle in needles]
        if all(scores):
            scored.append(
                (-sum(scores), order.get(tool.name, len(order)), tool.label.casefold(), tool.name, tool)
            )
    return [entry[-1] for entry in sorted(scored, key=lambda entry: entry[:-1])][:_MAX_FOUND]


def _score(tool: Tool, needle: str) -> int:
    """How well one word matches a tool; 0: not at all."""
    best = 0
    for text, weight in ((tool.label.casefold(), 2), (tool.name.casefold(), 1)):
        if text.startswith(needle):
            best = max(best, 90 + weight)
        elif _starts_a_word(text, needle):
            best = max(best, 80 + weight)
        elif needle in text:
            best = max(best, 60 + weight)
        elif (spread := _spread(text, needle)) is not None:
            best = max(best, max(20, 45 - spread) + weight)
    if best < 40 and _starts_a_word(tool.category, needle):
        return 40
    return best or (10 if _starts_a_word(tool.description, needle) else 0)


def _starts_a_word(text: str, needle: str) -> bool:
    return any(part.startswith(needle) for part in re.split(r"[\W_]+", text.casefold()))


def _spread(text: str, needle: str) -> int | None:
    """How many letters lie between those of ``needle`` in ``text``, in order; None where they are not all there."""
    start = text.find(needle[0])
    if start < 0:
        return None
    place = start
    for letter in needle[1:]:
        place = text.find(letter, place + 1)
        if place < 0:
            return None
    spread = place - start + 1 - len(needle)
    return spread if spread <= 3 * len(needle) else None


class FoundTools(QAbstractListModel):
    """The tools that were found."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.tools: list[Tool] = []

    def show_tools(self, tools: list[Tool]) -> None:
        """Other tools."""
        self.beginResetModel()
        self.tools = tools
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.tools)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        tool = self.tools[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return tool.label
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleDescriptionRole):
            return tool.description
        return tool if role == TOOL_ROLE else None


class _ToolRow(QStyledItemDelegate):
    """A dot in the category's colour, label and category, and below them the description."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(INSPECTOR_WIDTH, _ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        tool: Tool = index.data(TOOL_ROLE)
        theme = current_theme()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRect(option.rect)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.selected_row))
            painter.drawRoundedRect(QRectF(area), CORNER - 1, CORNER - 1)
        text = area.adjusted(6 * SPACE, SPACE + 1, -2 * SPACE, -SPACE - 1)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(category_color(tool.category))
        dot = 2 * SPACE + 1
        painter.drawRoundedRect(QRectF(area.left() + 2 * SPACE, text.top() + SPACE, dot, dot), 2.5, 2.5)
        small, label_font = ui_font(TEXT_SECOND_SIZE), ui_font(TEXT_DENSE_SIZE, QFont.Weight.Medium)
        top = QRect(text.left(), text.top(), text.width(), text.height() // 2)
        category_width = QFontMetrics(small).horizontalAdvance(tool.category)
        _write(painter, top, tool.category, small, theme.text_second, right=True)
        _write(
            painter, top.adjusted(0, 0, -category_width - 2 * SPACE, 0), tool.label, label_font, theme.text
        )
        below = QRect(text.left(), top.bottom() + 1, text.width(), text.height() - top.height())
        first_line = tool.description.partition("\n")[0] or tool.name
        _write(painter, below, first_line, small, theme.text_second)
        painter.restore()


def _write(
    painter: QPainter, area: QRect, text: str, font: QFont, color: str, *, right: bool = False
) -> None:
    painter.setFont(font)
    painter.setPen(QColor(color))
    side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
    shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, area.width())
    painter.drawText(area, int(side | Qt.AlignmentFlag.AlignVCenter), shown)


class SearchPopup(QFrame):
    """Finds a tool by a few letters. Up and Down choose, Enter takes, Escape or a click elsewhere closes."""

    tool_chosen = Signal(str)
    """The name of the tool."""

    def __init__(self, catalog: Catalog, recent: Sequence[str] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup | Qt.WindowType.FramelessWindowHint)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setProperty("card", "true")
        self._catalog, self._recent = catalog, list(recent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * SPACE, 2 * SPACE, 2 * SPACE, 2 * SPACE)
        layout.setSpacing(2 * SPACE)
        self.line = LineEdit()
        self.line.setPlaceholderText("Search tools")
        self.line.setAccessibleName("Search tools")
        self.line.textChanged.connect(self._search)
        self.line.installEventFilter(self)
        layout.addWidget(self.line)
        self.found = FoundTools(self)
        self.view = QListView()
        self.view.setModel(self.found)
        self.view.setItemDelegate(_ToolRow(self.view))
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setAccessibleName("Tools found")
        self.view.entered.connect(self.view.setCurrentIndex)
        self.view.clicked.connect(self._take)
        layout.addWidget(self.view)
        self.nothing = words(role="second", wrap=True)
        layout.addWidget(self.nothing)
        self.setFixedWidth(INSPECTOR_WIDTH + 12 * SPACE)
        self._search("")

    def open_at(self, place: QPoint) -> None:
        """Show the popup with its search field at a point of the screen, all of it on the screen."""
        screen = QGuiApplication.screenAt(place) or QGuiApplication.primaryScreen()
        self.adjustSize()
        area = screen.availableGeometry()
        left = max(area.left(), min(place.x(), area.right() - self.width()))
        top = max(area.top(), min(place.y(), area.bottom() - self.height()))
        self.move(left, top)
        self.show()
        self.line.setFocus(Qt.FocusReason.PopupFocusReason)

    @property
    def chosen_name(self) -> str | None:
        """The tool that Enter would take."""
        index = self.view.currentIndex()
        return self.found.tools[index.row()].name if index.isValid() else None

    def _search(self, text: str) -> None:
        tools = rank_tools(self._catalog.values(), text, self._recent)
        self.found.show_tools(tools)
        self.view.setVisible(bool(tools))
        self.view.setFixedHeight(min(max(len(tools), 1), _ROWS_SHOWN) * _ROW_HEIGHT + SPACE // 2)
        self.nothing.setVisible(not tools)
        self.nothing.setText(
            f"No tool matches “{text.strip()}”." if self._catalog else "No tools are registered."
        )
        if tools:
            self.view.setCurrentIndex(self.found.index(0))
        self.adjustSize()

    def _take(self) -> None:
        name = self.chosen_name
        if name is None:
            return
        self.close()
        self.tool_chosen.emit(name)

    def _step(self, rows: int) -> None:
        count = len(self.found.tools)
        if not count:
            return
        row = self.view.currentIndex().row() + rows
        row = row % count if abs(rows) == 1 else max(0, min(count - 1, row))
        self.view.setCurrentIndex(self.found.index(row))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.line and event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            steps = {
                Qt.Key.Key_Down: 1,
                Qt.Key.Key_Up: -1,
                Qt.Key.Key_PageDown: _ROWS_SHOWN,
                Qt.Key.Key_PageUp: -_ROWS_SHOWN,
            }
            key = Qt.Key(event.key())
            if key in steps:
                self._step(steps[key])
                return True
            if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Tab):
                self._take()
                return True
        return super().eventFilter(watched, event)
