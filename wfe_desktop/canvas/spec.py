"""What the canvas shows of a graph, as plain values that can be compared. No Qt.

Two specs that are equal look the same, so showing a changed graph means: build the specs, compare, touch what differs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from engine.model.graph import RESULT_PORT, EdgeDefinition, EdgeKind, GraphDefinition, NodeDefinition
from engine.model.status import StepStatus
from engine.model.tool import Catalog, PortType, Tool
from wfe_desktop.document.breakpoints import breakpoints
from wfe_desktop.document.names import node_title

EdgeKey = tuple[str, str, str, str | None, str | None]

FLOW_IN = "▸in"
FLOW_OUT = "▸out"
ERROR_OUT = "▸error"
"""Names of the ports that carry order, not values. No parameter can be called so."""

_MOST_HINT = 160


@dataclass(frozen=True, slots=True)
class PortSpec:
    """A data port's row. ``hint`` is what the port is given without a wire; ``required`` and given nothing: empty."""

    name: str
    type: PortType
    hint: str = ""
    wired: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """Everything about a node that its picture depends on, but its place, selection and run."""

    id: str
    title: str
    tool: str
    category: str
    is_known: bool
    inputs: tuple[PortSpec, ...]
    outputs: tuple[PortSpec, ...]
    is_entry: bool = False
    flow_in: bool = False
    flow_out: bool = False
    error_out: bool = False
    is_breakpoint: bool = False
    description: str = ""

    @property
    def port_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Inputs and outputs by name: while these stay, wires can stay."""
        return tuple(port.name for port in self.inputs), tuple(port.name for port in self.outputs)


@dataclass(frozen=True, slots=True)
class EdgeSpec:
    """An edge with what its picture depends on."""

    key: EdgeKey
    condition: str | None = None
    type: PortType | None = None
    """The type of the value a wire carries; None for plain flow."""

    @property
    def is_error(self) -> bool:
        """Whether it is followed after a failure."""
        return self.key[2] == "error"

    @property
    def source_port(self) -> str:
        """The canvas port it leaves from."""
        if self.is_error:
            return ERROR_OUT
        return FLOW_OUT if self.key[4] is None else self.key[3] or RESULT_PORT

    @property
    def target_port(self) -> str:
        """The canvas port it enters."""
        return self.key[4] or FLOW_IN


@dataclass(frozen=True, slots=True)
class NodeRunView:
    """Where a node stands in the run that is shown. ``progress`` is 0 to 1, or None where the tool does not say.

    ``is_held``: it would start now, were the run not paused. ``taken_from``: the run in which it ran, where this one took
    it over; its duration is of then. ``note``: a few characters in place of the duration. ``about``: what it waits for, or
    where its result is from.
    """

    status: StepStatus
    visit: int = 0
    duration_s: float | None = None
    progress: float | None = None
    is_held: bool = False
    taken_from: str | None = None
    note: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """A graph as the canvas shows it."""

    nodes: Mapping[str, NodeSpec]
    edges: Mapping[EdgeKey, EdgeSpec]


def describe_graph(graph: GraphDefinition, catalog: Catalog) -> GraphSpec:
    """The graph as values to show. Edges to nodes that are not there are left out."""
    wired_in: dict[str, set[str]] = {node.id: set() for node in graph.nodes}
    wired_out: dict[str, set[str]] = {node.id: set() for node in graph.nodes}
    ends: set[str] = set()
    edges: list[EdgeDefinition] = []
    for edge in graph.edges:
        if edge.from_node not in wired_out or edge.to_node not in wired_in:
            continue
        edges.append(edge)
        ends.add(edge.to_node)
        wired_in[edge.to_node].add(edge.to_port or FLOW_IN)
        if edge.kind == "error":
            wired_out[edge.from_node].add(ERROR_OUT)
        else:
            wired_out[edge.from_node].add((edge.from_port or RESULT_PORT) if edge.is_wire else FLOW_OUT)
    nodes = {}
    stops = set(breakpoints(graph))
    for node in graph.nodes:
        is_entry = node.id == graph.entry_point if graph.entry_point else node.id not in ends
        nodes[node.id] = describe_node(
            node,
            catalog.get(node.function_name),
            wired_in[node.id],
            wired_out[node.id],
            is_entry=is_entry,
            is_breakpoint=node.id in stops,
        )
    return GraphSpec(nodes, {edge.key: _describe_edge(edge, nodes) for edge in edges})


def _describe_edge(edge: EdgeDefinition, nodes: Mapping[str, NodeSpec]) -> EdgeSpec:
    if not edge.is_wire:
        return EdgeSpec(edge.key, edge.condition)
    name = edge.from_port or RESULT_PORT
    outputs = nodes[edge.from_node].outputs
    return EdgeSpec(
        edge.key, edge.condition, next((port.type for port in outputs if port.name == name), PortType.ANY)
    )


def describe_node(
    node: NodeDefinition,
    tool: Tool | None,
    wired_in: set[str],
    wired_out: set[str],
    *,
    is_entry: bool = False,
    is_breakpoint: bool = False,
) -> NodeSpec:
    """One node as values to show; ``tool`` is None where nothing of that name is registered."""
    known = {port.name: port for port in tool.inputs} if tool is not None else {}
    extra = [name for name in (*node.parameters, *node.bindings, *sorted(wired_in)) if name not in known]
    inputs = []
    for name in dict.fromkeys((*known, *extra)):
        if name == FLOW_IN:
            continue
        port = known.get(name)
        wired = name in wired_in
        inputs.append(
            PortSpec(
                name,
                port.type if port is not None else PortType.ANY,
                "" if wired else given_text(node, name),
                wired,
                port.required if port is not None else False,
            )
        )
    found = (
        {port.name: port.type for port in tool.outputs} if tool is not None else {RESULT_PORT: PortType.ANY}
    )
    flows = {FLOW_OUT, ERROR_OUT}
    outputs = [
        PortSpec(name, found.get(name, PortType.ANY), wired=name in wired_out)
        for name in dict.fromkeys((*found, *sorted(wired_out - flows)))
    ]
    return NodeSpec(
        id=node.id,
        title=node_title(node, {tool.name: tool} if tool is not None else None),
        tool=node.function_name,
        category=tool.category if tool is not None else "",
        is_known=tool is not None,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        is_entry=is_entry,
        flow_in=FLOW_IN in wired_in,
        flow_out=FLOW_OUT in wired_out,
        error_out=ERROR_OUT in wired_out,
        is_breakpoint=is_breakpoint,
        description=node.description or (tool.description if tool is not None else ""),
    )


def given_text(node: NodeDefinition, name: str) -> str:
    """What a parameter is given on the node itself: its expression, or its literal as JSON. Shortened."""
    if name in node.bindings:
        text = node.bindings[name]
    elif name in node.parameters:
        text = preview(node.parameters[name], _MOST_HINT)
    else:
        return ""
    flat = " ".join(text[: 2 * _MOST_HINT].split())
    return flat if len(flat) <= _MOST_HINT else flat[: _MOST_HINT - 1] + "…"


def preview(value: object, most: int) -> str:
    """The beginning of a value as JSON, some ``most`` characters; costs these, not the value's size."""
    if isinstance(value, str):
        return json.dumps(value[:most], ensure_ascii=False)
    if not isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    opening, closing = "[]" if isinstance(value, list) else "{}"
    parts: list[str] = []
    left = most
    for item in value if isinstance(value, list) else value.items():
        if left <= 0:
            parts.append("…")
            break
        if isinstance(item, tuple):
            part = f"{preview(str(item[0]), left)}: {preview(item[1], left)}"
        else:
            part = preview(item, left)
        parts.append(part)
        left -= len(part) + 2
    return opening + ", ".join(parts) + closing


