"""The dots behind the nodes."""

from __future__ import annotations

from math import ceil

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QPainter, QPen, QPixmap
from PySide6.QtWidgets import QWidget

from wfe_desktop.canvas.style import Style
from wfe_desktop.theme import NODE

_DOTS_APART = 18.0
"""Dots are never nearer than so many pixels."""


class Backdrop:
    """Paints the dots once for each scale, and copies them while the view is panned."""

    def __init__(self) -> None:
        self._made_for: tuple[int, int, float, float, str] | None = None
        self._picture = QPixmap()

    def paint(self, painter: QPainter, viewport: QWidget, origin: QPointF, zoom: float, style: Style) -> None:
        """Fill a view whose top left corner shows ``origin`` of the scene."""
        step = NODE.dot_step
        while step * zoom < _DOTS_APART:
            step *= 2.0
        painter.save()
        painter.resetTransform()
        painter.drawPixmap(
            QPointF(-round(origin.x() % step * zoom), -round(origin.y() % step * zoom)),
            self._picture_for(viewport, step * zoom, style),
        )
        painter.restore()

    def _picture_for(self, viewport: QWidget, step: float, style: Style) -> QPixmap:
        """The grid of dots, somewhat larger than the view; painting thousands of dots takes longer than all nodes."""
        size, ratio = viewport.size(), viewport.devicePixelRatioF()
        made_for = (size.width(), size.height(), ratio, step, style.theme.name)
        if made_for != self._made_for:
            self._made_for = made_for
            wide, high = size.width() + ceil(step) + 1, size.height() + ceil(step) + 1
            picture = QPixmap(round(wide * ratio), round(high * ratio))
            picture.setDevicePixelRatio(ratio)
            picture.fill(style.canvas)
            painter = QPainter(picture)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            pen = QPen(style.dots, 2.0)
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            painter.setPen(pen)
            columns, rows = ceil(wide / step), ceil(high / step)
            painter.drawPoints(
                [QPointF(x * step, y * step) for x in range(columns + 1) for y in range(rows + 1)]
            )
            painter.end()
            self._picture = picture
        return self._picture
