"""The graph being edited: an immutable value, and the commands that swap it for another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoStack

from engine.model.graph import CachePolicy, EdgeDefinition, GraphDefinition, NodeDefinition, RetryPolicy
from engine.model.tool import Catalog
from wfe_desktop.document import edits
from wfe_desktop.document.breakpoints import breakpoints, with_breakpoints
from wfe_desktop.document.commands import ReplaceGraph
from wfe_desktop.document.edits import EdgeKey, Fragment, Position
from wfe_desktop.document.names import node_title

UNDO_LIMIT = 1_000
NEW_NAME = "Untitled workflow"


class WorkflowDocument(QObject):
    """One open workflow. Belongs to the GUI thread.

    ``graph`` is never changed in place. Every edit pushes one command on ``undo_stack``, or raises
    ``GraphEditError`` with the sentence for the user, or does nothing where nothing would be different.
    """

    changed = Signal(object, object)
    """The graph before, the graph now. Also on undo and redo."""
    title_changed = Signal(str)
    clean_changed = Signal(bool)
    """Whether what is shown is what was saved last."""
    place_changed = Signal()
    """``graph_id``, ``version`` or ``file_path`` is another."""
    catalog_changed = Signal()
    node_renamed = Signal(str, str)
    """Old id, new id; just before ``changed``, so that who shows the node can follow it. Not on undo."""
    edge_rekeyed = Signal(object, object)
    """Old key, new key; just before ``changed``. Not on undo."""
    refused = Signal(str)
    """Why an edit asked for by ``attempt`` was not done."""

    def __init__(
        self,
        graph: GraphDefinition | None = None,
        catalog: Catalog | None = None,
        *,
        graph_id: str | None = None,
        version: int | None = None,
        file_path: Path | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.key = uuid4().hex
        """Names this document among the open ones, also in the recovery folder."""
        self.undo_stack = QUndoStack(self)
        self.undo_stack.setUndoLimit(UNDO_LIMIT)
        self.undo_stack.cleanChanged.connect(self._follow_stack)
        self._graph = graph if graph is not None else GraphDefinition(name=NEW_NAME)
        self._catalog: Catalog = catalog if catalog is not None else {}
        self._graph_id, self._version, self._file_path = graph_id, version, file_path
        self._typing = 0
        self._pushing = False
        self._recovered = False

    # ------------------------------------------------------------------------------------------ what it is

    @property
    def graph(self) -> GraphDefinition:
        """The graph as it stands."""
        return self._graph

    @property
    def catalog(self) -> Catalog:
        """The registered tools, by name."""
        return self._catalog

    def set_catalog(self, catalog: Catalog) -> None:
        """Tell the document which tools there are now."""
        self._catalog = catalog
        self.catalog_changed.emit()

    @property
    def title(self) -> str:
        """The workflow's name."""
        return self._graph.name

    @property
    def graph_id(self) -> str | None:
        """Its id in the database, where it has one."""
        return self._graph_id

    @property
    def version(self) -> int | None:
        """The version in the database that this was read from or saved as."""
        return self._version

    @property
    def file_path(self) -> Path | None:
        """The file it was read from or saved to."""
        return self._file_path

    @property
    def is_clean(self) -> bool:
        """Whether nothing would be lost by closing."""
        return self.undo_stack.isClean() and not self._recovered

    def mark_saved(
        self, *, graph_id: str | None = None, version: int | None = None, file_path: Path | None = None
    ) -> None:
        """The graph as it stands was saved; the places given are where, the others stay."""
        before = (self._graph_id, self._version, self._file_path)
        self._graph_id = graph_id or self._graph_id
        self._version = version or self._version
        self._file_path = file_path or self._file_path
        was_recovered, self._recovered = self._recovered, False
        if was_recovered and self.undo_stack.isClean():
            self.clean_changed.emit(self.is_clean)
        self.undo_stack.setClean()
        if before != (self._graph_id, self._version, self._file_path):
            self.place_changed.emit()

    def mark_recovered(self) -> None:
        """The graph was found after a crash: it is not what was saved, even before the first edit."""
        self._recovered = True
        self.clean_changed.emit(self.is_clean)

    def find_node(self, node_id: str) -> NodeDefinition | None:
        """The node with this id, or None."""
        return self._graph.find_node(node_id)

    def find_edge(self, key: EdgeKey) -> EdgeDefinition | None:
        """The edge with this key, or None."""
        return edits.find_edge(self._graph, key)

    def node_title(self, node_id: str) -> str:
        """What people call a node."""
        node = self._graph.find_node(node_id)
        return node_id if node is None else node_title(node, self._catalog)

    # ------------------------------------------------------------------------------------------ nodes

    def add_node(self, function_name: str, x: float, y: float) -> str:
        """Place a tool; its new node's id."""
        graph, node_id = edits.add_node(self._graph, function_name, x, y, self._catalog)
        self._push(f"Add {node_title(graph.nodes[-1], self._catalog)}", graph)
        return node_id

    def remove(self, node_ids: Collection[str] = (), edge_keys: Collection[EdgeKey] = ()) -> None:
        """Take out nodes, with the edges at them, and edges."""
        what = _count(len(set(node_ids)), "node") if node_ids else _count(len(set(edge_keys)), "edge")
        self._push(f"Delete {what}", edits.remove(self._graph, node_ids, edge_keys))

    def move(self, positions: Mapping[str, Position]) -> None:
        """Put nodes somewhere else: one command a drag."""
        self._push(f"Move {_count(len(positions), 'node')}", edits.move(self._graph, positions))

    def set_node_field(self, node_id: str, name: str, value: object) -> None:
        """Set one of ``edits.NODE_FIELDS``; typing merges."""
        graph = edits.set_node_field(self._graph, node_id, name, value)
        self._push(f"Change {name.replace('_', ' ')}", graph, ("field", node_id, name))

    def set_retry_field(self, node_id: str, name: str, value: object) -> None:
        """Set one field of how a failed step is tried again; typing merges."""
        graph = edits.set_retry_field(self._graph, node_id, name, value)
        self._push("Change retry", graph, ("retry", node_id, name))

    def switch_retry(self, node_id: str, *, on: bool) -> None:
        """Let a failed step be tried again, as is usual, or not, as a command of its own."""
        self.end_typing()
        self.set_node_field(node_id, "retry", RetryPolicy() if on else None)
        self.end_typing()

    def switch_cache(self, node_id: str, *, on: bool) -> None:
        """Let results of a node be used again, or not, as a command of its own."""
        self.end_typing()
        self.set_node_field(node_id, "cache", CachePolicy() if on else None)
        self.end_typing()

    def set_ttl(self, node_id: str, ttl_s: object) -> None:
        """Set for how many seconds results of a node are used again, None: without end; typing merges."""
        graph = edits.set_ttl(self._graph, node_id, ttl_s)
        self._push("Change cache", graph, ("cache", node_id))

    @property
    def breakpoints(self) -> tuple[str, ...]:
        """The nodes before which runs pause."""
        return breakpoints(self._graph)

    def toggle_breakpoints(self, node_ids: Collection[str]) -> None:
        """Set breakpoints at these nodes, or take them away where all of them have one."""
        graph = edits.toggle_breakpoints(self._graph, node_ids)
        has_more = len(breakpoints(graph)) > len(self.breakpoints)
        self._push("Set breakpoint" if has_more else "Remove breakpoint", graph)

    def clear_breakpoints(self) -> None:
        """Take every breakpoint away."""
        self._push("Remove breakpoints", with_breakpoints(self._graph, ()))

    def set_label(self, node_id: str, label: str | None) -> None:
        """Call a node something else; None or nothing: by its tool's name."""
        self.set_node_field(node_id, "label", label or None)

    def rename_node(self, node_id: str, new_id: str) -> None:
        """Change a node's id and everything that names it."""
        graph = edits.rename_node(self._graph, node_id, new_id)
        if graph is not self._graph:
            self.node_renamed.emit(node_id, new_id)
        self._push(f"Rename {node_id}", graph)

    def set_parameter(self, node_id: str, name: str, value: object) -> None:
        """Set a literal value; typing merges."""
        graph = edits.set_parameter(self._graph, node_id, name, value)
        self._push(f"Change {name}", graph, ("parameter", node_id, name))

    def unset_parameter(self, node_id: str, name: str) -> None:
        """Take the literal value away; merges with typing, for it is what deleting the text does."""
        graph = edits.unset_parameter(self._graph, node_id, name)
        self._push(f"Change {name}", graph, ("parameter", node_id, name))

    def clear_parameter(self, node_id: str, name: str) -> None:
        """Take literal and expression away, as a command of its own."""
        self.end_typing()
        self._push(f"Reset {name}", edits.clear_parameter(self._graph, node_id, name))

    def set_binding(self, node_id: str, name: str, expression: str | None) -> None:
        """Set the expression that supplies a parameter, or take it away; typing merges."""
        graph = edits.set_binding(self._graph, node_id, name, expression or None)
        self._push(f"Change {name}", graph, ("binding", node_id, name))

    def use_expression(self, node_id: str, name: str, expression: str) -> None:
        """An expression in place of the literal value, as one command."""
        self.end_typing()
        self._push(f"Compute {name}", edits.swap_to_binding(self._graph, node_id, name, expression))

    def use_value(self, node_id: str, name: str, value: object) -> None:
        """A literal value in place of the expression, as one command."""
        self.end_typing()
        self._push(f"Set {name}", edits.swap_to_literal(self._graph, node_id, name, value))

    # ------------------------------------------------------------------------------------------ edges

    def check_connect(self, edge: EdgeDefinition) -> None:
        """Raises GraphEditError with the reason why this edge cannot be added."""
        edits.check_connect(self._graph, edge, self._catalog)

    def explain_connect(self, edge: EdgeDefinition) -> str | None:
        """Why this edge cannot be added, in words; None where it can."""
        try:
            self.check_connect(edge)
        except edits.GraphEditError as error:
            return str(error)
        return None

    def connect_nodes(self, edge: EdgeDefinition) -> None:
        """Add an edge."""
        self._push("Connect", edits.connect(self._graph, edge, self._catalog))

    def set_condition(self, key: EdgeKey, text: str | None) -> None:
        """Say when an edge is taken: an expression, "else", or None for always; typing merges."""
        self._push("Change condition", edits.set_condition(self._graph, key, text), ("condition", key))

    def change_edge(self, key: EdgeKey, **update: str | None) -> EdgeKey:
        """Change ``kind``, ``from_port`` or ``to_port``; the edge's key from now on."""
        graph, changed = edits.change_edge(self._graph, key, self._catalog, **update)
        if changed != key:
            self.edge_rekeyed.emit(key, changed)
        self._push("Change edge", graph)
        return changed

    # ------------------------------------------------------------------------------------------ the whole

    def set_entry(self, node_id: str | None) -> None:
        """Say where runs start; None: at every node without incoming edges."""
        self._push("Change where runs start", edits.set_entry(self._graph, node_id))

    def set_graph_field(self, name: str, value: object) -> None:
        """Set one of ``edits.GRAPH_FIELDS``; typing merges."""
        graph = edits.set_graph_field(self._graph, name, value)
        self._push(f"Change {name.replace('_', ' ')}", graph, ("graph", name))

    def copy(self, node_ids: Collection[str]) -> Fragment:
        """The chosen nodes and the edges between them, to be pasted."""
        return edits.copy_fragment(self._graph, node_ids)

    def paste(self, fragment: Fragment, at: Position, *, text: str = "Paste") -> list[str]:
        """Add a fragment with its top left corner at ``at``; the new nodes' ids."""
        graph, node_ids = edits.paste(self._graph, fragment, at)
        self._push(f"{text} {_count(len(node_ids), 'node')}", graph)
        return node_ids

    def duplicate(self, node_ids: Collection[str], offset: float = 40.0) -> list[str]:
        """Paste a copy of the chosen nodes beside them; the new nodes' ids."""
        fragment = self.copy(node_ids)
        left = min((x for x, _ in fragment.positions.values()), default=0.0)
        top = min((y for _, y in fragment.positions.values()), default=0.0)
        return self.paste(fragment, (left + offset, top + offset), text="Duplicate")

    def replace(self, graph: GraphDefinition, text: str) -> None:
        """Put another graph in place, as one command named ``text``: a layout, or a version from elsewhere."""
        self._push(text, graph)

    # ------------------------------------------------------------------------------------------ commands

    def end_typing(self) -> None:
        """What is typed from now on is another step to undo: a field was left."""
        self._typing += 1

    def attempt(self, edit: str, *arguments: Any, **named: Any) -> bool:
        """Call the edit of this name; a refusal is emitted as ``refused`` and gives False."""
        try:
            getattr(self, edit)(*arguments, **named)
        except edits.GraphEditError as error:
            self.refused.emit(str(error))
            return False
        return True

    def _push(self, text: str, graph: GraphDefinition, merge: tuple[object, ...] | None = None) -> None:
        if graph is self._graph:
            return
        merge_key = None if merge is None else (*merge, self._typing)
        self._pushing = True
        try:
            self.undo_stack.push(ReplaceGraph(text, self._graph, graph, self._show, merge_key))
        finally:
            self._pushing = False

    def _follow_stack(self, clean: bool) -> None:
        self.clean_changed.emit(clean and not self._recovered)

    def _show(self, graph: GraphDefinition) -> None:
        old, self._graph = self._graph, graph
        if not self._pushing:
            self.end_typing()
        self.changed.emit(old, graph)
        if old.name != graph.name:
            self.title_changed.emit(graph.name)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
