"""What can be checked without knowing the tools or the shape: names, edges, conditions, policies, expressions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from engine.errors import ExpressionError, ResultError
from engine.flow.expressions import CompiledExpression, check_expression, compile_expression
from engine.flow.validation_findings import Findings, quote, suggest
from engine.flow.values import to_json
from engine.model.graph import ELSE, EdgeDefinition, EdgeKind, GraphDefinition, NodeDefinition


class PlacedExpression(NamedTuple):
    """An expression of a graph that compiles, and where it stands. ``field`` as in ``Problem``."""

    expression: CompiledExpression
    node: str | None
    edge: int | None
    field: str


def is_expression(condition: str | None) -> bool:
    """Whether an edge's condition is one to be evaluated: neither absent nor ``else``."""
    return condition is not None and condition.strip() != ELSE


def check_names(graph: GraphDefinition, findings: Findings) -> None:
    """Doubled nodes and edges, and references to nodes that are not there."""
    counts = Counter(node.id for node in graph.nodes)
    for name, count in counts.items():
        if count > 1:
            findings.error(
                "duplicate-node", f"{count} nodes have the id {quote(name)}; ids must differ", node=name
            )
    for number, edge in enumerate(graph.edges):
        for field, name in (("from_node", edge.from_node), ("to_node", edge.to_node)):
            if name not in counts:
                message = f"edge {edge.describe()}: there is no node {quote(name)}{suggest(name, counts)}"
                findings.error("unknown-node", message, edge=number, field=field)
    _check_entry(graph, counts, findings)
    _check_doubled_edges(graph, findings)


def _check_entry(graph: GraphDefinition, names: Counter[str], findings: Findings) -> None:
    entry = graph.entry_point
    if not graph.nodes:
        findings.warning("empty-graph", "the workflow has no nodes yet, so it cannot be run")
        return
    if entry is not None:
        if entry not in names:
            message = f"there is no node {quote(entry)} to start at{suggest(entry, names)}"
            findings.error("unknown-entry", message, field="entry_point")
        return
    entered = {edge.to_node for edge in graph.edges}
    if all(name in entered for name in names):
        message = (
            "every node has an incoming edge, so there is nowhere to start: "
            "choose the node to start at (entry_point), or take the edge out that goes back to it"
        )
        findings.error("no-entry", message, field="entry_point")


def _check_doubled_edges(graph: GraphDefinition, findings: Findings) -> None:
    first: dict[tuple[str, str, str, str | None, str | None], int] = {}
    for number, edge in enumerate(graph.edges):
        key = (*edge.key[:3], edge.from_port or ("result" if edge.is_wire else None), edge.to_port)
        if key in first:
            message = f"edge {edge.describe()} is there twice"
            conditions = [
                condition for condition in (graph.edges[first[key]].condition, edge.condition) if condition
            ]
            if len(conditions) == 2:
                message += "; join the conditions with 'or'"
            findings.error("duplicate-edge", message, edge=number)
        first.setdefault(key, number)


def check_edges(graph: GraphDefinition, findings: Findings) -> None:
    """Ports and conditions of edges, as far as they can be judged without the tools."""
    has_expression = {(edge.from_node, edge.kind) for edge in graph.edges if is_expression(edge.condition)}
    for number, edge in enumerate(graph.edges):
        if edge.from_port is not None and edge.to_port is None:
            message = f"edge {edge.describe()} leaves from the output {quote(edge.from_port)} but names no parameter to go to"
            findings.error("half-wire", message, edge=number, field="to_port")
        if edge.is_wire and edge.kind == "error":
            message = (
                f"edge {edge.describe()} is followed when {quote(edge.from_node)} failed, and then there is no result "
                f"to hand over; use an edge without ports, and a binding to steps[{edge.from_node!r}].error"
            )
            findings.warning("error-wire", message, edge=number, field="from_port")
        if edge.is_wire and edge.from_node == edge.to_node and edge.condition is None:
            message = f"{quote(edge.from_node)} hands its result to itself without a condition, so it would run for ever"
            findings.error("self-wire", message, edge=number, field="condition")
        if edge.condition is not None and edge.condition.strip() == ELSE:
            _check_else(edge, number, has_expression, findings)


def _check_else(
    edge: EdgeDefinition, number: int, has_expression: set[tuple[str, EdgeKind]], findings: Findings
) -> None:
    if (edge.from_node, edge.kind) not in has_expression:
        message = (
            f'edge {edge.describe()} has the condition "else", but no other {edge.kind} edge of '
            f"{quote(edge.from_node)} has a condition, so it is always taken"
        )
        findings.warning("else-alone", message, edge=number, field="condition")


def check_policies(graph: GraphDefinition, findings: Findings) -> None:
    """What nodes do on failure, and values that are no JSON."""
    caught = {
        edge.from_node for edge in graph.edges if edge.kind == "error" and not is_expression(edge.condition)
    }
    for node in graph.nodes:
        name = quote(node.id)
        if node.on_error == "continue" and node.id in caught:
            message = (
                f'{name} has an error edge, which is followed whenever it fails; on_error "continue" and its default '
                "result have no effect"
            )
            findings.warning("unused-continue", message, node=node.id, field="on_error")
        elif node.on_error == "fail" and node.default_result is not None:
            message = (
                f'{name} has a default result that is never used: it counts only with on_error "continue"'
            )
            findings.warning("unused-default", message, node=node.id, field="default_result")
        _check_values(node, findings)


def _check_values(node: NodeDefinition, findings: Findings) -> None:
    fields = [(f"parameters.{name}", value) for name, value in node.parameters.items()]
    for field, value in (*fields, ("default_result", node.default_result)):
        if value is None or isinstance(value, str | bool):
            continue
        try:
            to_json(value, f"{field} of {quote(node.id)}")
        except ResultError as error:
            findings.error("not-json", error.message, node=node.id, field=field)


def check_expressions(graph: GraphDefinition, findings: Findings) -> list[PlacedExpression]:
    """Compile every expression, check the steps they name, and give those that are right."""
    names = {node.id for node in graph.nodes}
    mapped = {node.id for node in graph.nodes if node.for_each is not None}
    placed = []
    for text, node, edge, field in _all_expressions(graph):
        where = (
            f"{field} of {quote(node)}"
            if node
            else f"edge {graph.edges[edge].describe()}"
            if edge is not None
            else field
        )
        try:
            item_allowed = node in mapped and field != "for_each"
            check_expression(text, item_allowed=item_allowed, result_allowed=node is None)
            expression = compile_expression(text)
        except ExpressionError as error:
            findings.error("bad-expression", f"{where}: {error.message}", node=node, edge=edge, field=field)
            continue
        for step in sorted(expression.steps - names):
            message = (
                f"{where} names the step {quote(step)}, which is not in the workflow{suggest(step, names)}"
            )
            findings.error("unknown-step", message, node=node, edge=edge, field=field)
        placed.append(PlacedExpression(expression, node, edge, field))
    return placed


def _all_expressions(graph: GraphDefinition) -> Iterator[tuple[str, str | None, int | None, str]]:
    for node in graph.nodes:
        for parameter, text in node.bindings.items():
            yield text, node.id, None, f"bindings.{parameter}"
        if node.for_each is not None:
            yield node.for_each, node.id, None, "for_each"
    for number, edge in enumerate(graph.edges):
        if edge.condition is not None and is_expression(edge.condition):
            yield edge.condition, None, number, "condition"
    for number, text in enumerate(graph.exit_conditions):
        yield text, None, None, f"exit_conditions.{number}"
