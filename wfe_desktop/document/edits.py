"""Edits of a graph: each function returns a new graph, or raises the sentence that the user will read.

Pure functions on immutable values, without Qt. Unchanged nodes and edges are shared between the old and the new
graph, so an edit copies two tuples of references and no more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pydantic

from engine.errors import ValidationError
from engine.flow.topology import compile_graph
from engine.model.graph import (
    RESULT_PORT,
    CachePolicy,
    EdgeDefinition,
    GraphDefinition,
    NodeDefinition,
    RetryPolicy,
)
from engine.model.tool import Catalog, PortType
from wfe_desktop.document.breakpoints import breakpoints, renamed_breakpoints, with_breakpoints
from wfe_desktop.document.names import make_id, make_unique, node_title, rename_steps

EdgeKey: TypeAlias = tuple[str, str, str, str | None, str | None]
Position: TypeAlias = tuple[float, float]

_TYPE_WORDS = {
    PortType.TEXT: "text",
    PortType.NUMBER: "a number",
    PortType.BOOLEAN: "true or false",
    PortType.LIST: "a list",
    PortType.OBJECT: "an object",
    PortType.ANY: "anything",
}
_FIELD_WORDS = {
    "id": "The id",
    "name": "The name",
    "function_name": "The tool's name",
    "label": "The label",
    "description": "The description",
    "save_as": "The state key",
    "join": "Join",
    "for_each": "The list",
    "max_parallel": "Items at once",
    "max_attempts": "Attempts",
    "delay_s": "The delay",
    "backoff": "The growth of the delay",
    "max_delay_s": "The longest delay",
    "jitter": "The random share",
    "on": "An exception's name",
    "resources": "A resource's name, or the number of its tokens,",
    "ttl_s": "The time",
    "condition": "The condition",
    "bindings": "An expression",
    "exit_conditions": "An exit condition",
    "reducers": "A reducer",
    "max_steps": "The limit of steps",
    "max_iterations": "The limit of iterations",
    "from_port": "The output",
    "to_port": "The parameter",
}
GRAPH_FIELDS = frozenset(
    {"name", "description", "exit_conditions", "reducers", "max_steps", "max_iterations"}
)
NODE_FIELDS = frozenset(
    {
        "function_name", "label", "description", "save_as", "join", "on_error", "default_result",
        "for_each", "max_parallel", "on_item_error", "retry", "resources", "cache",
    }
)  # fmt: skip


class GraphEditError(Exception):
    """An edit that cannot be done. ``str(error)`` is the sentence for the user."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a graph on its way to another place: nodes, the edges between them, and where they stood."""

    nodes: tuple[NodeDefinition, ...]
    edges: tuple[EdgeDefinition, ...] = ()
    positions: Mapping[str, Position] = field(default_factory=dict)


# --------------------------------------------------------------------------------------------- looking things up


def get_node(graph: GraphDefinition, node_id: str) -> NodeDefinition:
    """The node with this id. Raises GraphEditError where there is none."""
    node = graph.find_node(node_id)
    if node is None:
        raise GraphEditError(f'There is no node "{node_id}".')
    return node


def find_edge(graph: GraphDefinition, key: EdgeKey) -> EdgeDefinition | None:
    """The edge with this key, or None."""
    from_node = key[0]
    return next((edge for edge in graph.edges if edge.from_node == from_node and edge.key == key), None)


def get_edge(graph: GraphDefinition, key: EdgeKey) -> EdgeDefinition:
    """The edge with this key. Raises GraphEditError where there is none."""
    edge = find_edge(graph, key)
    if edge is None:
        raise GraphEditError(f"There is no edge from {key[0]} to {key[1]} like this any more.")
    return edge


