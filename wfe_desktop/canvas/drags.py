"""What goes on between a button pressed and let go: panning, moving nodes, selecting, cutting, wiring."""

from __future__ import annotations

from typing import Protocol

from PySide6.QtCore import QLineF, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPainterPath, QPen
from PySide6.QtWidgets import QApplication, QGraphicsLineItem, QGraphicsPathItem, QGraphicsRectItem

from engine.model.graph import EdgeDefinition
from wfe_desktop.canvas.items import WireDrag, WorkflowNodeItem, WorkflowPort
from wfe_desktop.canvas.routing import forward_path
from wfe_desktop.canvas.spec import ERROR_OUT, FLOW_IN, FLOW_OUT, PendingWire, make_edge
from wfe_desktop.canvas.surface import Surface
from wfe_desktop.theme import NODE

_EXTENDING = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier


class Gesture(Protocol):
    """Something begun with a button pressed, going on until it is let go."""

    def move(self, event: QMouseEvent) -> None:
        """The pointer has moved."""

    def release(self, event: QMouseEvent) -> None:
        """The button was let go."""

    def cancel(self) -> None:
        """Escape: as if it had not begun."""


class Pan:
    """The canvas follows the hand."""

    def __init__(self, surface: Surface, at: QPoint) -> None:
        self._surface, self._last = surface, at
        surface.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)

    def move(self, event: QMouseEvent) -> None:
        at = event.position().toPoint()
        self._surface.pan(self._last.x() - at.x(), self._last.y() - at.y())
        self._last = at

    def release(self, _event: QMouseEvent) -> None:
        self.cancel()

    def cancel(self) -> None:
        self._surface.viewport().unsetCursor()


class Move:
    """The selected nodes follow the hand; letting go asks for their new places."""

    def __init__(self, surface: Surface, at: QPoint, pressed: WorkflowNodeItem) -> None:
        self._surface, self._at, self._pressed = surface, at, pressed
        self._origin = surface.mapToScene(at)
        self._began: dict[WorkflowNodeItem, QPointF] = {}

    def move(self, event: QMouseEvent) -> None:
        at = event.position().toPoint()
        if not self._began:
            if (at - self._at).manhattanLength() < QApplication.startDragDistance():
                return
            self._began = {node: node.pos() for node in self._surface.selection.nodes()}
        shift = self._surface.mapToScene(at) - self._origin
        shift = QPointF(round(shift.x()), round(shift.y()))
        self._surface.ways.enabled = len(self._began) <= 40
        for node, pos in self._began.items():
            node.setPos(pos + shift)
        self._surface.ways.enabled = True
        self._surface.overview.follow(self._began)

    def release(self, event: QMouseEvent) -> None:
        if not self._began:  # a click: of several selected nodes, this one stays
            if not event.modifiers() & _EXTENDING:
                self._surface.selection.choose([self._pressed], [])
            return
        moved = {
            node.spec.id: (node.x(), node.y())
            for node, pos in self._began.items()
            if node.spec is not None and node.pos() != pos
        }
        if moved:
            self._surface.move_requested.emit(moved)

    def cancel(self) -> None:
        for node, pos in self._began.items():
            node.setPos(pos)
        self._surface.overview.follow(self._began)


class Band:
    """A rectangle that selects the nodes it touches."""

    def __init__(self, surface: Surface, at: QPoint, *, adding: bool) -> None:
        self._surface, self._at = surface, at
        self._origin = surface.mapToScene(at)
        self._before = list(surface.selection.nodes()) if adding else []
        self._edges_before = list(surface.selection.pipes) if adding else []
        self._item: QGraphicsRectItem | None = None

    def move(self, event: QMouseEvent) -> None:
        at = event.position().toPoint()
        if self._item is None:
            if (at - self._at).manhattanLength() < QApplication.startDragDistance():
                return
            style = self._surface.scenery.style
            fill = QColor(style.accent)
            fill.setAlphaF(0.12)
            self._item = QGraphicsRectItem()
            pen = QPen(style.accent, 1.2)
            pen.setCosmetic(True)
            self._item.setPen(pen)
            self._item.setBrush(fill)
            self._item.setZValue(20)
            self._surface.hold(self._item)
        area = QRectF(self._origin, self._surface.mapToScene(at)).normalized()
        self._item.setRect(area)
        self._surface.selection.choose(
            [*self._before, *self._surface.nodes_in(area)], self._edges_before, quiet=True
        )

    def release(self, _event: QMouseEvent) -> None:
        if self._item is None:
            self._surface.selection.choose(self._before, self._edges_before)
        else:
            self._surface.let_go()
            self._surface.selection.tell()

    def cancel(self) -> None:
        if self._item is not None:
            self._surface.let_go()
        self._surface.selection.choose(self._before, self._edges_before)


