"""The canvas as the rest of the program knows it.

``show_graph`` says what is to be seen; signals say what the user asks for. The canvas itself changes nothing: it shows a
new graph when it is shown one. GUI thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.model.graph import EdgeDefinition, GraphDefinition
from engine.model.problem import Severity
from engine.model.tool import Catalog
from wfe_desktop.canvas.bubble import EmptyHint
from wfe_desktop.canvas.export import ExportError, paint_png, paint_svg
from wfe_desktop.canvas.minimap import Minimap
from wfe_desktop.canvas.spec import EdgeKey, NodeRunView, PendingWire
from wfe_desktop.canvas.stage import EdgeMark, Stage
from wfe_desktop.theme import Theme, current_theme

__all__ = ["CanvasWidget", "EdgeKey", "EdgeMark", "ExportError", "NodeRunView", "PendingWire"]

_ZOOM_STEP = 1.2
_MAP_MARGIN = 14
_MAP_LEAST_WIDTH = 520
_MAP_LEAST_HEIGHT = 300


class CanvasWidget(QWidget):
    """Shows a graph and its run; says what the user wants."""

    node_requested = Signal(str, float, float)
    """A tool was dropped: function name, x, y."""
    connect_requested = Signal(object)
    """A wire was dropped on a port that takes it: EdgeDefinition."""
    disconnect_requested = Signal(list)
    """Edges were cut: keys."""
    move_requested = Signal(dict)
    """Nodes were dragged: (x, y) by id; with them, those whose place the graph did not know yet."""
    delete_requested = Signal(list, list)
    """Delete was pressed: node ids, edge keys."""
    search_requested = Signal(QPointF, QPoint, object)
    """A node is wanted at a place: scene position, screen position, and the PendingWire it should end, or None."""
    condition_edit_requested = Signal(object)
    """An edge was double-clicked: its key."""
    selection_changed = Signal(list, list)
    """Node ids, edge keys."""
    """Never sent by the mouse; for menus that act through the canvas."""
    open_node_requested = Signal(str)
    """A node was double-clicked, or Return pressed: its id."""
    context_menu_requested = Signal(object, QPointF, QPoint)
    """A node's id, an edge's key or None for the canvas; scene position; screen position."""
    zoom_changed = Signal(float)
    """The scale; 1.0 is 100 %."""

    def __init__(self, parent: QWidget | None = None, theme: Theme | None = None) -> None:
        super().__init__(parent)
        self._stage = Stage(theme or current_theme(), self)
        self._viewer = self._stage.viewer
        self._fitted = False
        self._graph_area = QRectF()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._viewer)
        self.setFocusProxy(self._viewer)
        self._hint = EmptyHint(self)
        self._minimap = Minimap(self._viewer, self)
        self._viewer.setAccessibleName("Canvas")
        self._connect()
        self._place_overlays()

    def _connect(self) -> None:
        viewer = self._viewer
        viewer.node_requested.connect(self.node_requested)
        viewer.connect_requested.connect(self.connect_requested)
        viewer.disconnect_requested.connect(self.disconnect_requested)
        viewer.move_requested.connect(self._request_move)
        viewer.delete_requested.connect(self.delete_requested)
        viewer.search_requested.connect(self.search_requested)
        viewer.condition_edit_requested.connect(self.condition_edit_requested)
        viewer.open_node_requested.connect(self.open_node_requested)
        viewer.menu_requested.connect(self.context_menu_requested)
        viewer.picked.connect(self.selection_changed)
        viewer.zoom_changed.connect(self.zoom_changed)
        viewer.view_changed.connect(self._place_minimap)

    def _request_move(self, moved: dict[str, tuple[float, float]]) -> None:
        """From the first move on, every node has its place: else the layout would move the others."""
        shown = self._viewer.nodes
        rest = {node_id: (shown[node_id].x(), shown[node_id].y()) for node_id in self._stage.unplaced}
        self.move_requested.emit({**rest, **moved})

    # --- the graph

    @property
    def connection_check(self) -> Callable[[EdgeDefinition], str | None]:
        """Asked while a wire is dragged: the sentence why not, or None. Set by the window."""
        return self._viewer.connection_check

    @connection_check.setter
    def connection_check(self, check: Callable[[EdgeDefinition], str | None]) -> None:
        self._viewer.connection_check = check

    def show_graph(self, graph: GraphDefinition, catalog: Catalog) -> None:
        """Show this graph. Items of what has not changed stay; the selection too, where it still exists.

        Nodes without a place in ``graph.ui`` are laid out. The first graph with nodes is fitted into the view.
        """
        self._stage.show(graph, catalog)
        self._graph_area = self._stage.area()
        self._minimap.refresh_now()
        self._place_overlays()
        self._viewer.selection.tell()
        if not self._fitted and graph.nodes:
            self._fitted = True
            self.zoom_fit()

    def node_position(self, node_id: str) -> tuple[float, float] | None:
        """Where a node is shown: also where the graph says nothing and the layout has put it."""
        item = self._viewer.nodes.get(node_id)
        return (item.x(), item.y()) if item is not None else None

    def positions(self) -> dict[str, tuple[float, float]]:
        """Where every node is shown."""
        return {node_id: (item.x(), item.y()) for node_id, item in self._viewer.nodes.items()}

    def node_sizes(self) -> dict[str, tuple[float, float]]:
        """Width and height of every node, for the layout."""
        return {
            node_id: (item.anatomy.width, item.anatomy.height) for node_id, item in self._viewer.nodes.items()
        }

    # --- a run, problems

    def set_run_view(self, nodes: Mapping[str, NodeRunView], edges: Mapping[EdgeKey, EdgeMark]) -> None:
        """Show a run. Nodes and edges that are not named look as outside of a run."""
        self._stage.show_run(nodes, edges)
        self._minimap.refresh()

    def update_run(self, nodes: Mapping[str, NodeRunView], edges: Mapping[EdgeKey, EdgeMark]) -> None:
        """The same for what has changed since; costs what has changed."""
        self._stage.update_run(nodes, edges)
        self._minimap.refresh()

    def clear_run_view(self) -> None:
        """Show no run."""
        self.set_run_view({}, {})

    def set_problems(self, problems: Mapping[str, Severity]) -> None:
        """Mark nodes with their worst problem; the others lose their mark."""
        self._stage.show_problems(problems)
        self._minimap.refresh()

    # --- selection

    @property
    def selection(self) -> tuple[list[str], list[EdgeKey]]:
        """Ids of the selected nodes, keys of the selected edges."""
        return self._viewer.selection.keys()

    def select(self, node_ids: Iterable[str], edge_keys: Iterable[EdgeKey] = ()) -> None:
        """Select these and nothing else; what does not exist is left out."""
        nodes = [self._viewer.nodes[node_id] for node_id in node_ids if node_id in self._viewer.nodes]
        pipes = [self._stage.pipes[key] for key in edge_keys if key in self._stage.pipes]
        self._viewer.selection.choose(nodes, pipes)
        self._minimap.refresh()

    def select_all(self) -> None:
        """Select every node and edge."""
        self._viewer.selection.choose(list(self._viewer.nodes.values()), list(self._stage.pipes.values()))
        self._minimap.refresh()

    def walk(self, dx: int, dy: int) -> None:
        """Select the nearest node in a direction."""
        self._viewer.gestures.walk(dx, dy)

    def nudge(self, dx: int, dy: int) -> None:
        """Ask for the selected nodes to move a step in a direction."""
        self._viewer.gestures.nudge(dx, dy)

    # --- the view

    @property
    def zoom(self) -> float:
        """The scale; 1.0 is 100 %."""
        return self._viewer.zoom

    def zoom_in(self) -> None:
        """A step nearer."""
        self._viewer.zoom_to(self._viewer.zoom * _ZOOM_STEP)

    def zoom_out(self) -> None:
        """A step back."""
        self._viewer.zoom_to(self._viewer.zoom / _ZOOM_STEP)

    def zoom_100(self) -> None:
        """The size at which it was drawn."""
        self._viewer.zoom_to(1.0)

    def zoom_fit(self) -> None:
        """Show the selection as a whole, or everything where nothing is selected; never beyond 100 %."""
        nodes = self._viewer.selection.nodes()
        self._viewer.show_rect(self._stage.area(nodes))

    def center_on(self, node_id: str) -> None:
        """Bring a node to the middle of the view."""
        item = self._viewer.nodes.get(node_id)
        if item is not None:
            self._viewer.center_at(item.scene_body().center())

    def show_edge(self, key: EdgeKey) -> None:
        """Bring an edge to the middle of the view."""
        pipe = self._stage.pipes.get(key)
        if pipe is not None:
            self._viewer.center_at(pipe.path().boundingRect().center())

    def view_center(self) -> QPointF:
        """The point of the scene in the middle of the view: where a new node is put without a pointer."""
        return self._viewer.visible_rect().center()

    def pointer_position(self) -> QPointF:
        """The point of the scene under the pointer, or the view's middle where the pointer is elsewhere."""
        at = self._viewer.viewport().mapFromGlobal(self.cursor().pos())
        inside = self._viewer.viewport().rect().contains(at)
        return self._viewer.mapToScene(at) if inside else self.view_center()

    @property
    def view_rect(self) -> QRectF:
        """The part of the scene that is seen."""
        return self._viewer.visible_rect()

    # --- look

    def set_theme(self, theme: Theme) -> None:
        """Look like this theme."""
        self._stage.show_theme(theme)
        self._minimap.refresh_now()

    def set_empty_widget(self, widget: QWidget | None) -> None:
        """Put a widget (samples to open) below what the empty canvas says; the canvas takes it over."""
        self._hint.set_extra(widget)
        self._place_overlays()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_overlays()

    def _place_overlays(self) -> None:
        is_empty = not self._viewer.nodes
        self._hint.setVisible(is_empty)
        self._hint.adjustSize()
        self._hint.move((self.width() - self._hint.width()) // 2, (self.height() - self._hint.height()) // 2)
        self._hint.raise_()
        self._place_minimap()

    def _place_minimap(self) -> None:
        """In the corner; away where it would cover a graph that is all in view and needs no map."""
        box = QRect(QPoint(), self._minimap.size())
        box.moveBottomRight(self.rect().bottomRight() - QPoint(_MAP_MARGIN, _MAP_MARGIN))
        room = self.width() >= _MAP_LEAST_WIDTH and self.height() >= _MAP_LEAST_HEIGHT
        wanted = room and bool(self._viewer.nodes)
        if wanted and self._viewer.visible_rect().contains(self._graph_area):
            wanted = not box.intersects(self._viewer.mapFromScene(self._graph_area).boundingRect())
        self._minimap.setVisible(wanted)
        self._minimap.move(box.topLeft())
        self._minimap.raise_()

    # --- pictures

    def export_svg(self, path: Path | str, title: str = "Workflow") -> None:
        """Write the graph as SVG. Raises ExportError."""
        paint_svg(self._viewer, Path(path), title)

    def export_png(self, path: Path | str, scale: float = 2.0) -> None:
        """Write the graph as PNG, ``scale`` pixels for each of the canvas. Raises ExportError."""
        paint_png(self._viewer, Path(path), scale)


def export_graph(
    graph: GraphDefinition, catalog: Catalog, path: Path | str, theme: Theme | None = None
) -> None:
    """Write a picture of a graph without a window, SVG or PNG by the file's name. Needs a QApplication.

    Raises:
        ExportError: the file cannot be written, or its name ends in neither.
    """
    target = Path(path)
    canvas = CanvasWidget(theme=theme)
    try:
        canvas.show_graph(graph, catalog)
        match target.suffix.lower():
            case ".svg":
                canvas.export_svg(target, graph.name)
            case ".png":
                canvas.export_png(target)
            case suffix:
                raise ExportError(f'A picture is written as .svg or .png, not "{suffix}".')
    finally:
        canvas.deleteLater()