def node_positions(graph: GraphDefinition) -> dict[str, Position]:
    """The positions kept in ``ui``; entries that are no positions are left out."""
    kept = graph.ui.get("nodes")
    found: dict[str, Position] = {}
    for node_id, place in kept.items() if isinstance(kept, dict) else ():
        if isinstance(place, dict) and _is_coordinate(place.get("x")) and _is_coordinate(place.get("y")):
            found[node_id] = (float(place["x"]), float(place["y"]))
    return found


def _is_coordinate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# ------------------------------------------------------------------------------------------------ nodes


def add_node(
    graph: GraphDefinition, function_name: str, x: float, y: float, catalog: Catalog | None = None
) -> tuple[GraphDefinition, str]:
    """Places a tool. The id is made from the tool's name; a second node of a tool also gets a numbered label."""
    node_id = make_unique(make_id(function_name), {node.id for node in graph.nodes})
    label = None
    tool = (catalog or {}).get(function_name)
    if tool is not None and any(node.function_name == function_name for node in graph.nodes):
        taken = {node_title(node, catalog) for node in graph.nodes}
        label = make_unique(tool.label, taken, separator=" ")
    node = _checked(NodeDefinition, {"id": node_id, "function_name": function_name, "label": label})
    return _place(graph, {node_id: (x, y)}, nodes=(*graph.nodes, node)), node_id


def remove(
    graph: GraphDefinition, node_ids: Collection[str] = (), edge_keys: Collection[EdgeKey] = ()
) -> GraphDefinition:
    """Takes nodes out, with every edge at them, and edges. What is not there is not missed."""
    gone_nodes, gone_edges = set(node_ids), set(edge_keys)
    nodes = tuple(node for node in graph.nodes if node.id not in gone_nodes) if gone_nodes else graph.nodes
    edges = tuple(
        edge
        for edge in graph.edges
        if edge.from_node not in gone_nodes
        and edge.to_node not in gone_nodes
        and not (gone_edges and edge.key in gone_edges)
    )
    if len(nodes) == len(graph.nodes) and len(edges) == len(graph.edges):
        return graph
    update: dict[str, Any] = {"nodes": nodes, "edges": edges}
    if graph.entry_point in gone_nodes:
        update["entry_point"] = None
    places = graph.ui.get("nodes")
    if isinstance(places, dict) and not gone_nodes.isdisjoint(places):
        kept = {node_id: place for node_id, place in places.items() if node_id not in gone_nodes}
        update["ui"] = {**graph.ui, "nodes": kept}
    stops = [node_id for node_id in breakpoints(graph) if node_id not in gone_nodes]
    return with_breakpoints(graph.model_copy(update=update), stops)


def move(graph: GraphDefinition, positions: Mapping[str, Position]) -> GraphDefinition:
    """Puts nodes somewhere else on the canvas."""
    return _place(graph, positions)


def _place(graph: GraphDefinition, positions: Mapping[str, Position], **update: Any) -> GraphDefinition:
    """Keeps positions to a tenth of a pixel: files stay short, and nobody sees the rest."""
    if not all(_is_coordinate(value) for place in positions.values() for value in place):
        raise GraphEditError("A node's position must be a finite number.")
    old = graph.ui.get("nodes")
    places = {node_id: {"x": round(x, 1), "y": round(y, 1)} for node_id, (x, y) in positions.items()}
    merged = {**(old if isinstance(old, dict) else {}), **places}
    if not update and merged == old:
        return graph
    return graph.model_copy(update={**update, "ui": {**graph.ui, "nodes": merged}})


def set_node_field(graph: GraphDefinition, node_id: str, name: str, value: object) -> GraphDefinition:
    """Sets one of ``NODE_FIELDS``."""
    if name not in NODE_FIELDS:
        raise GraphEditError(f'A node has no field "{name}" that can be set.')
    return _change_node(graph, node_id, lambda _node: {name: value})


def set_retry_field(graph: GraphDefinition, node_id: str, name: str, value: object) -> GraphDefinition:
    """Sets one field of how a failed step is tried again; without a policy, in the usual one."""
    policy = get_node(graph, node_id).retry or RetryPolicy()
    changed = _checked(RetryPolicy, {**dict(policy), name: value})
    return _change_node(graph, node_id, lambda _node: {"retry": changed})


