"""Ways for edges past the nodes that stand between their ends."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainterPath

from wfe_desktop.canvas.grid import NodeGrid
from wfe_desktop.canvas.items import WorkflowNodeItem
from wfe_desktop.canvas.pipes import WorkflowPipe

_ROUTED_NODES = 400
"""Up to so many nodes, forward edges look for a way around nodes."""


class Ways:
    """Looks for free lanes among the nodes of a grid. ``enabled``: off while many nodes come or move."""

    def __init__(self, grid: NodeGrid[WorkflowNodeItem]) -> None:
        self._grid = grid
        self.enabled = True

    def free_lane(self, left: float, right: float, y: float) -> float:
        """The nearest height from ``y`` downwards at which nothing stands between two abscissae."""
        if not self.enabled:
            return y
        for _ in range(8):
            blocking = list(self._grid.touching(QRectF(left, y - 22.0, right - left, 44.0)))
            if not blocking:
                break
            y = max(node.scene_body().bottom() for node in blocking) + 40.0
        return y

    def detour(self, path: QPainterPath, pipe: WorkflowPipe) -> float | None:
        """The height of a lane around the nodes a forward edge would run through; None where its way is free."""
        if not self.enabled or len(self._grid) > _ROUTED_NODES:
            return None
        ends = (pipe.input_port.node, pipe.output_port.node)
        area = path.boundingRect().adjusted(0, -4, 0, 4)
        bodies = [node.scene_body() for node in self._grid.touching(area) if node not in ends]
        points = [path.pointAtPercent(at / 32) for at in range(1, 32)] if bodies else []
        hit = [body for body in bodies if any(body.contains(point) for point in points)]
        if not hit:
            return None
        start, end = pipe.ends()
        left, right = start.x() + 20.0, end.x() - 20.0
        above = self._clear(left, right, min(body.top() for body in hit) - 26.0, up=True)
        below = self._clear(left, right, max(body.bottom() for body in hit) + 26.0, up=False)
        middle = (start.y() + end.y()) / 2
        return above if middle - above <= below - middle else below

    def _clear(self, left: float, right: float, y: float, *, up: bool) -> float:
        for _ in range(6):
            bodies = [
                node.scene_body() for node in self._grid.touching(QRectF(left, y - 10, right - left, 20))
            ]
            if not bodies:
                break
            y = min(body.top() for body in bodies) - 26.0 if up else max(b.bottom() for b in bodies) + 26.0
        return y
