"""The view of the scene: NodeGraphQt's viewer with its own ways of moving about, painting and finding things.

What is overridden and why: ``acyclic_check`` is exponential; ``_combined_rect`` and ``move_nodes`` leak every node;
``fitInView`` never gives exactly 100 %, which blurs text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QPoint, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTransform,
    QUndoStack,
)
from PySide6.QtWidgets import (
    QFrame,
    QGraphicsItem,
    QGraphicsScene,
    QGraphicsView,
    QStyleOptionGraphicsItem,
)

from engine.model.graph import EdgeDefinition
from wfe_desktop.canvas.backdrop import Backdrop
from wfe_desktop.canvas.bubble import Bubble
from wfe_desktop.canvas.items import GRAB, Scenery, WorkflowNodeItem, WorkflowPort
from wfe_desktop.canvas.nodegraphqt import NodeViewer, PortItem
from wfe_desktop.canvas.overview import Overview, Sight
from wfe_desktop.canvas.pipes import ConditionPill, WorkflowPipe
from wfe_desktop.canvas.selection import Selection
from wfe_desktop.canvas.style import OVERVIEW_SCALE
from wfe_desktop.canvas.ways import Ways

ZOOM_LEAST, ZOOM_MOST = 0.04, 3.0
_WORLD = QRectF(-500_000, -500_000, 1_000_000, 1_000_000)
_OVERVIEW_NODES = 250
"""From so many nodes on, a far view is painted in one go, not item by item."""
_OVERVIEW_ZOOM = 0.4
_FIT_MARGIN = 24.0
_RESTING_MS = 120


@dataclass(frozen=True, slots=True)
class Hit:
    """What is under the pointer; all empty: nothing."""

    node: WorkflowNodeItem | None = None
    port: WorkflowPort | None = None
    pipe: WorkflowPipe | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is only canvas."""
        return self.node is None and self.pipe is None