def set_ttl(graph: GraphDefinition, node_id: str, ttl_s: object) -> GraphDefinition:
    """Sets for how many seconds results are used again; None: without end."""
    changed = _checked(CachePolicy, {"ttl_s": ttl_s})
    return _change_node(graph, node_id, lambda _node: {"cache": changed})


def toggle_breakpoints(graph: GraphDefinition, node_ids: Collection[str]) -> GraphDefinition:
    """Sets breakpoints at these nodes, or takes them away where all of them have one."""
    for node_id in node_ids:
        get_node(graph, node_id)
    old = set(breakpoints(graph))
    return with_breakpoints(graph, old - set(node_ids) if old.issuperset(node_ids) else old.union(node_ids))


def set_parameter(graph: GraphDefinition, node_id: str, name: str, value: object) -> GraphDefinition:
    """Sets a literal value."""
    return _change_node(graph, node_id, lambda node: {"parameters": {**node.parameters, name: value}})


def unset_parameter(graph: GraphDefinition, node_id: str, name: str) -> GraphDefinition:
    """Takes the literal value away, so that the state or the tool's default counts again."""
    return _change_node(graph, node_id, lambda node: {"parameters": _without(node.parameters, name)})


def set_binding(graph: GraphDefinition, node_id: str, name: str, expression: str | None) -> GraphDefinition:
    """Sets the expression that supplies a parameter; None takes it away."""
    if expression is None:
        return _change_node(graph, node_id, lambda node: {"bindings": _without(node.bindings, name)})
    return _change_node(graph, node_id, lambda node: {"bindings": {**node.bindings, name: expression}})


def swap_to_binding(graph: GraphDefinition, node_id: str, name: str, expression: str) -> GraphDefinition:
    """An expression in place of the literal, in one edit."""
    return _change_node(
        graph,
        node_id,
        lambda node: {
            "parameters": _without(node.parameters, name),
            "bindings": {**node.bindings, name: expression},
        },
    )


def swap_to_literal(graph: GraphDefinition, node_id: str, name: str, value: object) -> GraphDefinition:
    """A literal value in place of the expression, in one edit."""
    return _change_node(
        graph,
        node_id,
        lambda node: {
            "parameters": {**node.parameters, name: value},
            "bindings": _without(node.bindings, name),
        },
    )


def clear_parameter(graph: GraphDefinition, node_id: str, name: str) -> GraphDefinition:
    """Takes both the literal and the expression away."""
    return _change_node(
        graph,
        node_id,
        lambda node: {
            "parameters": _without(node.parameters, name),
            "bindings": _without(node.bindings, name),
        },
    )


def _without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def _change_node(
    graph: GraphDefinition, node_id: str, change: Callable[[NodeDefinition], dict[str, Any]]
) -> GraphDefinition:
    """The graph with one node changed and checked; the same graph where nothing is different."""
    index = next((i for i, node in enumerate(graph.nodes) if node.id == node_id), None)
    if index is None:
        raise GraphEditError(f'There is no node "{node_id}".')
    old = graph.nodes[index]
    update = change(old)
    values = {name: getattr(old, name) for name in NodeDefinition.model_fields}
    new = _checked(NodeDefinition, {**values, **update})
    if all(same_json(getattr(new, name), getattr(old, name)) for name in update):
        return graph
    return graph.model_copy(update={"nodes": (*graph.nodes[:index], new, *graph.nodes[index + 1 :])})