class Cut:
    """A line that asks for the edges it crosses to be removed."""

    def __init__(self, surface: Surface, at: QPoint) -> None:
        self._surface = surface
        self._origin = surface.mapToScene(at)
        style = surface.scenery.style
        self._item = QGraphicsLineItem()
        pen = QPen(style.error, 1.6, Qt.PenStyle.DashLine)
        pen.setCosmetic(True)
        self._item.setPen(pen)
        self._item.setZValue(20)
        surface.hold(self._item)

    def move(self, event: QMouseEvent) -> None:
        self._item.setLine(QLineF(self._origin, self._surface.mapToScene(event.position().toPoint())))

    def release(self, _event: QMouseEvent) -> None:
        line = self._item.line()
        self.cancel()
        points = [line.pointAt(at / 200) for at in range(201)]
        area = QRectF(line.p1(), line.p2()).normalized().adjusted(-2, -2, 2, 2)
        keys = []
        for pipe in self._surface.pipes_in(area):
            outline = pipe.outline(4.0)
            if pipe.spec is not None and any(outline.contains(point) for point in points):
                keys.append(pipe.spec.key)
        if keys:
            self._surface.disconnect_requested.emit(keys)

    def cancel(self) -> None:
        self._surface.let_go()


class Wire:
    """A loose wire from a port to the pointer; says at once what the port under the pointer would answer."""

    def __init__(self, surface: Surface, source: WorkflowPort, at: QPoint) -> None:
        self._surface, self._source, self._at = surface, source, at
        self._moved = False
        self._target: WorkflowPort | None = None
        self._refusal: str | None = None
        style = surface.scenery.style
        self._line = QGraphicsPathItem()
        color = (
            style.theme.status["failed"]
            if source.name == ERROR_OUT
            else style.theme.flow_edge
            if source.is_flow
            else style.theme.port_color(source.kind)
        )
        self._line.setPen(style.pen(color, NODE.flow_width))
        self._line.setZValue(15)
        surface.hold(self._line)
        surface.scenery.drag = WireDrag(source)
        surface.viewport().update()

    def move(self, event: QMouseEvent) -> None:
        at = event.position().toPoint()
        self._moved = self._moved or (at - self._at).manhattanLength() >= QApplication.startDragDistance()
        target = self._find_target(at)
        if target is not self._target:
            self._target = target
            self._surface.scenery.hovered = target
            self._refusal = self._ask(target) if target is not None else None
            self._surface.viewport().update()
        bubble = self._surface.bubble
        if self._refusal:
            bubble.say(self._refusal, at)
        else:
            bubble.hide()
        self._draw(
            target.center() if target is not None and not self._refusal else self._surface.mapToScene(at)
        )

    def _draw(self, loose: QPointF) -> None:
        start, end = self._source.center(), loose
        downward = self._source.name == ERROR_OUT
        if not self._source.is_output:
            start, end = end, start
        path = QPainterPath(start)
        if end.x() > start.x():
            path = forward_path(start, end, downward=downward)
        else:
            pull = 60.0
            first = QPointF(start.x(), start.y() + pull) if downward else QPointF(start.x() + pull, start.y())
            path.cubicTo(first, QPointF(end.x() - pull, end.y()), end)
        self._line.setPath(path)

    def _find_target(self, at: QPoint) -> WorkflowPort | None:
        hit = self._surface.hit(at, edges=False)
        if hit.port is not None:
            return hit.port if hit.port is not self._source else None
        if hit.node is not None and self._source.is_flow and hit.node is not self._source.node:
            name = FLOW_IN if self._source.is_output else FLOW_OUT
            return hit.node.find_port(name, is_output=not self._source.is_output)
        return None

    def _ask(self, target: WorkflowPort) -> str | None:
        source = self._source
        if source.is_output == target.is_output:
            return "Connect an output to an input." if source.is_output else "Connect an input to an output."
        out, into = (source, target) if source.is_output else (target, source)
        if out.name == FLOW_OUT and into.name != FLOW_IN:
            return f'This edge carries order, no value. Drop it on the node\'s head, not on "{into.name}".'
        if into.name == FLOW_IN and not out.is_flow:
            return f'"{out.name}" is a value. Drop it on a parameter, not on the node\'s head.'
        said = self._surface.connection_check(self._edge(out, into))
        if said:
            return said
        drag = self._surface.scenery.drag
        if drag is not None and not drag.accepts(target):
            return f'"{out.name}" gives {out.kind.value}; "{into.name}" takes {into.kind.value}.'
        return None

    def _edge(self, out: WorkflowPort, into: WorkflowPort) -> EdgeDefinition:
        assert out.node.spec is not None
        assert into.node.spec is not None
        return make_edge(out.node.spec.id, out.name, into.node.spec.id, into.name)

    def release(self, event: QMouseEvent) -> None:
        at = event.position().toPoint()
        target = self._find_target(at)
        refusal = self._ask(target) if target is not None else None
        over_node = self._surface.hit(at, edges=False).node is not None
        self.cancel()
        if target is not None:
            if refusal:
                self._surface.bubble.say(refusal, at, fade=True)
                return
            out, into = (self._source, target) if self._source.is_output else (target, self._source)
            self._surface.connect_requested.emit(self._edge(out, into))
        elif self._moved and not over_node and self._source.node.spec is not None:
            pending = PendingWire(
                self._source.node.spec.id,
                self._source.name,
                self._source.is_output,
                None if self._source.is_flow else self._source.kind,
            )
            self._surface.search_requested.emit(
                self._surface.mapToScene(at), self._surface.viewport().mapToGlobal(at), pending
            )

    def cancel(self) -> None:
        self._surface.let_go()
        self._surface.scenery.drag = None
        self._surface.scenery.hovered = None
        self._surface.bubble.hide()
        self._surface.viewport().update()
