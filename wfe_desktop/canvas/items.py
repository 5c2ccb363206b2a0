"""The items on the scene: nodes and ports. Light subclasses of NodeGraphQt's: a node paints itself and its ports."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, ClassVar, Protocol

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPixmap, QTransform
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from engine.model.problem import Severity
from engine.model.tool import PortType
from wfe_desktop.canvas.grid import NodeGrid
from wfe_desktop.canvas.nodegraphqt import PORT_IN, PORT_OUT, AbstractNodeItem, BaseNode, PortItem
from wfe_desktop.canvas.spec import ERROR_OUT, FLOW_IN, FLOW_OUT, NodeRunView, NodeSpec, PortSpec
from wfe_desktop.canvas.style import Style
from wfe_desktop.theme import NODE

GRAB = 11.0
"""How near to a port's middle it is taken hold of."""
_MARGIN = QRectF(-GRAB, -GRAB, 2 * GRAB, 2 * GRAB)
_VALUE_GAP = 10.0
_BOTTOM = 9.0
_MOST_PIXELS = 12_000_000
"""What nodes painted beforehand may take: 48 MB."""
_WIDEST_HINT = 92.0
"""A node grows for so much of what a port is given; longer texts are shortened."""


@dataclass(slots=True)
class WireDrag:
    """A wire in the user's hand: where it began, and what may take it."""

    source: PortItem

    def accepts(self, port: PortItem) -> bool:
        """Whether the two kinds of ports go together; the document may still say no."""
        source = self.source
        if port.is_output == source.is_output or port is source:
            return False
        out, into = (source, port) if source.is_output else (port, source)
        if into.name == FLOW_IN:
            return bool(out.name in (FLOW_OUT, ERROR_OUT))
        if out.name == FLOW_OUT:
            return False
        return bool(into.kind.accepts(PortType.OBJECT if out.name == ERROR_OUT else out.kind))


class Router(Protocol):
    """Who knows where nodes stand in the way."""

    def free_lane(self, left: float, right: float, y: float) -> float:
        """The nearest free height from ``y`` downwards between two abscissae."""

    def detour(self, path: QPainterPath, pipe: Any) -> float | None:
        """The height of a lane around what stands in the way of ``path``; None where nothing does."""


class NodePainter(Protocol):
    """Who paints nodes."""

    def __call__(self, painter: QPainter, item: WorkflowNodeItem, scale: float, /) -> None:
        """Paint a node as it would be seen at ``scale``."""


class Pictures:
    """Nodes as they were painted last, so that panning only copies; the longest unused go first."""

    def __init__(self) -> None:
        self._held: OrderedDict[WorkflowNodeItem, tuple[float, QPixmap]] = OrderedDict()
        self._pixels = 0

    def find(self, node: WorkflowNodeItem, scale: float) -> QPixmap | None:
        """The picture of a node at a scale (device pixels a scene pixel), or None."""
        held = self._held.get(node)
        if held is None or held[0] != scale:
            return None
        self._held.move_to_end(node)
        return held[1]

    def find_any(self, node: WorkflowNodeItem) -> tuple[float, QPixmap] | None:
        """The picture of a node at whichever scale there is one."""
        return self._held.get(node)

    def hold(self, node: WorkflowNodeItem, scale: float, picture: QPixmap) -> None:
        """Keep a picture in place of the one before."""
        self.drop(node)
        self._held[node] = (scale, picture)
        self._pixels += picture.width() * picture.height()
        while self._pixels > _MOST_PIXELS and len(self._held) > 1:
            self.drop(next(iter(self._held)))

    def drop(self, node: WorkflowNodeItem) -> None:
        """The node looks different now."""
        held = self._held.pop(node, None)
        if held is not None:
            self._pixels -= held[1].width() * held[1].height()

    def clear(self) -> None:
        """All look different now."""
        self._held.clear()
        self._pixels = 0


@dataclass(slots=True)
class Scenery:
    """What all items of one canvas look at while they paint."""

    style: Style
    paint_node: NodePainter
    drag: WireDrag | None = None
    hovered: PortItem | None = None
    hovered_node: WorkflowNodeItem | None = None
    zooming: bool = False
    """The scale changes from frame to frame: the pictures there are will do."""
    vectors: bool = False
    """Paint icons as vectors, not pixels: for export."""
    router: Router | None = None
    grid: NodeGrid[WorkflowNodeItem] = field(default_factory=NodeGrid)
    pictures: Pictures = field(default_factory=Pictures)


