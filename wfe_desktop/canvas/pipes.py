"""The edges on the scene: lines that Qt paints without asking Python, and the pills of their conditions."""

from __future__ import annotations

from typing import Any, Literal

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QBrush, QPainter, QPainterPath, QPainterPathStroker
from PySide6.QtWidgets import QGraphicsItem, QGraphicsPathItem, QStyleOptionGraphicsItem, QWidget

from engine.model.status import StepStatus
from wfe_desktop.canvas.items import Scenery, WorkflowPort
from wfe_desktop.canvas.nodegraphqt import PipeItem
from wfe_desktop.canvas.routing import (
    LANE,
    backward_path,
    detour_path,
    forward_path,
    is_backward,
)
from wfe_desktop.canvas.spec import ERROR_OUT, EdgeSpec
from wfe_desktop.canvas.style import OVERVIEW_SCALE
from wfe_desktop.theme import NODE

EdgeMark = Literal["taken", "skipped"]

_PILL_WIDEST = 190.0
_LANE_STEP = 18.0
_FLOW_OUT_TIP = NODE.flow_half
_FLOW_IN_BACK = NODE.flow_half - 1.0


class WorkflowPipe(PipeItem):  # type: ignore[misc]
    """One edge. ``show_spec`` says what it is, ``mark`` what a run did with it."""

    # Painted by Qt itself: shiboken does not call Python for a method that is the base class' own.
    paint = QGraphicsPathItem.paint

    def __init__(self) -> None:
        QGraphicsPathItem.__init__(self)
        self.setZValue(-1)
        self.setBrush(QBrush())
        self._color = (0, 0, 0, 255)
        self._style = 0
        self._active = self._highlight = False
        self._input_port: WorkflowPort | None = None
        self._output_port: WorkflowPort | None = None
        self.scenery: Scenery | None = None
        self.spec: EdgeSpec | None = None
        self.pill: ConditionPill | None = None
        self.mark: EdgeMark | None = None
        self.is_chosen = False
        self.is_hovered = False
        self.lane = 0
        """Which of the lanes below the nodes it takes where it runs back."""
        self.runs_back = False
        self.is_detour = False
        self._middle: QPointF | None = None

    # --- what NodeGraphQt calls

    def itemChange(self, _change: QGraphicsItem.GraphicsItemChange, value: Any) -> Any:
        return value

    def reset(self) -> None:
        """Nothing: looks come from ``restyle``."""

    def highlight(self) -> None:
        """Nothing: looks come from ``restyle``."""

    def activate(self) -> None:
        """Nothing: looks come from ``restyle``."""

    def draw_path(
        self, _start: WorkflowPort, _end: WorkflowPort | None = None, _cursor: QPointF | None = None
    ) -> None:
        """Draw the line between its two ports."""
        self.redraw()

    # --- what it shows

    def show_spec(self, spec: EdgeSpec, scenery: Scenery) -> None:
        """Be this edge."""
        self.spec, self.scenery = spec, scenery
        if spec.condition is None:
            self.drop_pill()
        elif self.pill is None:
            self.pill = ConditionPill(self)
            self.scene().addItem(self.pill)
        if self.pill is not None and spec.condition is not None:
            self.pill.set_text(spec.condition)
        self.restyle()

    def drop_pill(self) -> None:
        """Take the condition off."""
        if self.pill is not None:
            if self.pill.scene() is not None:
                self.pill.scene().removeItem(self.pill)
            self.pill.pipe = None
            self.pill = None

    def delete(self) -> None:
        """Leave the scene and the two ports."""
        self.drop_pill()
        for port in (self._input_port, self._output_port):
            if port is not None and self in port.connected_pipes:
                port.remove_pipe(self)
        if self.scene() is not None:
            self.scene().removeItem(self)

    def show_mark(self, mark: EdgeMark | None) -> bool:
        """Look as a run left it; whether that is another look."""
        if mark == self.mark:
            return False
        self.mark = mark
        self.restyle()
        return True

    def choose(self, *, chosen: bool) -> None:
        """Select or deselect. Qt's own selection would draw a dashed box."""
        if chosen != self.is_chosen:
            self.is_chosen = chosen
            self.restyle()

    def hover(self, *, hovered: bool) -> None:
        """The pointer is over it, or has left."""
        if hovered != self.is_hovered:
            self.is_hovered = hovered
            self.restyle()

    def color_name(self) -> str:
        """Its colour now."""
        assert self.spec is not None
        assert self.scenery is not None
        style = self.scenery.style
        if self.is_chosen:
            return style.theme.accent
        if self.spec.type is not None:
            return style.theme.port_color(self.spec.type)
        if self.spec.is_error:
            return style.theme.status_color(StepStatus.FAILED)
        if self.mark == "taken":
            return style.theme.status_color(StepStatus.COMPLETED)
        return style.theme.flow_edge

    def restyle(self) -> None:
        """Take the pen that says what it is and how it stands."""
        if self.scenery is None or self.spec is None:
            return
        width = NODE.flow_width if self.spec.type is None else NODE.data_width
        skipped = self.mark == "skipped"
        untaken_error = self.spec.is_error and self.mark != "taken"
        if self.is_chosen or self.is_hovered:
            width += 1.0
        opacity = 0.45 if skipped and not self.is_chosen else 0.75 if untaken_error else 1.0
        pen = self.scenery.style.pen(self.color_name(), width, dashed=skipped, opacity=opacity)
        self.setPen(pen)
        self.setZValue(-0.5 if self.is_chosen else -0.8 if self.mark == "taken" else -1)
        if self.pill is not None:
            self.pill.update()

    def ends(self) -> tuple[QPointF, QPointF]:
        """Where the line begins and ends: at the tips of flow ports, in the middle of data ports."""
        assert self._output_port is not None
        assert self._input_port is not None
        start, end = self._output_port.center(), self._input_port.center()
        if self._output_port.name == ERROR_OUT:
            start.setY(start.y() + _FLOW_OUT_TIP)
        elif self._output_port.is_flow:
            start.setX(start.x() + _FLOW_OUT_TIP)
        if self._input_port.is_flow:
            end.setX(end.x() - _FLOW_IN_BACK)
        return start, end

    def redraw(self) -> None:
        """Draw the line anew: an end has moved."""
        if self._output_port is None or self._input_port is None:
            return
        start, end = self.ends()
        downward = self._output_port.name == ERROR_OUT
        router = self.scenery.router if self.scenery is not None else None
        self.runs_back = is_backward(start, end)
        self.is_detour = self.runs_back
        if self.runs_back:
            low = self._output_port.node.scene_body().bottom()
            low = max(low, self._input_port.node.scene_body().bottom()) + LANE
            if router is not None:
                low = router.free_lane(end.x() - 30.0, start.x() + 30.0, low)
            low += self.lane * _LANE_STEP
            self._set(
                backward_path(start, end, low, downward=downward), QPointF((start.x() + end.x()) / 2, low)
            )
            return
        path = forward_path(start, end, downward=downward)
        lane = router.detour(path, self) if router is not None and not downward else None
        if lane is None:
            self._set(path, None)
            return
        self.is_detour = True
        self._set(detour_path(start, end, lane), QPointF((start.x() + end.x()) / 2, lane))

    def _set(self, path: QPainterPath, middle: QPointF | None) -> None:
        self._middle = middle
        self.setPath(path)
        if self.pill is not None:
            self.pill.setPos(self.find_middle())

    def outline(self, width: float) -> QPainterPath:
        """The line as a band. Qt's own ``shape`` takes the area that an open line spans for its inside."""
        stroker = QPainterPathStroker()
        stroker.setWidth(width)
        return stroker.createStroke(self.path())

    def find_middle(self) -> QPointF:
        """Where its condition is written."""
        if self._middle is None:
            self._middle = self.path().pointAtPercent(0.5)
        return self._middle


