"""Which keys of the state a graph needs to be given: what it reads before anything in it has written it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from engine.errors import ExpressionError, ValidationError
from engine.flow.expressions import CompiledExpression, compile_expression
from engine.flow.topology import compile_graph
from engine.flow.validation_shape import Shape
from engine.flow.validation_structure import is_expression
from engine.model.graph import GraphDefinition
from engine.model.tool import Catalog, PortType

_JUST_A_KEY = re.compile(r"""state(\.\w+|\[(['"])[^'"]*\2\]|\.get\((['"])[^'"]*\3(, *[^(),]*)?\))""")
"""A binding that hands over one key as it is, so that what the parameter takes tells what the key should hold."""


@dataclass(frozen=True, slots=True)
class StateRead:
    """A state key that a graph reads. ``required``: without it the run fails, as far as can be told.

    ``type`` and ``schema`` are those of the first parameter it goes to; ``nodes`` the ids of the nodes that read it.
    """

    name: str
    type: PortType = PortType.ANY
    required: bool = False
    schema: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    nodes: tuple[str, ...] = ()


class _Written(NamedTuple):
    """The keys in the state at a moment, a bit each: there for sure, perhaps, and whether there may be any others."""

    surely: int = 0
    perhaps: int = 0
    anything: bool = False

    def then(self, other: _Written) -> _Written:
        return _Written(
            self.surely | other.surely, self.perhaps | other.perhaps, self.anything or other.anything
        )


class _Bits(dict[str, int]):
    """The bit of each key, given out as keys turn up."""

    def __missing__(self, key: str) -> int:
        self[key] = 1 << len(self)
        return self[key]


class _Wanted(NamedTuple):
    key: str
    required: bool
    type: PortType = PortType.ANY
    schema: Mapping[str, Any] = {}
    description: str = ""


def graph_reads(graph: GraphDefinition, tools: Catalog) -> dict[str, StateRead]:
    """The keys that a run of this graph reads from its initial state, in the order in which it comes to them.

    A key that some step may have written before is not required, and one that surely was written is left out.
    Parameters with a default are left out: the state may supply them, but nobody needs to ask. A graph that is
    wrong reads nothing.
    """
    try:
        shape = Shape(compile_graph(graph))
    except ValidationError:
        return {}
    reads = _Reads()
    after: dict[int, _Written] = {}
    for node in shape.order:
        before = _written_before(shape, node, after)
        for wanted in _wanted_by_node(graph, node, shape, tools):
            reads.add(wanted, before, graph.nodes[node].id)
        after[node] = before.then(_writes(graph, node, tools, reads.bits))
        for wanted in _wanted_by_edges(graph, node, shape):
            reads.add(wanted, after[node], graph.nodes[node].id)
    _add_exit_conditions(graph, shape, after, reads)
    return reads.found


def _written_before(shape: Shape, node: int, after: Mapping[int, _Written]) -> _Written:
    surely, perhaps, anything = 0, 0, False
    dominator = shape.dominator[node]
    if dominator in after:
        surely = after[dominator].surely
    waits_for_all = shape.topology.graph.nodes[node].join == "all"
    for edge in shape.before[node]:
        source = shape.topology.source[edge]
        perhaps |= after[source].perhaps
        anything = anything or after[source].anything
        definition = shape.topology.graph.edges[edge]
        if waits_for_all and source in shape.always and definition.kind == "success":
            surely |= after[source].surely  # it has run, whether or not this edge is taken
    return _Written(surely, perhaps, anything)


def _writes(graph: GraphDefinition, node: int, tools: Catalog, bits: _Bits) -> _Written:
    definition = graph.nodes[node]
    tool = tools.get(definition.function_name)
    keys = 0 if definition.save_as is None else bits[definition.save_as]
    for key in tool.state_writes if tool else ():
        keys |= bits[key]
    return _Written(keys, keys, anything=tool is None or (tool.takes_state and not tool.state_writes))


def _wanted_by_node(graph: GraphDefinition, node: int, shape: Shape, tools: Catalog) -> Iterator[_Wanted]:
    definition = graph.nodes[node]
    tool = tools.get(definition.function_name)
    given = {graph.edges[edge].to_port for edge in shape.topology.wires[node]}
    given |= {*definition.parameters, *definition.bindings}
    for port in tool.inputs if tool else ():
        if port.required and port.name not in given:
            yield _Wanted(port.name, port.required, port.type, port.schema, port.description)
    for key in tool.state_reads if tool else ():
        yield _Wanted(key, required=False)
    for name, text in definition.bindings.items():
        target = tool.find_input(name) if tool and _JUST_A_KEY.fullmatch(text.strip()) else None
        for wanted in _wanted_by_expression(text):
            if target is None:
                yield wanted
            else:
                yield wanted._replace(type=target.type, schema=target.schema, description=target.description)
    if definition.for_each is not None:
        yield from _wanted_by_expression(definition.for_each)


def _wanted_by_edges(graph: GraphDefinition, node: int, shape: Shape) -> Iterator[_Wanted]:
    for edge in shape.topology.outgoing[node]:
        condition = graph.edges[edge].condition
        if condition is not None and is_expression(condition):
            yield from _wanted_by_expression(condition)


def _wanted_by_expression(text: str) -> Iterator[_Wanted]:
    expression = _compile(text)
    if expression is not None:
        for key in sorted(expression.state_keys):
            yield _Wanted(key, key not in expression.optional_state_keys)


def _compile(text: str) -> CompiledExpression | None:
    try:
        return compile_expression(text)
    except ExpressionError:
        return None


class _Reads:
    """What was found so far."""

    def __init__(self) -> None:
        self.found: dict[str, StateRead] = {}
        self.bits = _Bits()

    def add(self, wanted: _Wanted, written: _Written, node_id: str | None) -> None:
        key, bit = wanted.key, self.bits[wanted.key]
        if bit & written.surely:
            return
        required = wanted.required and not bit & written.perhaps and not written.anything
        read = self.found.get(key, StateRead(key))
        self.found[key] = replace(
            read,
            required=read.required or required,
            type=wanted.type if read.type is PortType.ANY else read.type,
            schema=read.schema or wanted.schema,
            description=read.description or wanted.description,
            nodes=read.nodes if node_id is None or node_id in read.nodes[-1:] else (*read.nodes, node_id),
        )


def _add_exit_conditions(
    graph: GraphDefinition, shape: Shape, after: Mapping[int, _Written], reads: _Reads
) -> None:
    """They are evaluated after every step, so what they read must be there after the first."""
    if not graph.exit_conditions or not shape.topology.entries:
        return
    surely, perhaps, anything = -1, 0, False
    for entry in shape.topology.entries:
        surely &= after[entry].surely
    for each in after.values():
        perhaps |= each.perhaps
        anything = anything or each.anything
    for text in graph.exit_conditions:
        for wanted in _wanted_by_expression(text):
            reads.add(wanted, _Written(surely, perhaps, anything), None)