@dataclass(frozen=True, slots=True)
class PendingWire:
    """A wire that was dropped where no node is: what a node put there should be connected to."""

    node_id: str
    port: str
    """A data port's name, or one of the flow ports' names."""
    is_output: bool
    type: PortType | None = None

    def edge_for(self, node_id: str, tool: Tool) -> EdgeDefinition:
        """The edge between that port and a new node: into the first parameter that takes the value, else flow."""
        if not self.is_output:
            if self.port == FLOW_IN:
                return EdgeDefinition(from_node=node_id, to_node=self.node_id)
            fits = [port.name for port in tool.outputs if self.type is None or self.type.accepts(port.type)]
            return make_edge(node_id, fits[0] if fits else RESULT_PORT, self.node_id, self.port)
        if self.port in (FLOW_OUT, ERROR_OUT):
            return make_edge(self.node_id, self.port, node_id, FLOW_IN)
        wanted = [port for port in tool.inputs if self.type is None or port.type.accepts(self.type)]
        wanted.sort(key=lambda port: (port.type is not self.type, not port.required))
        if not wanted:
            return EdgeDefinition(from_node=self.node_id, to_node=node_id)
        return make_edge(self.node_id, self.port, node_id, wanted[0].name)


def make_edge(source: str, out: str, target: str, into: str) -> EdgeDefinition:
    """The edge between two ports of the canvas."""
    kind: EdgeKind = "error" if out == ERROR_OUT else "success"
    if into == FLOW_IN:
        return EdgeDefinition(from_node=source, to_node=target, kind=kind)
    plain = out in (ERROR_OUT, FLOW_OUT, RESULT_PORT)
    return EdgeDefinition(
        from_node=source, to_node=target, kind=kind, from_port=None if plain else out, to_port=into
    )
