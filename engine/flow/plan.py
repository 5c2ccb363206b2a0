"""A graph made ready to be decided on: its topology, and every expression in it compiled. Immutable, shared by runs."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import ExpressionError, ValidationError
from engine.flow.expressions import CompiledExpression, compile_expression
from engine.flow.secrets import find_secrets
from engine.flow.topology import NO_LOOP, Topology, compile_graph
from engine.model.graph import ELSE, RESULT_PORT, GraphDefinition
from engine.model.problem import Problem, Severity


@dataclass(frozen=True, slots=True)
class Route:
    """A node's edges of one kind, in the order of the definition."""

    always: tuple[int, ...]
    conditional: tuple[tuple[int, CompiledExpression], ...]
    otherwise: tuple[int, ...]
    edges: tuple[int, ...]
    """All of them."""


_NOWHERE = Route((), (), (), ())


@dataclass(frozen=True, slots=True)
class Plan:
    """By node: its success and error ``Route``, how many taken edges make it ready (0: all resolved), the loop it
    heads (or -1), its bindings, its ``for_each``, and which of its parameters refer to secrets. By edge: the wire's source port and parameter.
    """

    topology: Topology
    success: tuple[Route, ...]
    error: tuple[Route, ...]
    joins: tuple[int, ...]
    heads: tuple[int, ...]
    bindings: tuple[tuple[tuple[str, CompiledExpression], ...], ...]
    for_each: tuple[CompiledExpression | None, ...]
    secrets: tuple[tuple[str, ...], ...]
    ports: tuple[tuple[str, str], ...]
    exits: tuple[CompiledExpression, ...]

    @property
    def graph(self) -> GraphDefinition:
        return self.topology.graph


def compile_plan(graph: GraphDefinition) -> Plan:
    """Make a graph ready to run.

    Raises:
        ValidationError: the shape is wrong, or an expression does not compile.
    """
    topology = compile_graph(graph)
    heads = [NO_LOOP] * len(graph.nodes)
    for loop in topology.loops:
        heads[loop.header] = loop.index
    return Plan(
        topology=topology,
        success=tuple(_make_route(topology, node, "success") for node in range(len(graph.nodes))),
        error=tuple(_make_route(topology, node, "error") for node in range(len(graph.nodes))),
        joins=tuple(_count_needed(node.join) for node in graph.nodes),
        heads=tuple(heads),
        bindings=tuple(
            tuple(
                (name, _compile(text, node.id, None, f"bindings.{name}"))
                for name, text in node.bindings.items()
            )
            for node in graph.nodes
        ),
        for_each=tuple(
            None if node.for_each is None else _compile(node.for_each, node.id, None, "for_each")
            for node in graph.nodes
        ),
        secrets=tuple(
            tuple(name for name, value in node.parameters.items() if any(find_secrets(value)))
            for node in graph.nodes
        ),
        ports=tuple((edge.from_port or RESULT_PORT, edge.to_port or "") for edge in graph.edges),
        exits=tuple(_compile(text, None, None, "exit_conditions") for text in graph.exit_conditions),
    )


def _make_route(topology: Topology, node: int, kind: str) -> Route:
    always, conditional, otherwise = [], [], []
    for number in topology.outgoing[node]:
        edge = topology.graph.edges[number]
        if edge.kind != kind:
            continue
        if edge.condition is None:
            always.append(number)
        elif edge.condition.strip() == ELSE:
            otherwise.append(number)
        else:
            conditional.append((number, _compile(edge.condition, None, number, "condition")))
    if not (conditional or otherwise):
        return Route(plain := tuple(always), (), (), plain) if always else _NOWHERE
    edges = (*always, *(edge for edge, _ in conditional), *otherwise)
    return Route(tuple(always), tuple(conditional), tuple(otherwise), edges)


def _compile(text: str, node_id: str | None, edge: int | None, field: str) -> CompiledExpression:
    try:
        return compile_expression(text)
    except ExpressionError as error:
        problem = Problem(
            Severity.ERROR, "bad-expression", error.message, node_id=node_id, edge=edge, field=field
        )
        raise ValidationError(error.message, [problem]) from error


def _count_needed(join: str | int) -> int:
    return join if isinstance(join, int) else {"all": 0, "any": 1}[join]