class ConditionPill(QGraphicsItem):
    """A condition at the middle of its edge."""

    def __init__(self, pipe: WorkflowPipe) -> None:
        super().__init__()
        self.setZValue(0)
        self.pipe: WorkflowPipe | None = pipe
        self._text = ""
        self._shown = ""
        self._box = QRectF()

    def set_text(self, text: str) -> None:
        """Show a condition, shortened where it is long."""
        assert self.pipe is not None
        assert self.pipe.scenery is not None
        face = self.pipe.scenery.style.pill
        self._text = " ".join(text.split())
        self._shown = face.fit(self._text, _PILL_WIDEST)
        wide = max(34.0, face.width(self._shown) + 24.0)
        self.prepareGeometryChange()
        self._box = QRectF(-wide / 2, -11.0, wide, 22.0)
        self.setPos(self.pipe.find_middle())
        self.update()

    def boundingRect(self) -> QRectF:
        return self._box.adjusted(-2, -2, 2, 2)

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, _widget: QWidget | None = None
    ) -> None:
        pipe = self.pipe
        if pipe is None or pipe.scenery is None:
            return
        style = pipe.scenery.style
        skipped = pipe.mark == "skipped" and not pipe.is_chosen
        lively = pipe.is_chosen or pipe.is_hovered or pipe.mark == "taken"
        painter.setBrush(style.panel)
        painter.setPen(style.pen(pipe.color_name(), 1.4) if lively else style.border_pen)
        painter.drawRoundedRect(self._box, 11, 11)
        if option.levelOfDetailFromTransform(painter.worldTransform()) < OVERVIEW_SCALE:
            return
        painter.setPen(style.second if skipped else style.text)
        painter.setFont(style.pill.font)
        painter.drawText(QPointF(-style.pill.width(self._shown) / 2, style.pill.middle), self._shown)