class Surface(NodeViewer):  # type: ignore[misc]
    """Where the graph is seen. Its signals are wishes; nothing is changed until the adapter shows it."""

    node_requested = Signal(str, float, float)
    connect_requested = Signal(object)
    disconnect_requested = Signal(list)
    move_requested = Signal(dict)
    delete_requested = Signal(list, list)
    search_requested = Signal(QPointF, QPoint, object)
    condition_edit_requested = Signal(object)
    open_node_requested = Signal(str)
    menu_requested = Signal(object, QPointF, QPoint)
    picked = Signal(list, list)
    view_changed = Signal()
    zoom_changed = Signal(float)

    def __init__(self, scenery: Scenery, undo_stack: QUndoStack) -> None:
        self._zoom = 1.0
        self.scenery = scenery
        self.ways = Ways(scenery.grid)
        scenery.router = self.ways
        self.loose: QGraphicsItem | None = None
        self.nodes: dict[str, WorkflowNodeItem] = {}
        self.grid = scenery.grid
        self.overview = Overview(scenery)
        self._backdrop = Backdrop()
        super().__init__(undo_stack=undo_stack)
        # NodeGraphQt's own search, which is never opened here: a window of its own that nothing else would destroy.
        self._search_widget.setParent(self, self._search_widget.windowFlags())
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_RESTING_MS)
        self._rest.timeout.connect(self._sharpen)
        self.connection_check: Callable[[EdgeDefinition], str | None] = lambda _edge: None
        self.selection = Selection(self.scene(), self.overview, self.picked.emit)
        self.bubble = Bubble(self)
        self.acyclic = False
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setCacheMode(QGraphicsView.CacheModeFlag.CacheNone)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setResizeAnchor(QGraphicsView.ViewportAnchor.AnchorViewCenter)
        self.setOptimizationFlag(QGraphicsView.OptimizationFlag.DontAdjustForAntialiasing)
        self.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        self.setSceneRect(_WORLD)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.DefaultContextMenu)
        for action in (self._undo_action, self._redo_action):
            if (
                action is not None
            ):  # the document's undo is the window's; NodeGraphQt's is never to be reached
                action.setShortcuts([])
                action.setEnabled(False)

    # --- NodeGraphQt's own ways, made safe

    @staticmethod
    def acyclic_check(start_port: PortItem, end_port: PortItem) -> bool:
        """Whether a connection would close no cycle; visits each node once. Never asked: cycles are loops here."""
        start = start_port.node
        seen: set[Any] = set()
        stack = [end_port.node]
        side = "outputs" if not end_port.is_output else "inputs"
        while stack:
            node = stack.pop()
            if node is start:
                return False
            if node not in seen:
                seen.add(node)
                for port in getattr(node, side):
                    stack.extend(other.node for other in port.connected_ports)
        return True

    def _combined_rect(self, nodes: Iterable[WorkflowNodeItem]) -> QRectF:
        """The rectangle around nodes; NodeGraphQt's makes a group of them, and PySide never lets go of its members."""
        rect = QRectF()
        for node in nodes:
            rect = rect.united(node.scene_body())
        return rect

    def move_nodes(
        self,
        nodes: Iterable[WorkflowNodeItem],
        pos: tuple[float, float] | None = None,
        offset: tuple[float, float] | None = None,
    ) -> None:
        """Move nodes together, without NodeGraphQt's leaking group."""
        moved = list(nodes)
        rect = self._combined_rect(moved)
        corner = (
            QPointF(*pos) if pos else self.mapToScene(self._previous_pos) - rect.center() + rect.topLeft()
        )
        shift = corner - rect.topLeft() + (QPointF(*offset) if offset else QPointF())
        for node in moved:
            node.setPos(node.pos() + shift)

    def establish_connection(self, start_port: PortItem, end_port: PortItem) -> None:
        """Draw an edge between two ports, with our own light item."""
        self.connect_ports(start_port, end_port)

    def connect_ports(self, start_port: PortItem, end_port: PortItem) -> WorkflowPipe:
        """The same, and hand out the edge."""
        pipe = WorkflowPipe()
        pipe.scenery = self.scenery
        pipe.set_connections(start_port, end_port)
        pipe.redraw()
        self.scene().addItem(pipe)
        return pipe

    # --- moving about

    @property
    def zoom(self) -> float:
        """The scale; 1.0 is 100 %."""
        return self._zoom

    def _update_scene(self) -> None:
        """Show ``_scene_range``, at its exact scale: NodeGraphQt's own ways of moving end here."""
        wanted = self._scene_range
        if wanted.width() <= 0 or wanted.height() <= 0:
            return
        scale = min(self.viewport().width() / wanted.width(), self.viewport().height() / wanted.height())
        self._set_zoom(scale)
        self.centerOn(wanted.center())
        self._moved()

    def _set_zoom(self, scale: float) -> None:
        scale = min(ZOOM_MOST, max(ZOOM_LEAST, scale))
        if abs(scale - 1.0) < 0.03:
            scale = 1.0  # where text is sharpest
        if scale != self._zoom:
            self._zoom = scale
            self.setTransform(QTransform.fromScale(scale, scale))
            self.zoom_changed.emit(scale)

    def _moved(self) -> None:
        self._scene_range = self.visible_rect()
        self.view_changed.emit()

    def visible_rect(self) -> QRectF:
        """The part of the scene that is seen."""
        return QRectF(self.mapToScene(self.viewport().rect()).boundingRect())

    def zoom_to(self, scale: float, at: QPoint | None = None) -> None:
        """Set the scale; the point ``at`` of the view (its middle where left out) stays where it is."""
        at = at if at is not None else self.viewport().rect().center()
        before = self.mapToScene(at)
        self._set_zoom(scale)
        drift = (before - self.mapToScene(at)) * self._zoom
        self._scroll(round(drift.x()), round(drift.y()))

    def zoom_by_hand(self, scale: float, at: QPoint) -> None:
        """Zoom at once with the pictures there are; sharp ones follow when the hand rests."""
        self.scenery.zooming = True
        self._rest.start()
        self.zoom_to(scale, at)

    def _sharpen(self) -> None:
        self.scenery.zooming = False
        self.viewport().update()

    def pan(self, dx: int, dy: int) -> None:
        """Move the view by pixels."""
        self._scroll(dx, dy)

    def _scroll(self, dx: int, dy: int) -> None:
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        across.setValue(across.value() + dx)
        down.setValue(down.value() + dy)
        self._moved()

    def show_rect(self, rect: QRectF) -> None:
        """Show a part of the scene as a whole, not enlarged."""
        if rect.isEmpty():
            return
        space = self.viewport().rect()
        wide, high = max(80.0, space.width() - 2 * _FIT_MARGIN), max(80.0, space.height() - 2 * _FIT_MARGIN)
        self._set_zoom(min(1.0, wide / rect.width(), high / rect.height()))
        self.centerOn(rect.center())
        self._moved()

    def center_at(self, point: QPointF) -> None:
        """Bring a point of the scene to the middle."""
        self.centerOn(point)
        self._moved()

    def resizeEvent(self, event: QResizeEvent) -> None:
        QGraphicsView.resizeEvent(self, event)
        self._last_size = self.size()
        self._moved()

    # --- finding things

    def hit(self, at: QPoint, *, edges: bool = True) -> Hit:
        """What is under a point of the view: a port before a pill, a node before an edge."""
        point = self.mapToScene(at)
        reach = max(GRAB, 5.0 / self._zoom)
        area = QRectF(point.x() - reach, point.y() - reach, 2 * reach, 2 * reach)
        found = self.scene().items(area, Qt.ItemSelectionMode.IntersectsItemBoundingRect)
        nodes = [item for item in found if isinstance(item, WorkflowNodeItem)]
        for node in nodes:
            port = node.port_at(point - node.pos())
            if port is not None:
                return Hit(port=port, node=node)
            if node.scene_body().contains(point):
                return Hit(node=node)
        pills = [item for item in found if isinstance(item, ConditionPill)]
        for pill in pills:
            if pill.pipe is not None and pill.boundingRect().contains(point - pill.pos()):
                return Hit(pipe=pill.pipe)
        if edges:
            for item in found:
                if isinstance(item, WorkflowPipe) and self._is_on(item, area, point):
                    return Hit(pipe=item)
        return Hit()

    def _is_on(self, pipe: WorkflowPipe, area: QRectF, point: QPointF) -> bool:
        if not pipe.path().intersects(area):  # cheap, but true for the whole area that an open line spans
            return False
        return pipe.outline(max(10.0, 9.0 / self._zoom)).contains(point)

    def nodes_in(self, area: QRectF) -> Iterator[WorkflowNodeItem]:
        """The nodes whose bodies touch a rectangle of the scene."""
        yield from self.grid.touching(area)

    def pipes_in(self, area: QRectF) -> Iterator[WorkflowPipe]:
        """The edges whose surroundings touch a rectangle of the scene."""
        for item in self.scene().items(area, Qt.ItemSelectionMode.IntersectsItemBoundingRect):
            if isinstance(item, WorkflowPipe):
                yield item

    def hold(self, item: QGraphicsItem) -> None:
        """Show what a gesture draws above all: a rubber band, a loose wire."""
        self.loose = item
        self.scene().addItem(item)

    def let_go(self) -> None:
        """Take it away again."""
        if self.loose is not None:
            self.scene().removeItem(self.loose)
            self.loose = None

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """Many items come or go: no painting, no index, no looking for ways meanwhile."""
        scene: QGraphicsScene = self.scene()
        self.setUpdatesEnabled(False)
        self.ways.enabled = False
        scene.setItemIndexMethod(QGraphicsScene.ItemIndexMethod.NoIndex)
        try:
            yield
        finally:
            scene.setItemIndexMethod(QGraphicsScene.ItemIndexMethod.BspTreeIndex)
            self.ways.enabled = True
            self.setUpdatesEnabled(True)

    # --- painting

    @property
    def is_overview(self) -> bool:
        """Whether the view is painted in one go."""
        return self._zoom < _OVERVIEW_ZOOM and len(self.nodes) > _OVERVIEW_NODES

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self.is_overview:
            QGraphicsView.paintEvent(self, event)
            return
        painter = QPainter(self.viewport())
        sight = Sight(
            self.mapToScene(QPoint(0, 0)),
            self.viewport().size(),
            self._zoom,
            self.viewport().devicePixelRatioF(),
        )
        self.overview.paint(painter, self.nodes.values(), sight, event.rect())
        if self.loose is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setWorldTransform(self.viewportTransform())
            self.loose.paint(painter, QStyleOptionGraphicsItem(), self.viewport())
        painter.end()

    def drawBackground(self, painter: QPainter, rect: QRectF) -> None:
        if self._zoom < OVERVIEW_SCALE:
            painter.fillRect(rect, self.scenery.style.canvas)
        else:
            origin = self.mapToScene(QPoint(0, 0))
            self._backdrop.paint(painter, self.viewport(), origin, self._zoom, self.scenery.style)
