"""How a node is painted: body, header, signs, ports, and what is laid over them."""

from __future__ import annotations

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen, QPolygonF

from engine.model.problem import Severity
from engine.model.status import RunStatus, StepStatus
from wfe_desktop.canvas.items import Scenery, WorkflowNodeItem, WorkflowPort
from wfe_desktop.canvas.spec import ERROR_OUT, FLOW_IN, FLOW_OUT
from wfe_desktop.canvas.style import OVERVIEW_SCALE, PLAIN_SCALE, Style, format_duration, mixed
from wfe_desktop.theme import NODE, category_icon, icon_pixmap, icon_renderer

_NO_BRUSH = QBrush(Qt.BrushStyle.NoBrush)
_NO_PEN = QPen(Qt.PenStyle.NoPen)
_HALF = NODE.flow_half
_PENTAGON = QPolygonF(
    [
        QPointF(-_HALF + 1, -_HALF),
        QPointF(0.5, -_HALF),
        QPointF(_HALF, 0),
        QPointF(0.5, _HALF),
        QPointF(-_HALF + 1, _HALF),
    ]
)
_PENTAGON_DOWN = QPolygonF([QPointF(-point.y(), point.x()) for point in _PENTAGON.toList()])
_BREAKPOINT = QPointF(2.5, 2.5)
"""On the rounded corner, where neither the flow port nor the mark of a problem is."""
_ENTRY = QPolygonF([QPointF(-24, 13.5), QPointF(-12.5, 20), QPointF(-24, 26.5)])


def paint_node(painter: QPainter, item: WorkflowNodeItem, scale: float) -> None:
    """Paint a node as it would be seen at ``scale``; less of it the smaller it is."""
    scenery = item.scenery
    if scenery is None or item.spec is None:
        return
    style = scenery.style
    if scale < OVERVIEW_SCALE:
        _paint_block(painter, item, style)
        return
    status = item.run.status if item.run is not None else None
    is_held = item.run is not None and item.run.is_held
    faded = status is StepStatus.SKIPPED and not is_held
    if faded:
        painter.setOpacity(0.6)
    _paint_body(painter, item, style, status, scale, is_held=is_held)
    _paint_header(painter, item, scenery, scale)
    if scale >= PLAIN_SCALE:
        _paint_rows(painter, item, style)
    _paint_ports(painter, item, scenery)
    if item.spec.is_entry:
        painter.setPen(_NO_PEN)
        painter.setBrush(style.accent)
        painter.drawPolygon(_ENTRY)
    if item.run is not None:
        _paint_run(painter, item, scenery)
    if item.problem is not None:
        _paint_problem(painter, item, scenery)
    if item.spec.is_breakpoint:
        painter.setPen(style.breakpoint_pen)
        painter.setBrush(style.error)
        painter.drawEllipse(_BREAKPOINT, 5.5, 5.5)
    if faded:
        painter.setOpacity(1.0)


def block_color(item: WorkflowNodeItem, style: Style, *, selection: bool = True) -> QColor:
    """What a node is, seen from far: one colour. ``selection``: whether being selected counts before all."""
    if selection and item.isSelected():
        return style.accent
    if item.run is not None and item.run.is_held:
        return QColor(style.theme.status_color(RunStatus.PAUSED))
    if item.run is not None and item.run.status is not StepStatus.PENDING:
        return style.status(item.run.status)
    if item.problem is Severity.ERROR:
        return style.error
    return style.block


def _paint_block(painter: QPainter, item: WorkflowNodeItem, style: Style) -> None:
    painter.setPen(_NO_PEN)
    color = block_color(item, style)
    painter.setBrush(color)
    painter.drawRoundedRect(item.body(), 12, 12)
    band = QRectF(16, 13, item.anatomy.width * 0.5, 13)
    painter.setBrush(mixed(style.theme.canvas, color.name(), 0.45))
    painter.drawRoundedRect(band, 6, 6)


def _paint_body(
    painter: QPainter,
    item: WorkflowNodeItem,
    style: Style,
    status: StepStatus | None,
    scale: float,
    *,
    is_held: bool,
) -> None:
    body, corner = item.body(), NODE.corner
    if is_held:
        pen = style.pen(style.theme.status_color(RunStatus.PAUSED), 1.8)
    elif status is None or status is StepStatus.PENDING:
        pen = style.border_pen
    elif status in (StepStatus.SKIPPED, StepStatus.CANCELLED):
        pen = style.pen(style.theme.status_color(status), 1.4, dashed=True)
    else:
        pen = style.pen(style.theme.status_color(status), 1.8)
    if scale < PLAIN_SCALE:  # rounded rectangles are what takes the time
        painter.setPen(pen)
        painter.setBrush(style.node_header)
        painter.drawRoundedRect(body, corner, corner)
    else:
        painter.setPen(_NO_PEN)
        painter.setBrush(style.shadow)
        painter.drawRoundedRect(body.translated(0, 3).adjusted(-1, 0, 1, 1), corner + 1, corner + 1)
        painter.setBrush(style.node)
        painter.drawRoundedRect(body, corner, corner)
        painter.setBrush(style.node_header)
        painter.drawPath(item.anatomy.header)
        painter.setBrush(_NO_BRUSH)
        painter.setPen(pen)
        painter.drawRoundedRect(body, corner, corner)
    if item.isSelected():
        painter.setBrush(_NO_BRUSH)
        painter.setPen(style.accent_pen)
        painter.drawRoundedRect(body.adjusted(-3.5, -3.5, 3.5, 3.5), corner + 3.5, corner + 3.5)