def same_json(one: Any, other: Any) -> bool:
    """Equality as a reader of JSON sees it: 1, 1.0 and true are three values."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)


def same_graph(one: GraphDefinition, other: GraphDefinition) -> bool:
    """Whether two graphs would be written as the same JSON. Quick for graphs that share their nodes and edges."""
    for name in GraphDefinition.model_fields:
        a, b = getattr(one, name), getattr(other, name)
        if a is b:
            continue
        if name not in {"nodes", "edges"}:
            if not same_json(a, b):
                return False
        elif len(a) != len(b) or not all(
            x is y or same_json(x.model_dump(), y.model_dump()) for x, y in zip(a, b, strict=True)
        ):
            return False
    return True


def rename_node(graph: GraphDefinition, node_id: str, new_id: str) -> GraphDefinition:
    """Gives a node another id and rewrites what names it: edges, entry, position, ``steps.<id>`` in expressions."""
    get_node(graph, node_id)
    if new_id == node_id:
        return graph
    if graph.find_node(new_id) is not None:
        raise GraphEditError(f'Another node already has the id "{new_id}".')
    ids = {node_id: new_id}
    nodes = tuple(_renamed_node(node, ids) for node in graph.nodes)
    _checked(NodeDefinition, {"id": new_id, "function_name": "any"})
    update: dict[str, Any] = {
        "nodes": nodes,
        "edges": tuple(_renamed_edge(edge, ids) for edge in graph.edges),
        "exit_conditions": tuple(rename_steps(text, ids) for text in graph.exit_conditions),
    }
    if graph.entry_point == node_id:
        update["entry_point"] = new_id
    places = graph.ui.get("nodes")
    if isinstance(places, dict) and node_id in places:
        update["ui"] = {**graph.ui, "nodes": {ids.get(key, key): place for key, place in places.items()}}
    return with_breakpoints(graph.model_copy(update=update), renamed_breakpoints(graph, ids))


def _renamed_node(node: NodeDefinition, ids: Mapping[str, str]) -> NodeDefinition:
    bindings = {name: rename_steps(text, ids) for name, text in node.bindings.items()}
    items = None if node.for_each is None else rename_steps(node.for_each, ids)
    if node.id not in ids and (bindings, items) == (node.bindings, node.for_each):
        return node
    return node.model_copy(update={"id": ids.get(node.id, node.id), "bindings": bindings, "for_each": items})


def _renamed_edge(edge: EdgeDefinition, ids: Mapping[str, str]) -> EdgeDefinition:
    condition = None if edge.condition is None else rename_steps(edge.condition, ids)
    ends = ids.get(edge.from_node, edge.from_node), ids.get(edge.to_node, edge.to_node)
    if (*ends, condition) == (edge.from_node, edge.to_node, edge.condition):
        return edge
    return edge.model_copy(update={"from_node": ends[0], "to_node": ends[1], "condition": condition})


# ------------------------------------------------------------------------------------------------ edges


def connect(graph: GraphDefinition, edge: EdgeDefinition, catalog: Catalog | None = None) -> GraphDefinition:
    """Adds an edge, checked as ``check_connect`` does."""
    check_connect(graph, edge, catalog)
    return graph.model_copy(update={"edges": (*graph.edges, edge)})


def check_connect(graph: GraphDefinition, edge: EdgeDefinition, catalog: Catalog | None = None) -> None:
    """Raises GraphEditError with the reason why this edge cannot be added."""
    _check_ends(graph, edge, catalog)
    if any(other.key == edge.key for other in graph.edges if other.from_node == edge.from_node):
        source, target = _titles(graph, edge, catalog)
        if edge.is_wire:
            raise GraphEditError(f'"{edge.to_port}" is already wired to this output of {source}.')
        raise GraphEditError(f"{source} and {target} are already connected.")
    _check_loops(graph, graph.model_copy(update={"edges": (*graph.edges, edge)}))


def _titles(graph: GraphDefinition, edge: EdgeDefinition, catalog: Catalog | None) -> tuple[str, str]:
    return (
        f'"{node_title(get_node(graph, edge.from_node), catalog)}"',
        f'"{node_title(get_node(graph, edge.to_node), catalog)}"',
    )


def _check_ends(graph: GraphDefinition, edge: EdgeDefinition, catalog: Catalog | None) -> None:
    """Nodes and ports are there and fit. What an unregistered tool has cannot be known, so it is let through."""
    source, target = _titles(graph, edge, catalog)
    if not edge.is_wire:
        if edge.from_port is not None:
            raise GraphEditError(f'Connect the output "{edge.from_port}" to a parameter of {target}.')
        return
    if edge.from_node == edge.to_node:
        raise GraphEditError(f"{source} cannot hand its own result to itself.")
    if edge.kind == "error":
        raise GraphEditError("An error edge hands nothing over; connect it to the header of the node.")
    from_tool = (catalog or {}).get(get_node(graph, edge.from_node).function_name)
    to_tool = (catalog or {}).get(get_node(graph, edge.to_node).function_name)
    from_name, to_name = edge.from_port or RESULT_PORT, edge.to_port or ""
    output = from_tool.find_output(from_name) if from_tool else None
    taken = to_tool.find_input(to_name) if to_tool else None
    if from_tool is not None and output is None:
        raise GraphEditError(f'{source} has no output "{from_name}".')
    if to_tool is not None and taken is None and not to_tool.takes_any:
        raise GraphEditError(f'{target} has no parameter "{to_name}".')
    if output is not None and taken is not None and not taken.type.accepts(output.type):
        gives = source if from_name == RESULT_PORT else f'"{from_name}"'
        raise GraphEditError(
            f'{gives} gives {_TYPE_WORDS[output.type]}; "{to_name}" takes {_TYPE_WORDS[taken.type]}.'
        )


def _check_loops(old: GraphDefinition, new: GraphDefinition) -> None:
    """Refuses a loop with two entries. A graph that has one already is not made worse, and stays editable."""
    try:
        compile_graph(new)
    except ValidationError as error:
        if _compiles(old):
            raise GraphEditError(_first_problem(error)) from error


def _compiles(graph: GraphDefinition) -> bool:
    try:
        compile_graph(graph)
    except ValidationError:
        return False
    return True


def _first_problem(error: ValidationError) -> str:
    return error.problems[0].message if error.problems else error.message


def set_condition(graph: GraphDefinition, key: EdgeKey, text: str | None) -> GraphDefinition:
    """Sets when the edge is taken: an expression, "else", or None for always."""
    return _change_edge(graph, key, {"condition": text or None})


def change_edge(
    graph: GraphDefinition, key: EdgeKey, catalog: Catalog | None = None, **update: str | None
) -> tuple[GraphDefinition, EdgeKey]:
    """Changes kind or ports of an edge, checked like a new one; also the edge's new key."""
    old = get_edge(graph, key)
    new: EdgeDefinition = _checked(EdgeDefinition, {**old.model_dump(), **update})
    if new == old:
        return graph, key
    others = tuple(edge for edge in graph.edges if edge is not old)
    check_connect(graph.model_copy(update={"edges": others}), new, catalog)
    return graph.model_copy(update={"edges": tuple(new if e is old else e for e in graph.edges)}), new.key


