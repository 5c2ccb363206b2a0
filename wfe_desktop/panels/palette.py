"""The palette: the registered tools, searched, dragged to the canvas or added by double-click."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QStyleOptionViewItem,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from engine.model.tool import Catalog
from wfe_desktop import theme
from wfe_desktop.models.palette import CATEGORY_ROLE, COUNT_ROLE, PaletteModel
from wfe_desktop.panels.empty import EmptyState, Switcher
from wfe_desktop.panels.rows import LEFT, RIGHT, Index, RowDelegate, draw_background, draw_text

MARGIN = 12
GROUP_HEIGHT = 32
TOOL_HEIGHT = 27
TILE = 9
SIGN = 14


class SearchField(QLineEdit):
    """A search field with its sign inside and the key that leads there at its end.

    The arrow keys and Enter go to the list it searches, as ``key_passed``.
    """

    key_passed = Signal(QKeyEvent)

    def __init__(self, placeholder: str, key: str = "") -> None:
        super().__init__()
        self.setPlaceholderText(placeholder)
        self.setClearButtonEnabled(False)
        self._sign = QLabel(self)
        self._sign.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setTextMargins(20, 0, 0, 0)
        self._paint_sign()
        self._key = QLabel(key, self)
        self._key.setProperty("role", "key")
        self._key.setVisible(bool(key))
        self._has_key = bool(key)
        self.textChanged.connect(self._show_key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in {Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self.key_passed.emit(event)
        elif event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QEvent) -> None:
        super().resizeEvent(event)  # type: ignore[arg-type]
        self._sign.setGeometry(10, (self.height() - SIGN) // 2, SIGN, SIGN)
        size = self._key.sizeHint()
        self._key.setGeometry(
            self.width() - size.width() - 8, (self.height() - size.height()) // 2, size.width(), size.height()
        )

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_sign"):
            self._paint_sign()

    def _paint_sign(self) -> None:
        self._sign.setPixmap(theme.icon_pixmap("search", theme.current_theme().text_second, SIGN))

    def _show_key(self, text: str) -> None:
        self._key.setVisible(self._has_key and not text)


class _PaletteDelegate(RowDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: ARG002 - Qt's signature
        return QSize(100, TOOL_HEIGHT if index.parent().isValid() else GROUP_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        colors = theme.current_theme()
        rect = option.rect.adjusted(MARGIN + 2, 0, -MARGIN - 2, 0)
        if not index.parent().isValid():
            rect.adjust(0, 8, 0, 0)
            count = index.data(COUNT_ROLE)
            font = theme.ui_font(theme.TEXT_SECOND_SIZE, QFont.Weight.DemiBold)
            draw_text(painter, rect, str(index.data()), font, colors.text_second, LEFT)
            if count is not None:
                draw_text(
                    painter,
                    rect,
                    str(count),
                    theme.ui_font(theme.TEXT_SECOND_SIZE),
                    colors.text_second,
                    RIGHT,
                )
            return
        draw_background(painter, option)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.category_color(index.data(CATEGORY_ROLE))))
        tile = QRect(rect.x() + 2, rect.center().y() - TILE // 2, TILE, TILE)
        painter.drawRoundedRect(tile, 2.5, 2.5)
        words = rect.adjusted(TILE + 12, 0, 0, 0)
        draw_text(painter, words, str(index.data()), theme.ui_font(theme.TEXT_DENSE_SIZE + 0.5), colors.text)


class PalettePanel(QWidget):
    """``tool_chosen(name)`` when a tool is double-clicked or Enter is pressed on it; drags carry ``TOOL_MIME``."""

    tool_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("panel", "true")
        self.model = PaletteModel()
        self.model.setParent(self)
        self.search = SearchField("Search tools", "Tab")
        self.search.setObjectName("palette_search")
        self.search.setAccessibleName("Search tools")
        self.view = QTreeView()
        self.view.setObjectName("palette_view")
        self.view.setAccessibleName("Tools")
        self.view.setModel(self.model)
        self.view.setHeaderHidden(True)
        self.view.setIndentation(0)
        self.view.setRootIsDecorated(False)
        self.view.setItemsExpandable(False)
        self.view.setMouseTracking(True)
        self.view.setDragEnabled(True)
        self.view.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setItemDelegate(_PaletteDelegate(TOOL_HEIGHT, self.view))
        self._switcher = Switcher(self.view, EmptyState("search", "No such tool", "Try another word."))
        self._switcher.show_content(there_is_some=True)  # until the tools are known, there is nothing to say
        top = QHBoxLayout()
        top.setContentsMargins(MARGIN, 8, MARGIN, 4)
        top.addWidget(self.search)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(top)
        column.addWidget(self._switcher, 1)
        self.search.textChanged.connect(self._filter)
        self.search.key_passed.connect(self._take_key)
        self.view.doubleClicked.connect(self._choose)
        self.view.activated.connect(self._choose_by_key)

    def set_catalog(self, catalog: Catalog, recent: list[str]) -> None:
        """Show these tools."""
        self.model.set_catalog(catalog, recent)
        self._settle()

    def set_recent(self, recent: list[str]) -> None:
        """The tools that were placed last."""
        self.model.set_recent(recent)
        self._settle()

    def _filter(self, text: str) -> None:
        self.model.set_filter(text)
        self._settle()
        if text:
            self.view.setCurrentIndex(self.model.first_tool())

    def _settle(self) -> None:
        self.view.expandAll()
        self._switcher.show_content(self.model.rowCount() > 0)

    def _take_key(self, event: QKeyEvent) -> None:
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self._choose(self.view.currentIndex())
            return
        step = 1 if event.key() == Qt.Key.Key_Down else -1
        index = self.view.currentIndex()
        for _ in range(2):  # over a heading
            below = self.view.indexBelow(index) if step > 0 else self.view.indexAbove(index)
            index = below if index.isValid() else self.model.first_tool()
            if self.model.tool_at(index) is not None:
                self.view.setCurrentIndex(index)
                return

    def _choose_by_key(self, index: QModelIndex) -> None:
        if self.view.hasFocus() and not self.view.underMouse():
            self._choose(index)

    def _choose(self, index: QModelIndex) -> None:
        tool = self.model.tool_at(index)
        if tool is not None:
            self.tool_chosen.emit(tool.name)