def draw_icon(painter: QPainter, scenery: Scenery, name: str, color: str, box: QRectF) -> None:
    """An icon into a box: sharp pixels on the screen, vectors in an export."""
    if scenery.vectors:
        icon_renderer(name, color).render(painter, box)
        return
    scale = painter.worldTransform().m11() * painter.device().devicePixelRatioF()
    ratio = min(4.0, max(1.0, float(round(scale + 0.3))))
    pixmap = icon_pixmap(name, color, box.width(), ratio)
    painter.drawPixmap(box, pixmap, QRectF(pixmap.rect()))


def _paint_header(painter: QPainter, item: WorkflowNodeItem, scenery: Scenery, scale: float) -> None:
    style, spec = scenery.style, item.spec
    assert spec is not None
    pad, tile = NODE.padding, NODE.tile
    fill, ink = style.tile(spec.category)
    box = QRectF(pad + 2, (NODE.header - tile) / 2, tile, tile)
    painter.setPen(_NO_PEN)
    painter.setBrush(fill)
    painter.drawRoundedRect(box, NODE.tile_corner, NODE.tile_corner)
    if spec.is_known:
        draw_icon(painter, scenery, category_icon(spec.category), ink, box.adjusted(3, 3, -3, -3))
    else:
        draw_icon(painter, scenery, "warning", style.theme.status["failed"], box.adjusted(3, 3, -3, -3))
    x = pad + 2 + tile + 8.0
    painter.setPen(style.text)
    painter.setFont(style.title.font)
    line = 13.5 if scale >= PLAIN_SCALE else NODE.header / 2
    painter.drawText(QPointF(x, line + style.title.middle), item.anatomy.title)
    if scale < PLAIN_SCALE:
        return
    painter.setPen(style.second if spec.is_known else style.failed_text)
    painter.setFont(style.name.font)
    painter.drawText(QPointF(x, 28.5 + style.name.middle), item.anatomy.tool)


def _paint_rows(painter: QPainter, item: WorkflowNodeItem, style: Style) -> None:
    x = NODE.padding + 4.0
    drop = style.label.middle
    painter.setFont(style.label.font)
    painter.setPen(style.text)
    hints = False
    for row in item.anatomy.rows:
        if row.input_text:
            painter.drawText(QPointF(x, row.y + drop), row.input_text)
        if row.output_text:
            painter.drawText(QPointF(row.output_x, row.y + drop), row.output_text)
        hints = hints or bool(row.hint_text)
    if hints:
        painter.setFont(style.value.font)
        painter.setPen(style.second)
        for row in item.anatomy.rows:
            if row.hint_text:
                painter.drawText(QPointF(row.hint_x, row.y + style.value.middle), row.hint_text)


def _paint_ports(painter: QPainter, item: WorkflowNodeItem, scenery: Scenery) -> None:
    spec, style = item.spec, scenery.style
    assert spec is not None
    for port in item.inputs:
        if port.name == FLOW_IN:
            _paint_flow_port(painter, port, scenery, wired=spec.flow_in)
    for port in item.outputs:
        if port.name == FLOW_OUT:
            _paint_flow_port(painter, port, scenery, wired=spec.flow_out)
        elif port.name == ERROR_OUT and item.shows_error_port():
            _paint_flow_port(painter, port, scenery, wired=spec.error_out)
    radius = NODE.port_radius
    for row in item.anatomy.rows:
        for shown, is_output in ((row.input, False), (row.output, True)):
            if shown is None:
                continue
            port_item = item.find_port(shown.name, is_output=is_output)
            color = style.port(shown.type)
            faded = _begin_port(painter, port_item, scenery, color, radius)
            painter.setPen(style.pen(color.name(), 1.8))
            painter.setBrush(color if shown.wired else style.node)
            painter.drawEllipse(QPointF(item.anatomy.width if is_output else 0.0, row.y), radius, radius)
            if faded:
                painter.setOpacity(1.0)


