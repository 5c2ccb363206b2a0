"""The command palette: everything the window can do, found by typing a part of its name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PySide6.QtCore import QEvent, QModelIndex, QObject, QRect, Qt, Signal
from PySide6.QtGui import QAction, QKeyEvent, QPainter, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QFrame, QLineEdit, QListView, QStyleOptionViewItem, QVBoxLayout, QWidget

from wfe_desktop import theme
from wfe_desktop.actions import plain_text
from wfe_desktop.panels.rows import RIGHT, Index, RowDelegate, draw_background, draw_text

WIDTH = 560
ROW = 34
MOST_ROWS = 10
ACTION_ROLE = Qt.ItemDataRole.UserRole + 1
GROUP_ROLE = Qt.ItemDataRole.UserRole + 2
KEYS_ROLE = Qt.ItemDataRole.UserRole + 3


def match_score(needle: str, text: str) -> int | None:
    """How well ``needle`` fits ``text``; lower is better, None not at all. Letters may be left out."""
    needle, text = needle.casefold().strip(), text.casefold()
    if not needle:
        return 0
    at = text.find(needle)
    if at >= 0:
        return at if at == 0 or text[at - 1] == " " else 20 + at
    score, at = 100, 0
    for letter in needle:
        if letter == " ":
            continue
        found = text.find(letter, at)
        if found < 0:
            return None
        score += found - at
        at = found + 1
    return score


class _CommandDelegate(RowDelegate):
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        colors = theme.current_theme()
        draw_background(painter, option)
        rect = option.rect.adjusted(12, 0, -12, 0)
        action: QAction = index.data(ACTION_ROLE)
        if not action.icon().isNull():
            mode_rect = QRect(rect.x(), rect.y() + (rect.height() - 16) // 2, 16, 16)
            action.icon().paint(painter, mode_rect)
        keys = index.data(KEYS_ROLE)
        used = draw_text(painter, rect, keys, theme.code_font(theme.CODE_SIZE), colors.text_second, RIGHT)
        group = QRect(rect)
        group.setRight(rect.right() - max(used, 96) - 16)
        text = QRect(rect.x() + 28, rect.y(), rect.width(), rect.height())
        width = draw_text(painter, text, str(index.data()), theme.ui_font(), colors.text)
        group.setLeft(text.x() + width + 10)
        second = theme.ui_font(theme.TEXT_SECOND_SIZE)
        draw_text(painter, group, index.data(GROUP_ROLE), second, colors.text_second)


class CommandPalette(QFrame):
    """Opens over the window; Enter or a click does what is chosen, Escape closes it."""

    closed = Signal()

    def __init__(self, window: QWidget, groups: Sequence[tuple[str, Iterable[QAction]]]) -> None:
        super().__init__(window)
        self._window = window
        self.setObjectName("command_palette")
        self.setProperty("card", "true")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._entries = [(group, action) for group, actions in groups for action in actions]
        self.field = QLineEdit()
        self.field.setPlaceholderText("What do you want to do?")
        self.field.setAccessibleName("Search commands")
        self.model = QStandardItemModel(self)
        self.view = QListView()
        self.view.setModel(self.model)
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        self.view.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.view.setItemDelegate(_CommandDelegate(ROW, self.view))
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        column.addWidget(self.field)
        column.addWidget(self.view)
        self.field.textChanged.connect(self._filter)
        self.view.clicked.connect(self._take)
        self.field.installEventFilter(self)

    def open(self) -> None:
        """Show it, empty and ready for typing."""
        self.field.clear()
        self._filter("")
        self.show()
        self.raise_()
        self.field.setFocus(Qt.FocusReason.PopupFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is not self.field:
            return False
        if event.type() == QEvent.Type.FocusOut:
            self._close()
        elif event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            return self._take_key(event.key())
        return False

    def _take_key(self, key: int) -> bool:
        match key:
            case Qt.Key.Key_Escape:
                self._close()
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._take(self.view.currentIndex())
            case Qt.Key.Key_Down | Qt.Key.Key_Up:
                step = 1 if key == Qt.Key.Key_Down else -1
                count = max(1, self.model.rowCount())
                self.view.setCurrentIndex(
                    self.model.index((self.view.currentIndex().row() + step) % count, 0)
                )
            case _:
                return False
        return True

    def _filter(self, needle: str) -> None:
        scored = []
        for place, (group, action) in enumerate(self._entries):
            score = match_score(needle, plain_text(action.text()))
            if score is not None and action.isEnabled():
                scored.append((score, place, group, action))
        scored.sort(key=lambda entry: entry[:2])
        self.model.clear()
        for _, _, group, action in scored:
            item = QStandardItem(plain_text(action.text()))
            item.setData(action, ACTION_ROLE)
            item.setData(group, GROUP_ROLE)
            item.setData(action.shortcut().toString(), KEYS_ROLE)
            self.model.appendRow(item)
        self.view.setCurrentIndex(self.model.index(0, 0))
        self._place()

    def _place(self) -> None:
        window = self._window
        rows = min(MOST_ROWS, max(1, self.model.rowCount()))
        self.view.setFixedHeight(rows * ROW)
        width = min(WIDTH, window.width() - 40)
        self.setGeometry((window.width() - width) // 2, 76, width, self.sizeHint().height())

    def _take(self, index: QModelIndex) -> None:
        action: QAction | None = index.data(ACTION_ROLE)
        self._close()
        if action is not None:
            action.trigger()

    def _close(self) -> None:
        if self.isVisible():
            self.hide()
            self.closed.emit()
