"""Which nodes are near a place: squares with what stands in them. Qt's own index is built late, by a timer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from PySide6.QtCore import QRectF

_CELL = 400.0


class Placed(Protocol):
    """What takes room on a scene."""

    def scene_body(self) -> QRectF:
        """The room it takes."""


NodeT = TypeVar("NodeT", bound=Placed)


class NodeGrid(Generic[NodeT]):
    """Nodes by the squares their bodies touch."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], dict[NodeT, None]] = {}
        self._where: dict[NodeT, tuple[int, int, int, int]] = {}

    def __len__(self) -> int:
        return len(self._where)

    @staticmethod
    def _span(area: QRectF) -> tuple[int, int, int, int]:
        return (
            int(area.left() // _CELL),
            int(area.top() // _CELL),
            int(area.right() // _CELL),
            int(area.bottom() // _CELL),
        )

    def place(self, node: NodeT) -> None:
        """A node is new, has moved or has another size."""
        span = self._span(node.scene_body())
        if self._where.get(node) == span:
            return
        self.remove(node)
        self._where[node] = span
        left, top, right, bottom = span
        for x in range(left, right + 1):
            for y in range(top, bottom + 1):
                self._cells.setdefault((x, y), {})[node] = None

    def remove(self, node: NodeT) -> None:
        """A node is gone."""
        span = self._where.pop(node, None)
        if span is None:
            return
        left, top, right, bottom = span
        for x in range(left, right + 1):
            for y in range(top, bottom + 1):
                cell = self._cells[x, y]
                del cell[node]
                if not cell:
                    del self._cells[x, y]

    def touching(self, area: QRectF) -> Iterator[NodeT]:
        """The nodes whose bodies touch a rectangle."""
        left, top, right, bottom = self._span(area)
        if (right - left + 1) * (bottom - top + 1) > len(self._where):
            yield from (node for node in self._where if node.scene_body().intersects(area))
            return
        seen: set[NodeT] = set()
        for x in range(left, right + 1):
            for y in range(top, bottom + 1):
                for node in self._cells.get((x, y), ()):
                    if node not in seen:
                        seen.add(node)
                        if node.scene_body().intersects(area):
                            yield node
