"""A big graph seen from far: painted in one go into a picture somewhat larger than the view, and shifted while panning.

Items would be asked one by one in Python; two calls, one for all lines and one for each colour's blocks, are some
fifty times faster. A node that changes colour is painted over in the picture.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from PySide6.QtCore import QLineF, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap, QTransform

from wfe_desktop.canvas.items import Scenery, WorkflowNodeItem
from wfe_desktop.canvas.nodepaint import block_color
from wfe_desktop.canvas.pipes import WorkflowPipe

_BORDER = 0.35
"""How much more than the view the picture shows, on each side, as a share of the view."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What of the scene is seen, and how: the upper left corner, then the view's size in pixels, both at ``zoom``."""

    origin: QPointF
    size: QSize
    zoom: float
    pixel_ratio: float

    @property
    def area(self) -> QRectF:
        """The part of the scene that is seen."""
        return QRectF(
            self.origin.x(), self.origin.y(), self.size.width() / self.zoom, self.size.height() / self.zoom
        )


class Overview:
    """The picture and what it was painted from."""

    def __init__(self, scenery: Scenery) -> None:
        self._scenery = scenery
        self._lines: dict[WorkflowPipe, QLineF] | None = None
        self._blocks: list[tuple[QColor, list[QRectF]]] | None = None
        self._picture: QPixmap | None = None
        self._area = QRectF()
        self._zoom = 0.0
        self._touched: dict[str, WorkflowNodeItem] = {}

    def forget(self) -> None:
        """Places or edges have changed."""
        self._lines = self._blocks = None
        self._picture = None
        self._touched.clear()

    def follow(self, items: Iterable[WorkflowNodeItem]) -> None:
        """Some nodes have moved."""
        self._picture = self._blocks = None
        if self._lines is not None:
            for item in items:
                self._lines.update((pipe, _line(pipe)) for pipe in item.pipes())

    def repaint_node(self, item: WorkflowNodeItem) -> None:
        """A node has another colour."""
        self._blocks = None
        if self._picture is not None and item.spec is not None:
            self._touched[item.spec.id] = item

    def paint(
        self, painter: QPainter, nodes: Collection[WorkflowNodeItem], sight: Sight, exposed: QRect
    ) -> None:
        """Show the part that is seen, of all ``nodes``; ``exposed`` is what of the view must be painted."""
        seen, ratio = sight.area, sight.pixel_ratio
        if self._picture is None or self._zoom != sight.zoom or not self._area.contains(seen):
            self._draw(nodes, sight)
        picture = self._picture
        assert picture is not None
        if self._touched:
            self._touch_up(picture)
        shift = (seen.topLeft() - self._area.topLeft()) * sight.zoom
        x, y = round(shift.x()), round(shift.y())
        source = QRectF(exposed.translated(x, y))
        source = QRectF(source.topLeft() * ratio, source.size() * ratio)
        painter.drawPixmap(QRectF(exposed), picture, source)

    def _begin(self, picture: QPixmap) -> QPainter:
        painter = QPainter(picture)
        painter.setWorldTransform(
            QTransform.fromScale(self._zoom, self._zoom).translate(-self._area.x(), -self._area.y())
        )
        painter.setPen(Qt.PenStyle.NoPen)
        return painter

    def _touch_up(self, picture: QPixmap) -> None:
        painter = self._begin(picture)
        for item in self._touched.values():
            painter.setBrush(block_color(item, self._scenery.style))
            painter.drawRect(item.scene_body())
        painter.end()
        self._touched.clear()

    def _draw(self, nodes: Collection[WorkflowNodeItem], sight: Sight) -> None:
        seen, ratio = sight.area, sight.pixel_ratio
        border = QPointF(seen.width() * _BORDER, seen.height() * _BORDER)
        self._area = QRectF(seen.topLeft() - border, seen.bottomRight() + border)
        self._zoom = sight.zoom
        pixels = QSize(round(self._area.width() * self._zoom), round(self._area.height() * self._zoom))
        picture = QPixmap(pixels * ratio)
        picture.setDevicePixelRatio(ratio)
        picture.fill(self._scenery.style.canvas)
        self._picture = picture
        self._touched.clear()
        painter = self._begin(picture)
        style = self._scenery.style
        pen = QPen(style.far_edge, 0)
        pen.setCosmetic(True)
        painter.setPen(pen)
        painter.drawLines(self._edge_lines(nodes))
        painter.setPen(Qt.PenStyle.NoPen)
        for fill, bodies in self._node_blocks(nodes):
            painter.setBrush(fill)
            painter.drawRects(bodies)
        painter.end()

    def _node_blocks(self, nodes: Collection[WorkflowNodeItem]) -> list[tuple[QColor, list[QRectF]]]:
        if self._blocks is None:
            blocks: dict[int, tuple[QColor, list[QRectF]]] = {}
            for item in nodes:
                color = block_color(item, self._scenery.style)
                blocks.setdefault(color.rgb(), (color, []))[1].append(item.scene_body())
            self._blocks = list(blocks.values())
        return self._blocks

    def _edge_lines(self, nodes: Collection[WorkflowNodeItem]) -> list[QLineF]:
        if self._lines is None:
            self._lines = {
                pipe: _line(pipe) for item in nodes for port in item.outputs for pipe in port.connected_pipes
            }
        return list(self._lines.values())


def _line(pipe: WorkflowPipe) -> QLineF:
    return QLineF(pipe.output_port.center(), pipe.input_port.center())