@dataclass(slots=True)
class Row:
    """One line of a node's body: what is written where."""

    y: float
    input: PortSpec | None = None
    output: PortSpec | None = None
    input_text: str = ""
    hint_text: str = ""
    hint_x: float = 0.0
    output_text: str = ""
    output_x: float = 0.0


@dataclass(slots=True)
class Anatomy:
    """A node's size and texts, worked out once for a spec and a style."""

    width: float
    height: float
    title: str
    tool: str
    rows: list[Row] = field(default_factory=list)
    header: QPainterPath = field(default_factory=QPainterPath)


class WorkflowPort(PortItem):  # type: ignore[misc]
    """A port: a place to take hold of. Its node paints it."""

    def __init__(self, node: WorkflowNodeItem, name: str, kind: PortType, *, is_output: bool) -> None:
        QGraphicsItem.__init__(self, node)
        self.setFlag(_NO_CONTENTS)
        self.kind = kind
        self.is_output = is_output
        self._owner = node
        self._pipes: list[Any] = []
        self._hovered = False
        self._name = name
        self._display_name = True
        self._port_type = PORT_OUT if is_output else PORT_IN
        self._multi_connection = True
        self._locked = False
        self._width = self._height = 2 * GRAB
        self._color = self._border_color = (0, 0, 0, 255)
        self._border_size = 1

    @property
    def node(self) -> WorkflowNodeItem:
        """The node it belongs to; asking Qt for the parent costs far more."""
        return self._owner

    @property
    def is_flow(self) -> bool:
        """Whether it carries order, not a value."""
        return self._name in (FLOW_IN, FLOW_OUT, ERROR_OUT)

    def boundingRect(self) -> QRectF:
        return _MARGIN

    def center(self) -> QPointF:
        """Its middle, on the scene."""
        return QPointF(self._owner.pos() + self.pos())

    def itemChange(self, _change: QGraphicsItem.GraphicsItemChange, value: Any) -> Any:
        return value


