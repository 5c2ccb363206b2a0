"""Which nodes and edges of a canvas are selected."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QGraphicsScene

from wfe_desktop.canvas.items import WorkflowNodeItem
from wfe_desktop.canvas.overview import Overview
from wfe_desktop.canvas.pipes import WorkflowPipe
from wfe_desktop.canvas.spec import EdgeKey


class Selection:
    """What is selected in a scene. ``picked`` is called with ids and keys when that has changed."""

    def __init__(
        self,
        scene: QGraphicsScene,
        overview: Overview,
        picked: Callable[[list[str], list[EdgeKey]], None],
    ) -> None:
        self._scene, self._overview, self._picked = scene, overview, picked
        self.pipes: list[WorkflowPipe] = []
        self._told: tuple[frozenset[str], frozenset[EdgeKey]] = (frozenset(), frozenset())

    def nodes(self) -> list[WorkflowNodeItem]:
        """The selected nodes."""
        return [item for item in self._scene.selectedItems() if isinstance(item, WorkflowNodeItem)]

    def keys(self) -> tuple[list[str], list[EdgeKey]]:
        """Ids of the selected nodes, keys of the selected edges."""
        nodes = [node.spec.id for node in self.nodes() if node.spec is not None]
        return nodes, [pipe.spec.key for pipe in self.pipes if pipe.spec is not None]

    def choose(
        self, nodes: list[WorkflowNodeItem], pipes: list[WorkflowPipe], *, quiet: bool = False
    ) -> None:
        """Select these and nothing else. ``quiet``: told later."""
        wanted = set(nodes)
        for node in self.nodes():
            if node not in wanted:
                node.setSelected(False)
                self._overview.repaint_node(node)
        for node in wanted:
            if not node.isSelected():
                node.setSelected(True)
                self._overview.repaint_node(node)
        for pipe in self.pipes:
            pipe.choose(chosen=False)
        self.pipes = list(dict.fromkeys(pipes))
        for pipe in self.pipes:
            pipe.choose(chosen=True)
        if not quiet:
            self.tell()

    def tell(self) -> None:
        """Say what is selected, where that has changed."""
        nodes, keys = self.keys()
        now = (frozenset(nodes), frozenset(keys))
        if now != self._told:
            self._told = now
            self._picked(nodes, keys)

    def forget(self, pipe: WorkflowPipe) -> None:
        """An edge goes away."""
        if pipe in self.pipes:
            self.pipes.remove(pipe)