def _change_edge(graph: GraphDefinition, key: EdgeKey, update: dict[str, Any]) -> GraphDefinition:
    old = get_edge(graph, key)
    new = _checked(EdgeDefinition, {**old.model_dump(), **update})
    if new == old:
        return graph
    return graph.model_copy(update={"edges": tuple(new if edge is old else edge for edge in graph.edges)})


# ------------------------------------------------------------------------------------------------ the graph itself


def set_entry(graph: GraphDefinition, node_id: str | None) -> GraphDefinition:
    """Says where runs start; None: at every node without incoming edges."""
    if node_id is not None:
        get_node(graph, node_id)
    if graph.entry_point == node_id:
        return graph
    new = graph.model_copy(update={"entry_point": node_id})
    try:
        compile_graph(new)
    except ValidationError as error:
        if _compiles(graph):
            raise GraphEditError(_first_problem(error)) from error
    return new


def set_graph_field(graph: GraphDefinition, name: str, value: object) -> GraphDefinition:
    """Sets one of ``GRAPH_FIELDS``."""
    if name not in GRAPH_FIELDS:
        raise GraphEditError(f'A workflow has no field "{name}" that can be set.')
    checked = getattr(_checked(GraphDefinition, {"name": "any", name: value}), name)
    if same_json(checked, getattr(graph, name)):
        return graph
    return graph.model_copy(update={name: checked})