def _begin_port(
    painter: QPainter, port: WorkflowPort | None, scenery: Scenery, color: QColor, radius: float
) -> bool:
    """The halo of a port under the pointer or ready for the wire in hand; whether it is out of play (faded)."""
    if port is None:
        return False
    drag = scenery.drag
    halo = QColor(color)
    if drag is not None and port is not drag.source:
        if not drag.accepts(port):
            painter.setOpacity(0.25)
            return True
        halo.setAlphaF(0.55 if scenery.hovered is port else 0.28)
    elif port in (scenery.hovered, drag.source if drag is not None else None):
        halo.setAlphaF(0.35)
    else:
        return False
    painter.setPen(_NO_PEN)
    painter.setBrush(halo)
    painter.drawEllipse(port.pos(), radius + 5, radius + 5)
    return False


def _paint_flow_port(painter: QPainter, port: WorkflowPort, scenery: Scenery, *, wired: bool) -> None:
    style = scenery.style
    is_error = port.name == ERROR_OUT
    color = style.error if is_error else style.flow
    faded = _begin_port(painter, port, scenery, color, _HALF)
    painter.setPen(style.error_port_pen if is_error else style.flow_port_pen)
    painter.setBrush((color if is_error else style.node_header) if wired else style.node)
    painter.drawPolygon((_PENTAGON_DOWN if is_error else _PENTAGON).translated(port.pos()))
    if faded:
        painter.setOpacity(1.0)


def _paint_run(painter: QPainter, item: WorkflowNodeItem, scenery: Scenery) -> None:
    run, style, width = item.run, scenery.style, item.anatomy.width
    assert run is not None
    name, color = style.sign(RunStatus.PAUSED if run.is_held else run.status)
    if run.taken_from is not None:
        name = "history"
    elif run.status is StepStatus.WAITING and run.about:
        name = "hourglass"  # not for somebody
    size = NODE.sign
    right = width - NODE.padding - 3.0
    text = run.note if run.duration_s is None else format_duration(run.duration_s)
    top = 8.0 if text else (NODE.header - size) / 2
    box = QRectF(right - size, top, size, size)
    if run.is_held:  # filled, for its colour is near that of the selection
        painter.setPen(_NO_PEN)
        painter.setBrush(QColor(color))
        painter.drawEllipse(box.adjusted(-2.5, -2.5, 2.5, 2.5))
        color, box = style.theme.node, box.adjusted(1, 1, -1, -1)
    draw_icon(painter, scenery, name, color, box)
    if text:
        painter.setFont(style.time.font)
        painter.setPen(style.second)
        painter.drawText(QPointF(right - style.time.width(text), 28.5 + style.time.middle), text)
    if run.visit > 1:
        _paint_pill(painter, scenery, f"{run.visit}", width)
    if run.status is StepStatus.RUNNING:
        y = item.anatomy.height - 4.5 - NODE.progress
        if not item.anatomy.rows:
            y = item.anatomy.height - NODE.progress - 2.5
        track = QRectF(NODE.padding + 2, y, width - 2 * NODE.padding - 4, NODE.progress)
        painter.setPen(_NO_PEN)
        painter.setBrush(style.progress_track if run.progress is not None else style.progress_unknown)
        painter.drawRoundedRect(track, 1.5, 1.5)
        if run.progress is not None:
            done = min(1.0, max(0.0, run.progress))
            painter.setBrush(style.status(StepStatus.RUNNING))
            painter.drawRoundedRect(QRectF(track.x(), y, track.width() * done, NODE.progress), 1.5, 1.5)


def _paint_pill(painter: QPainter, scenery: Scenery, text: str, width: float) -> None:
    style = scenery.style
    wide = style.time.width(text) + 31.0
    high = NODE.pill_height
    box = QRectF(width - wide - 12.0, -high / 2, wide, high)
    painter.setPen(style.border_pen)
    painter.setBrush(style.raised if style.theme.is_dark else style.panel)
    painter.drawRoundedRect(box, high / 2, high / 2)
    draw_icon(painter, scenery, "loop", style.theme.text, QRectF(box.x() + 8, -5.0, 10, 10))
    painter.setPen(style.text)
    painter.setFont(style.time.font)
    painter.drawText(QPointF(box.x() + 23.0, style.time.middle), text)


def _paint_problem(painter: QPainter, item: WorkflowNodeItem, scenery: Scenery) -> None:
    style = scenery.style
    is_error = item.problem is Severity.ERROR
    box = QRectF(8, -9, 18, 18)
    painter.setPen(style.pen(style.theme.status["error" if is_error else "warning"], 1.2))
    painter.setBrush(style.panel)
    painter.drawEllipse(box)
    color = style.error if is_error else style.warning
    painter.setPen(style.pen(color.name(), 1.8))
    painter.drawLine(QLineF(17, -4.6, 17, 0.6))
    painter.drawPoint(QPointF(17, 4.2))
