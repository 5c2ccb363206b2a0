"""How rows of lists are drawn, by tokens of the theme."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from wfe_desktop import theme

Index = QModelIndex | QPersistentModelIndex
LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


def draw_background(painter: QPainter, option: QStyleOptionViewItem) -> None:
    """The row's ground as the style draws it: hovered, selected or plain."""
    style = option.widget.style() if option.widget else QApplication.style()
    style.drawPrimitive(QStyle.PrimitiveElement.PE_PanelItemViewItem, option, painter, option.widget)


def draw_text(
    painter: QPainter, rect: QRect, text: str, font: QFont, color: str, flags: int = LEFT,
    elide: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
) -> int:  # fmt: skip
    """One line of text, elided to ``rect``; returns its width in pixels."""
    metrics = QFontMetrics(font)
    shown = metrics.elidedText(text, elide, rect.width())
    painter.setFont(font)
    painter.setPen(QColor(color))
    painter.drawText(rect, flags | Qt.TextFlag.TextSingleLine, shown)
    return metrics.horizontalAdvance(shown)


class RowDelegate(QStyledItemDelegate):
    """Base of the row painters: a fixed height, no widget of its own."""

    def __init__(self, height: int, parent: QWidget) -> None:
        super().__init__(parent)
        self._height = height

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: ARG002 - Qt's signature
        return QSize(max(40, option.rect.width()), self._height)

    def draw_sign(self, painter: QPainter, rect: QRect, sign: str, color: str, size: int = 14) -> None:
        """An icon in the middle of ``rect``."""
        x = rect.x() + (rect.width() - size) // 2
        y = rect.y() + (rect.height() - size) // 2
        painter.drawPixmap(x, y, size, size, theme.icon_pixmap(sign, color, size))