# ------------------------------------------------------------------------------------------------ copy and paste


def copy_fragment(graph: GraphDefinition, node_ids: Collection[str]) -> Fragment:
    """The chosen nodes and the edges between them."""
    chosen = set(node_ids)
    positions = node_positions(graph)
    return Fragment(
        tuple(node for node in graph.nodes if node.id in chosen),
        tuple(edge for edge in graph.edges if edge.from_node in chosen and edge.to_node in chosen),
        {node_id: positions[node_id] for node_id in chosen if node_id in positions},
    )


def paste(graph: GraphDefinition, fragment: Fragment, at: Position) -> tuple[GraphDefinition, list[str]]:
    """Adds a fragment with its top left corner at ``at``; ids that are taken are changed, inside expressions too."""
    if not fragment.nodes:
        raise GraphEditError("There are no nodes to paste.")
    ids = _fresh_ids(graph, fragment.nodes)
    nodes = tuple(_renamed_node(node, ids) for node in fragment.nodes)
    known = {node.id for node in fragment.nodes}
    edges = tuple(
        _renamed_edge(edge, ids)
        for edge in fragment.edges
        if edge.from_node in known and edge.to_node in known
    )
    left = min((x for x, _ in fragment.positions.values()), default=0.0)
    top = min((y for _, y in fragment.positions.values()), default=0.0)
    positions: dict[str, Position] = {}
    for index, node in enumerate(fragment.nodes):
        x, y = fragment.positions.get(node.id, (left + 40 * index, top + 40 * index))
        positions[ids.get(node.id, node.id)] = (at[0] + x - left, at[1] + y - top)
    new = _place(graph, positions, nodes=(*graph.nodes, *nodes), edges=(*graph.edges, *edges))
    return new, [node.id for node in nodes]


def _fresh_ids(graph: GraphDefinition, nodes: Sequence[NodeDefinition]) -> dict[str, str]:
    """For each id that is taken, another one."""
    taken = {node.id for node in graph.nodes}
    reserved = taken | {node.id for node in nodes}
    ids: dict[str, str] = {}
    for node in nodes:
        if node.id in taken:
            ids[node.id] = make_unique(node.id, reserved)
            reserved.add(ids[node.id])
    return ids


# ------------------------------------------------------------------------------------------------ checking values


def _checked(model: type[Any], values: Mapping[str, Any]) -> Any:
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        raise GraphEditError(_sentence(error)) from error


def _sentence(error: pydantic.ValidationError) -> str:
    """The first complaint of pydantic complaint as a sentence."""
    first = error.errors(include_url=False)[0]
    place = str(first["loc"][0]) if first["loc"] else ""
    subject = _FIELD_WORDS.get(place, place.replace("_", " ").capitalize() or "The value")
    context = first.get("ctx", {})
    if place == "join":  # a union: each of its parts has a complaint of its own
        return 'Join must be "all", "any" or a number from 1 to 10,000.'
    match first["type"]:
        case "string_too_short":
            return f"{subject} must not be empty."
        case "string_too_long":
            return f"{subject} must not be longer than {context.get('max_length')} characters."
        case "string_pattern_mismatch":
            return f"{subject} must be a single line of text."
        case "greater_than_equal":
            return f"{subject} must be at least {context.get('ge')}."
        case "less_than_equal":
            return f"{subject} must be at most {context.get('le')}."
        case "int_parsing" | "int_type" | "int_from_float":
            return f"{subject} must be a whole number."
        case _:
            return f"{subject}: {first['msg']}."
