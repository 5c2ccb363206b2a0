"""The lines of edges. Forward: one curve. Backward: down, along a lane below the nodes, and up again."""

from __future__ import annotations

from PySide6.QtCore import QPointF
from PySide6.QtGui import QPainterPath

REACH = 28.0
"""How far an edge leaves a node before it may turn back."""
LANE = 40.0
"""The lane's distance below the lowest node above it."""
CORNER = 46.0


def is_backward(start: QPointF, end: QPointF) -> bool:
    """Whether the end is not far enough to the right for a plain curve."""
    return end.x() < start.x() + 16.0


def forward_path(start: QPointF, end: QPointF, *, downward: bool = False) -> QPainterPath:
    """One curve. ``downward``: it leaves from a bottom edge."""
    path = QPainterPath(start)
    across = end.x() - start.x()
    if downward:
        drop = min(90.0, max(36.0, abs(end.y() - start.y()) * 0.6))
        path.cubicTo(
            QPointF(start.x(), start.y() + drop), QPointF(end.x() - max(40.0, across * 0.5), end.y()), end
        )
        return path
    pull = min(160.0, max(across * 0.5, min(abs(end.y() - start.y()) * 0.5, 48.0)))
    path.cubicTo(QPointF(start.x() + pull, start.y()), QPointF(end.x() - pull, end.y()), end)
    return path


def detour_path(start: QPointF, end: QPointF, lane: float) -> QPainterPath:
    """A forward edge that passes nodes: over to a lane, along it, and over to the end."""
    bend = min(88.0, max(30.0, (end.x() - start.x()) / 3))
    path = QPainterPath(start)
    left, right = QPointF(start.x() + bend, lane), QPointF(end.x() - bend, lane)
    path.cubicTo(QPointF(start.x() + bend * 0.6, start.y()), QPointF(left.x() - bend * 0.6, lane), left)
    path.lineTo(right)
    path.cubicTo(QPointF(right.x() + bend * 0.6, lane), QPointF(end.x() - bend * 0.6, end.y()), end)
    return path


def backward_path(start: QPointF, end: QPointF, lane: float, *, downward: bool = False) -> QPainterPath:
    """Out to the right, down to ``lane`` (a y), back to the left of the end, and up into it."""
    path = QPainterPath(start)
    if downward:
        corner = min(CORNER, max(4.0, lane - start.y()))
        path.cubicTo(
            QPointF(start.x(), start.y() + corner * 0.6),
            QPointF(start.x() - corner * 0.4, lane),
            QPointF(start.x() - corner, lane),
        )
    else:
        right = start.x() + REACH + 6.0
        fall = max(8.0, lane - start.y())
        corner = min(CORNER, fall / 2)
        path.cubicTo(
            QPointF(start.x() + REACH * 0.8, start.y()),
            QPointF(right, start.y() + corner * 0.35),
            QPointF(right, start.y() + corner),
        )
        path.lineTo(QPointF(right, lane - corner))
        path.cubicTo(
            QPointF(right, lane - corner * 0.3),
            QPointF(right - corner * 0.55, lane),
            QPointF(right - corner * 1.1, lane),
        )
    left = end.x() - REACH - 10.0
    rise = max(8.0, lane - end.y())
    corner = min(CORNER, rise / 2)
    path.lineTo(QPointF(left + corner * 1.1, lane))
    path.cubicTo(
        QPointF(left + corner * 0.55, lane), QPointF(left, lane - corner * 0.3), QPointF(left, lane - corner)
    )
    path.lineTo(QPointF(left, end.y() + corner))
    path.cubicTo(QPointF(left, end.y() + corner * 0.35), QPointF(end.x() - REACH * 0.8 - 4.0, end.y()), end)
    return path
