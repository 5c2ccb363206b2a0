"""Where the runs of a workflow pause: node ids kept in its ``ui``, so that they are saved with it. No Qt.

The engine does not look there: who starts a run hands them on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.model.graph import GraphDefinition

_KEY = "breakpoints"


def breakpoints(graph: GraphDefinition) -> tuple[str, ...]:
    """The nodes before which runs pause, in the graph's order; what names no node is left out."""
    kept = graph.ui.get(_KEY)
    if not isinstance(kept, list) or not kept:
        return ()
    wanted = {node_id for node_id in kept if isinstance(node_id, str)}
    return tuple(node.id for node in graph.nodes if node.id in wanted)


def with_breakpoints(graph: GraphDefinition, node_ids: Iterable[str]) -> GraphDefinition:
    """The graph with breakpoints at these nodes and no others; the same graph where it has them already."""
    chosen = set(node_ids)
    wanted = [node.id for node in graph.nodes if node.id in chosen]
    if graph.ui.get(_KEY, []) == wanted:
        return graph
    ui = {key: value for key, value in graph.ui.items() if key != _KEY}
    if wanted:
        ui[_KEY] = wanted
    return graph.model_copy(update={"ui": ui})


def renamed_breakpoints(graph: GraphDefinition, ids: Mapping[str, str]) -> list[str]:
    """The breakpoints where nodes get other ids."""
    return [ids.get(node_id, node_id) for node_id in breakpoints(graph)]