class WorkflowNodeItem(AbstractNodeItem):  # type: ignore[misc]
    """A node's picture. ``show_spec`` says what it is, ``show_run`` how it stands in a run."""

    def __init__(self, name: str = "node", parent: QGraphicsItem | None = None) -> None:
        super().__init__(name, parent)
        self.setCacheMode(QGraphicsItem.CacheMode.NoCache)
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemIsMovable, enabled=False)
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemSendsGeometryChanges)
        self._inputs: dict[str, WorkflowPort] = {}
        self._outputs: dict[str, WorkflowPort] = {}
        self.scenery: Scenery | None = None
        self.spec: NodeSpec | None = None
        self.anatomy = Anatomy(NODE.min_width, NODE.header, "", "")
        self.run: NodeRunView | None = None
        self.problem: Severity | None = None
        self._bounds = QRectF()

    # --- what NodeGraphQt's node object asks of its view

    widgets: ClassVar[Mapping[str, Any]] = {}

    @property
    def inputs(self) -> list[WorkflowPort]:
        """The input ports, flow first."""
        return list(self._inputs.values())

    @property
    def outputs(self) -> list[WorkflowPort]:
        """The output ports, flow first."""
        return list(self._outputs.values())

    @property
    def name(self) -> str:
        """NodeGraphQt's name of the node."""
        return str(self._properties["name"])

    @name.setter
    def name(self, name: str) -> None:
        self._properties["name"] = name  # the base class sets a tooltip on each; ours is made when asked for

    def from_dict(self, node_dict: dict[str, Any]) -> None:
        """Nothing: what a node shows comes from its spec."""

    def find_port(self, name: str, *, is_output: bool) -> WorkflowPort | None:
        """The port of this name on this side, or None."""
        return (self._outputs if is_output else self._inputs).get(name)

    def add_port(self, name: str, kind: PortType, *, is_output: bool) -> WorkflowPort:
        """Add a port; ``show_spec`` puts it in its place."""
        port = WorkflowPort(self, name, kind, is_output=is_output)
        (self._outputs if is_output else self._inputs)[name] = port
        return port

    # --- what it shows

    def show_spec(self, spec: NodeSpec, scenery: Scenery) -> None:
        """Look like ``spec``; the ports are there already."""
        self.scenery = scenery
        self.spec = spec
        self.relayout()

    def relayout(self) -> None:
        """Measure the texts again and put the ports in their places."""
        assert self.spec is not None
        assert self.scenery is not None
        anatomy = measure(self.spec, self.scenery.style)
        self.prepareGeometryChange()
        self.anatomy = anatomy
        self._width, self._height = anatomy.width, anatomy.height
        if self.scene() is not None:
            self.scenery.grid.place(self)
        self._bounds = QRectF(-28.0, -16.0, anatomy.width + 40.0, anatomy.height + 32.0)
        middle = NODE.header / 2
        self._inputs[FLOW_IN].setPos(0.0, middle)
        self._outputs[FLOW_OUT].setPos(anatomy.width, middle)
        self._outputs[ERROR_OUT].setPos(anatomy.width - 24.0, anatomy.height)
        for row in anatomy.rows:
            if row.input is not None:
                port = self._inputs[row.input.name]
                port.kind = row.input.type
                port.setPos(0.0, row.y)
            if row.output is not None:
                port = self._outputs[row.output.name]
                port.kind = row.output.type
                port.setPos(anatomy.width, row.y)
        self.redraw_pipes()
        self.update()

    def show_run(self, run: NodeRunView | None) -> bool:
        """Stand like ``run`` says (None: not part of a run); whether that is another look."""
        if run == self.run:
            return False
        self.run = run
        self.update()
        return True

    def boundingRect(self) -> QRectF:
        return self._bounds

    def body(self) -> QRectF:
        """The node without what sticks out of it, in its own coordinates."""
        return QRectF(0.0, 0.0, self._width, self._height)

    def scene_body(self) -> QRectF:
        """The same on the scene."""
        pos = self.pos()
        return QRectF(pos.x(), pos.y(), self._width, self._height)

    def pipes(self) -> Iterator[Any]:
        """Every edge at this node; a loop to itself twice."""
        for ports in (self._inputs, self._outputs):
            for port in ports.values():
                yield from port._pipes  # noqa: SLF001  (NodeGraphQt's own list; its property costs a call a port)

    def redraw_pipes(self) -> None:
        """Let the edges follow."""
        for pipe in self.pipes():
            pipe.redraw()

    def port_at(self, pos: QPointF) -> WorkflowPort | None:
        """The port to take hold of at a point in the node's coordinates."""
        nearest, best = None, GRAB * GRAB
        for ports in (self._inputs, self._outputs):
            for port in ports.values():
                if port._name == ERROR_OUT and not self.shows_error_port():  # noqa: SLF001
                    continue
                away = port.pos() - pos
                distance = away.x() * away.x() + away.y() * away.y()
                if distance <= best:
                    nearest, best = port, distance
        return nearest

    def shows_error_port(self) -> bool:
        """Whether the port for failures is to be seen: in use, or the pointer is near."""
        assert self.spec is not None
        scenery = self.scenery
        if self.spec.error_out or scenery is None or scenery.hovered_node is self:
            return True
        drag = scenery.drag
        return drag is not None and not drag.source.is_output and drag.source.node is not self

    def itemChange(self, change: QGraphicsItem.GraphicsItemChange, value: Any) -> Any:
        if change == _MOVED:
            if self.scenery is not None and self.scene() is not None:
                self.scenery.grid.place(self)
            self.redraw_pipes()
        elif change == _SELECTED and self.scenery is not None:
            self.scenery.pictures.drop(self)
        return value

    def update(self, *area: Any) -> None:
        """Look different from now on."""
        if self.scenery is not None:
            self.scenery.pictures.drop(self)
        super().update(*area)

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        scenery = self.scenery
        if scenery is None:
            return
        transform = painter.worldTransform()
        scale = option.levelOfDetailFromTransform(transform)
        if widget is None or scenery.drag is not None or self._bounds.isEmpty():
            scenery.paint_node(painter, self, scale)
            return
        ratio = widget.devicePixelRatioF()
        picture = scenery.pictures.find(self, scale * ratio)
        if picture is None and scenery.zooming and (held := scenery.pictures.find_any(self)) is not None:
            painter.drawPixmap(self._bounds, held[1], QRectF(QPointF(), self._bounds.size() * held[0]))
            return
        if picture is None:
            bounds = self._bounds
            picture = QPixmap(
                ceil(bounds.width() * scale * ratio) + 1, ceil(bounds.height() * scale * ratio) + 1
            )
            picture.setDevicePixelRatio(ratio)
            picture.fill(Qt.GlobalColor.transparent)
            own = QPainter(picture)
            own.setRenderHints(painter.renderHints())
            own.setWorldTransform(QTransform.fromScale(scale, scale).translate(-bounds.x(), -bounds.y()))
            scenery.paint_node(own, self, scale)
            own.end()
            scenery.pictures.hold(self, scale * ratio, picture)
        corner = transform.map(self._bounds.topLeft())
        painter.resetTransform()
        painter.drawPixmap(round(corner.x()), round(corner.y()), picture)
        painter.setWorldTransform(transform)


