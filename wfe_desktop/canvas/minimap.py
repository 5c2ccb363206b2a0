"""The whole graph in a corner, with a frame around what is seen. Click or drag to go there."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QWidget

from wfe_desktop.canvas.nodepaint import block_color
from wfe_desktop.canvas.surface import Surface

_SIZE = QSize(156, 102)
_PADDING = 9.0
_REFRESH_MS = 120


class Minimap(QWidget):
    """Paints blocks in the nodes' colours; repaints them a few times a second at most."""

    def __init__(self, surface: Surface, parent: QWidget) -> None:
        super().__init__(parent)
        self._surface = surface
        self._blocks: QPixmap | None = None
        self._area = QRectF()
        self.setFixedSize(_SIZE)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip("Click or drag to move the view")
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self._forget)
        surface.view_changed.connect(self.update)

    def refresh(self) -> None:
        """Nodes have changed: paint them anew, soon."""
        if not self._timer.isActive():
            self._timer.start()

    def refresh_now(self) -> None:
        """Paint nodes anew the next time."""
        self._forget()

    def _forget(self) -> None:
        self._blocks = None
        self.update()

    def _scale(self) -> float:
        return min(
            (self.width() - 2 * _PADDING) / max(1.0, self._area.width()),
            (self.height() - 2 * _PADDING) / max(1.0, self._area.height()),
        )

    def _corner(self) -> QPointF:
        scale = self._scale()
        return QPointF(
            (self.width() - self._area.width() * scale) / 2, (self.height() - self._area.height() * scale) / 2
        )

    def _to_map(self, rect: QRectF) -> QRectF:
        scale, corner = self._scale(), self._corner()
        return QRectF(
            corner.x() + (rect.x() - self._area.x()) * scale,
            corner.y() + (rect.y() - self._area.y()) * scale,
            rect.width() * scale,
            rect.height() * scale,
        )

    def _paint_blocks(self) -> QPixmap:
        nodes = list(self._surface.nodes.values())
        self._area = self._surface._combined_rect(nodes).adjusted(-40, -40, 40, 40)  # noqa: SLF001
        ratio = self.devicePixelRatioF()
        picture = QPixmap(self.size() * ratio)
        picture.setDevicePixelRatio(ratio)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        painter.setPen(Qt.PenStyle.NoPen)
        rounded = len(nodes) < 200
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, rounded)
        for node in nodes:
            block = self._to_map(node.scene_body())
            block.setSize(block.size().expandedTo(QSize(2, 2).toSizeF()))
            painter.setBrush(block_color(node, self._surface.scenery.style, selection=False))
            if rounded:
                painter.drawRoundedRect(block, 2.0, 2.0)
            else:
                painter.drawRect(block)
        painter.end()
        return picture

    def paintEvent(self, _event: QPaintEvent) -> None:
        style = self._surface.scenery.style
        if self._blocks is None:
            self._blocks = self._paint_blocks()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(style.border, 1))
        painter.setBrush(style.panel)
        painter.drawRoundedRect(frame, 6, 6)
        painter.drawPixmap(0, 0, self._blocks)
        seen = self._to_map(self._surface.visible_rect()).intersected(frame.adjusted(3, 3, -3, -3))
        painter.setPen(QPen(style.accent, 1.2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(seen, 3, 3)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._go(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._go(event)

    def _go(self, event: QMouseEvent) -> None:
        at = event.position() - self._corner()
        self._surface.center_at(self._area.topLeft() + at / self._scale())
        event.accept()
