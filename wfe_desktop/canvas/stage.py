"""What is on the scene, and how it becomes what a graph wants: the difference, and nothing more."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from typing import Literal

from PySide6.QtCore import QObject, QRectF
from PySide6.QtGui import QUndoStack

from engine.model.graph import GraphDefinition
from engine.model.problem import Severity
from engine.model.tool import Catalog, PortType
from wfe_desktop.canvas.items import Scenery, WorkflowNode, WorkflowNodeItem, measure
from wfe_desktop.canvas.nodegraphqt import NodeGraph
from wfe_desktop.canvas.nodepaint import paint_node
from wfe_desktop.canvas.pipes import WorkflowPipe
from wfe_desktop.canvas.spec import (
    ERROR_OUT,
    FLOW_IN,
    FLOW_OUT,
    EdgeKey,
    EdgeSpec,
    GraphSpec,
    NodeRunView,
    NodeSpec,
    describe_graph,
)
from wfe_desktop.canvas.style import Style
from wfe_desktop.canvas.viewer import WorkflowViewer
from wfe_desktop.layout import complete_places, stored_places
from wfe_desktop.theme import Theme

EdgeMark = Literal["taken", "skipped"]

_BULK = 60
"""From so many changed items on, they are put in as a batch."""
_ROUTED_EDGES = 900
"""Up to so many edges, all look for their way again after a batch; beyond, only those that run back."""


class _Graph(NodeGraph):  # type: ignore[misc]
    """NodeGraphQt's graph without what the document does better: names are not unique, nothing is undone here.

    It knows the nodes; edges are known by the ports they are drawn between.
    """

    def get_unique_name(self, name: str) -> str:
        """The name as it is: our ids tell nodes apart, and looking through all names for each is quadratic."""
        return name

    def _register_builtin_nodes(self) -> None:
        """None: nodes come from the document."""


class Stage:
    """The items of one canvas. Ids and keys are the graph's."""

    def __init__(self, theme: Theme, parent: QObject) -> None:
        undo = QUndoStack(parent)
        self.scenery = Scenery(Style(theme), paint_node)
        self.viewer = WorkflowViewer(self.scenery, undo)
        self.graph = _Graph(parent=parent, viewer=self.viewer, undo_stack=undo)
        self.graph.set_acyclic(False)  # back edges are loops here; the document knows which are allowed
        self.pipes: dict[EdgeKey, WorkflowPipe] = {}
        self.shown = GraphSpec({}, {})
        self.unplaced: set[str] = set()
        """The shown nodes that the graph has no place for."""
        self._nodes: dict[str, WorkflowNode] = {}
        self._problems: dict[str, Severity] = {}
        self._run_nodes: dict[str, NodeRunView] = {}
        self._run_edges: dict[EdgeKey, EdgeMark] = {}

    def show(self, graph: GraphDefinition, catalog: Catalog) -> None:
        """Show this graph: items of what has not changed stay."""
        wanted = describe_graph(graph, catalog)
        places = self._places(graph, wanted)
        before = self.shown
        changed = sum(before.nodes.get(node_id) != spec for node_id, spec in wanted.nodes.items())
        changed += sum(before.edges.get(key) != spec for key, spec in wanted.edges.items())
        changed += len(before.nodes.keys() - wanted.nodes.keys())
        if changed > _BULK:
            collecting = gc.isenabled()
            gc.disable()  # thousands of new objects, none of them garbage
            try:
                with self.viewer.bulk():
                    self._update_items(wanted, places)
            finally:
                if collecting:
                    gc.enable()
            everything = len(self.pipes) <= _ROUTED_EDGES
            for pipe in self.pipes.values():
                if everything or pipe.runs_back:
                    pipe.redraw()
        else:
            self._update_items(wanted, places)
        self.viewer.overview.forget()

    def _places(self, graph: GraphDefinition, wanted: GraphSpec) -> dict[str, tuple[float, float]]:
        """Where nodes go: as the graph says; else where they are shown; else where the layout puts them."""
        known = stored_places(graph)
        self.unplaced = {node_id for node_id in wanted.nodes if node_id not in known}
        if not self.unplaced:
            return known
        if known or wanted.nodes.keys() == self.shown.nodes.keys():
            for node_id in self.unplaced & self.viewer.nodes.keys():
                item = self.viewer.nodes[node_id]
                known[node_id] = (item.x(), item.y())
        missing = [node_id for node_id in wanted.nodes if node_id not in known]
        if not missing:
            return known
        sizes = {}
        for node_id, spec in wanted.nodes.items():
            anatomy = measure(spec, self.scenery.style)
            sizes[node_id] = (anatomy.width, anatomy.height)
        return complete_places(graph, known, sizes)

    def _update_items(self, wanted: GraphSpec, places: Mapping[str, tuple[float, float]]) -> None:
        before = self.shown
        fresh = {
            node_id
            for node_id, spec in wanted.nodes.items()
            if node_id not in before.nodes or before.nodes[node_id].port_names != spec.port_names
        }
        selected = set(self.viewer.selection.keys()[0])
        gone = {node_id for node_id in before.nodes if node_id not in wanted.nodes or node_id in fresh}
        for key, edge in before.edges.items():
            if key not in wanted.edges or key[0] in gone or key[1] in gone:
                self._remove_edge(edge)
        for node_id in gone:
            self._remove_node(node_id)
        touched: list[QRectF] = []
        for node_id, spec in wanted.nodes.items():
            if node_id in fresh:
                self._add_node(spec, places[node_id])
                touched.append(self.viewer.nodes[node_id].scene_body())
                self.viewer.nodes[node_id].setSelected(node_id in selected)
            else:
                touched += self._update_node(spec, before.nodes[node_id], places[node_id])
        self.shown = wanted
        for key, edge in wanted.edges.items():
            pipe = self.pipes.get(key)
            if pipe is None:
                self._add_edge(edge)
            elif pipe.spec != edge:
                pipe.show_spec(edge, self.scenery)
        self._number_lanes()
        self._reroute_near(touched)

    def _update_node(self, spec: NodeSpec, before: NodeSpec, place: tuple[float, float]) -> list[QRectF]:
        """Make a node that stays look and stand as wanted; the areas where it was and is, if it has moved."""
        item = self.viewer.nodes[spec.id]
        if spec != before:
            item.show_spec(spec, self.scenery)
        if (item.x(), item.y()) == place:
            return []
        was = item.scene_body()
        item.setPos(*place)
        return [was, item.scene_body()]

    def _add_node(self, spec: NodeSpec, place: tuple[float, float]) -> None:
        node = WorkflowNode()
        node.NODE_NAME = spec.title
        node.model.id = node.view.id = spec.id
        item = node.item
        item.add_port(FLOW_IN, PortType.ANY, is_output=False)
        item.add_port(FLOW_OUT, PortType.ANY, is_output=True)
        item.add_port(ERROR_OUT, PortType.OBJECT, is_output=True)
        for port in spec.inputs:
            item.add_port(port.name, port.type, is_output=False)
        for port in spec.outputs:
            item.add_port(port.name, port.type, is_output=True)
        item.show_spec(spec, self.scenery)
        item.setPos(*place)
        item.run = self._run_nodes.get(spec.id)
        item.problem = self._problems.get(spec.id)
        self.graph.add_node(node, pos=list(place), selected=False, push_undo=False)
        self._nodes[spec.id] = node
        self.viewer.nodes[spec.id] = item
        self.scenery.grid.place(item)

    def _remove_node(self, node_id: str) -> None:
        node = self._nodes.pop(node_id)
        item = self.viewer.nodes.pop(node_id)
        self.viewer.gestures.forget_node(item)
        for pipe in list(item.pipes()):  # its edges are gone; this is for ports that have vanished
            pipe.delete()
        self.scenery.grid.remove(item)
        self.scenery.pictures.drop(item)
        self.graph.model.nodes.pop(node_id, None)
        node.view.delete()

    def _add_edge(self, edge: EdgeSpec) -> None:
        source, target = self._nodes[edge.key[0]].item, self._nodes[edge.key[1]].item
        out = source.find_port(edge.source_port, is_output=True)
        into = target.find_port(edge.target_port, is_output=False)
        if out is None or into is None:
            return
        pipe = self.viewer.connect_ports(out, into)
        pipe.mark = self._run_edges.get(edge.key)
        pipe.show_spec(edge, self.scenery)
        self.pipes[edge.key] = pipe

    def _remove_edge(self, edge: EdgeSpec) -> None:
        pipe = self.pipes.pop(edge.key, None)
        if pipe is not None:
            self.viewer.gestures.forget(pipe)
            pipe.delete()

    def _number_lanes(self) -> None:
        """Give edges that run back different lanes, the wider below the narrower."""
        back = [pipe for pipe in self.pipes.values() if pipe.runs_back]
        back.sort(key=lambda pipe: pipe.path().boundingRect().width())
        for lane, pipe in enumerate(back):
            if pipe.lane != lane % 6:
                pipe.lane = lane % 6
                pipe.redraw()

    def _reroute_near(self, areas: Iterable[QRectF]) -> None:
        """Let edges that pass where nodes have come or gone look for their way again."""
        if not self.viewer.ways.enabled:
            return
        near = {pipe for area in areas for pipe in self.viewer.pipes_in(area.adjusted(-30, -30, 30, 60))}
        near.update(pipe for pipe in self.pipes.values() if pipe.is_detour)
        for pipe in near:
            pipe.redraw()

    def area(self, nodes: Iterable[WorkflowNodeItem] = ()) -> QRectF:
        """The rectangle around nodes and the edges between them; around everything where none are given."""
        some = set(nodes)
        area = QRectF()
        for item in some or self.viewer.nodes.values():
            area = area.united(item.sceneBoundingRect())
        for pipe in self.pipes.values():
            if not some or (pipe.input_port.node in some and pipe.output_port.node in some):
                area = area.united(pipe.path().boundingRect())
        return area

    # --- a run, problems, the theme

    def show_run(self, nodes: Mapping[str, NodeRunView], edges: Mapping[EdgeKey, EdgeMark]) -> None:
        """Show how nodes and edges stand in a run; those not named are not part of it."""
        self._run_nodes, self._run_edges = dict(nodes), dict(edges)
        for node_id, item in self.viewer.nodes.items():
            if item.show_run(self._run_nodes.get(node_id)):
                self.viewer.overview.repaint_node(item)
        for key, pipe in self.pipes.items():
            pipe.show_mark(self._run_edges.get(key))

    def update_run(self, nodes: Mapping[str, NodeRunView], edges: Mapping[EdgeKey, EdgeMark]) -> None:
        """The same for some of them; the others stay as they are."""
        self._run_nodes.update(nodes)
        self._run_edges.update(edges)
        for node_id, view in nodes.items():
            item = self.viewer.nodes.get(node_id)
            if item is not None and item.show_run(view):
                self.viewer.overview.repaint_node(item)
        for key, mark in edges.items():
            pipe = self.pipes.get(key)
            if pipe is not None:
                pipe.show_mark(mark)

    def show_problems(self, problems: Mapping[str, Severity]) -> None:
        """Mark the nodes that have problems with how bad they are."""
        self._problems = dict(problems)
        for node_id, item in self.viewer.nodes.items():
            severity = self._problems.get(node_id)
            if item.problem is not severity:
                item.problem = severity
                item.update()
                self.viewer.overview.repaint_node(item)

    def show_theme(self, theme: Theme) -> None:
        """Look like this theme."""
        self.scenery.style = Style(theme)
        self.scenery.pictures.clear()
        for item in self.viewer.nodes.values():
            item.relayout()
        for pipe in self.pipes.values():
            pipe.restyle()
        self.viewer.overview.forget()
        self.viewer.viewport().update()