_NO_CONTENTS = QGraphicsItem.GraphicsItemFlag.ItemHasNoContents
_MOVED = QGraphicsItem.GraphicsItemChange.ItemPositionHasChanged
_SELECTED = QGraphicsItem.GraphicsItemChange.ItemSelectedHasChanged


class WorkflowNode(BaseNode):  # type: ignore[misc]
    """NodeGraphQt's node object for one node of the graph. Its id is the graph's."""

    __identifier__ = "wfe"
    NODE_NAME = "node"

    def __init__(self) -> None:
        super().__init__(qgraphics_item=WorkflowNodeItem)

    @property
    def item(self) -> WorkflowNodeItem:
        """Its picture."""
        return self.view  # type: ignore[no-any-return]


def measure(spec: NodeSpec, style: Style) -> Anatomy:
    """How wide and high a node is, and which of its texts must be shortened."""
    pad, tile = NODE.padding, NODE.tile
    text_x = pad + tile + 8.0
    side = style.time.width("00.0 ms") + pad + 8.0  # the sign and the duration
    wanted = text_x + max(style.title.width(spec.title), style.name.width(spec.tool)) + side
    count = max(len(spec.inputs), len(spec.outputs))
    inner = 2 * (pad + 4.0)
    for at in range(count):
        line = inner
        if at < len(spec.inputs):
            port = spec.inputs[at]
            line += style.label.width(port.name)
            line += min(style.value.width(port.hint), _WIDEST_HINT) + _VALUE_GAP if port.hint else 0.0
        if at < len(spec.outputs):
            line += style.label.width(spec.outputs[at].name) + 14.0
        wanted = max(wanted, line)
    width = float(ceil(min(NODE.max_width, max(NODE.min_width, wanted + 1.0))))
    height = NODE.header + (count * NODE.row + _BOTTOM + 3.0 if count else 0.0)
    room = width - text_x - side
    anatomy = Anatomy(width, height, style.title.fit(spec.title, room), style.name.fit(spec.tool, room))
    for at in range(count):
        row = Row(NODE.header + 3.0 + (at + 0.5) * NODE.row)
        free = width - inner
        if at < len(spec.outputs):
            row.output = spec.outputs[at]
            row.output_text = style.label.fit(row.output.name, free * (0.5 if at < len(spec.inputs) else 1.0))
            used = style.label.width(row.output_text)
            row.output_x = width - pad - 4.0 - used
            free -= used + 14.0
        if at < len(spec.inputs):
            row.input = spec.inputs[at]
            row.input_text = style.label.fit(row.input.name, free)
            used = style.label.width(row.input_text) + _VALUE_GAP
            row.hint_x = pad + 4.0 + used
            if row.input.hint and free - used > 24.0:
                row.hint_text = style.value.fit(row.input.hint, free - used)
        anatomy.rows.append(row)
    anatomy.header = _header_path(width, flat=count == 0)
    return anatomy


def _header_path(width: float, *, flat: bool) -> QPainterPath:
    """The header: rounded above, square below (or rounded all around where nothing follows)."""
    path = QPainterPath()
    corner = NODE.corner
    if flat:
        path.addRoundedRect(QRectF(0, 0, width, NODE.header), corner, corner)
        return path
    path.moveTo(0, NODE.header)
    path.lineTo(0, corner)
    path.quadTo(0, 0, corner, 0)
    path.lineTo(width - corner, 0)
    path.quadTo(width, 0, width, corner)
    path.lineTo(width, NODE.header)
    path.closeSubpath()
    return path
