"""What changed between two versions of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition

_PARTS = frozenset({"nodes", "edges", "ui"})


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field's value as JSON, before and after."""

    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class NodeChange:
    """A node that is in both."""

    id: str
    fields: dict[str, FieldChange]


@dataclass(frozen=True, slots=True)
class EdgeChange:
    """An edge that is in both: it has the same ends, kind and ports."""

    edge: EdgeDefinition
    fields: dict[str, FieldChange]


@dataclass(frozen=True, slots=True)
class GraphDifference:
    """From one graph to another. ``fields`` are the graph's own; the order of nodes and edges counts for nothing."""

    nodes_added: tuple[NodeDefinition, ...]
    nodes_removed: tuple[NodeDefinition, ...]
    nodes_changed: tuple[NodeChange, ...]
    edges_added: tuple[EdgeDefinition, ...]
    edges_removed: tuple[EdgeDefinition, ...]
    edges_changed: tuple[EdgeChange, ...]
    fields: dict[str, FieldChange]
    layout_changed: bool


def compare_graphs(before: GraphDefinition, after: GraphDefinition) -> GraphDifference:
    """What has to happen to ``before`` to make it ``after``. Both must be valid: ids and edge keys are unique."""
    old_nodes, new_nodes = ({node.id: node for node in graph.nodes} for graph in (before, after))
    old_edges, new_edges = ({edge.key: edge for edge in graph.edges} for graph in (before, after))
    nodes = [
        NodeChange(node_id, fields)
        for node_id, node in new_nodes.items()
        if node_id in old_nodes and (fields := _changes(old_nodes[node_id], node))
    ]
    edges = [
        EdgeChange(edge, fields)
        for key, edge in new_edges.items()
        if key in old_edges and (fields := _changes(old_edges[key], edge))
    ]
    return GraphDifference(
        nodes_added=tuple(node for node_id, node in new_nodes.items() if node_id not in old_nodes),
        nodes_removed=tuple(node for node_id, node in old_nodes.items() if node_id not in new_nodes),
        nodes_changed=tuple(nodes),
        edges_added=tuple(edge for key, edge in new_edges.items() if key not in old_edges),
        edges_removed=tuple(edge for key, edge in old_edges.items() if key not in new_edges),
        edges_changed=tuple(edges),
        fields=_changes(before, after),
        layout_changed=before.ui != after.ui,
    )


def _changes(before: BaseModel, after: BaseModel) -> dict[str, FieldChange]:
    old, new = (model.model_dump(mode="json", exclude=set(_PARTS)) for model in (before, after))
    return {name: FieldChange(old[name], value) for name, value in new.items() if value != old[name]}
