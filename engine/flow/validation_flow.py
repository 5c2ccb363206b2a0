"""The checks that need the shape of the graph: what can run, when, and beside what."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, pairwise

from engine.flow.topology import NO_LOOP, Loop
from engine.flow.validation_findings import Findings, quote
from engine.flow.validation_shape import Shape
from engine.flow.validation_structure import PlacedExpression
from engine.model.tool import Catalog

_ALL_PAIRS = 24
_MOST_PAIRS = 400


def check_flow(
    shape: Shape, expressions: Iterable[PlacedExpression], tools: Catalog | None, findings: Findings
) -> None:
    """Everything that follows from the shape."""
    _check_reachable(shape, findings)
    _check_joins(shape, findings)
    _check_loops(shape, findings)
    _check_steps_named(shape, expressions, findings)
    _check_condition_outrun(shape, findings)
    _check_parallel_writes(shape, tools or {}, findings)


def _check_reachable(shape: Shape, findings: Findings) -> None:
    topology = shape.topology
    starts = ", ".join(quote(topology.node_ids[node]) for node in topology.entries[:3])
    more = ", ..." if len(topology.entries) > 3 else ""
    for node, name in enumerate(topology.node_ids):
        if node not in topology.reachable:
            message = f"{quote(name)} never runs: no edges lead to it from the start ({starts}{more})"
            findings.warning("unreachable", message, node=name)


def _check_joins(shape: Shape, findings: Findings) -> None:
    for node in shape.order:
        definition, count = shape.topology.graph.nodes[node], len(shape.before[node])
        if isinstance(definition.join, int) and definition.join > count:
            edges = f"{count} edge{'' if count == 1 else 's'}"
            message = (
                f"{quote(definition.id)} waits for {definition.join} taken edges, but only {edges} "
                "can come in at once, so it would never run"
            )
            findings.error("join-count", message, node=definition.id, field="join")


# ------------------------------------------------------------------------------------------------------- loops


def _check_loops(shape: Shape, findings: Findings) -> None:
    for loop in shape.topology.loops:
        if not shape.topology.graph.exit_conditions:
            _check_loop_ends(shape, loop, findings)
    for node in shape.order:
        _check_early_exit(shape, node, findings)


def _check_loop_ends(shape: Shape, loop: Loop, findings: Findings) -> None:
    """A warning where some edge back is taken in every pass."""
    topology = shape.topology
    body = sorted(loop.body, key=shape.place.__getitem__)
    always = shape.find_always({loop.header}, body)
    for edge in loop.back_edges:
        definition = topology.graph.edges[edge]
        if definition.condition is None and definition.kind == "success" and topology.source[edge] in always:
            message = (
                f"the loop at {quote(topology.node_ids[loop.header])} does not end by itself: edge "
                f"{definition.describe()} is taken in every pass. Give it a condition"
            )
            findings.warning("endless-loop", message, edge=edge, field="condition")


def _check_early_exit(shape: Shape, node: int, findings: Findings) -> None:
    topology = shape.topology
    back = next((edge for edge in topology.outgoing[node] if topology.is_back[edge]), None)
    if back is None:
        return
    for edge in topology.outgoing[node]:
        definition = topology.graph.edges[edge]
        if topology.leaves[edge] != NO_LOOP and definition.condition is None and definition.kind == "success":
            header = topology.node_ids[topology.target[back]]
            message = (
                f"edge {definition.describe()} leaves the loop at {quote(header)} without a condition: "
                "it is followed once, when the loop has ended"
            )
            findings.warning("unconditional-exit", message, edge=edge, field="condition")


# ------------------------------------------------------------------------------------------- steps not yet run


def _check_steps_named(shape: Shape, expressions: Iterable[PlacedExpression], findings: Findings) -> None:
    topology = shape.topology
    for expression, node_id, edge, field in expressions:
        steps = [topology.index[step] for step in expression.steps if step in topology.index]
        if not steps or (node_id is None and edge is None):
            continue
        where = topology.index[node_id] if node_id is not None else topology.source[edge or 0]
        if where not in topology.reachable:
            continue
        for step in steps:
            if _may_have_run(shape, step, where, itself=edge is not None):
                continue
            moment = f"{quote(topology.node_ids[where])} {'is decided on' if edge is not None else 'starts'}"
            message = f"{field} names the step {quote(topology.node_ids[step])}, which cannot have run when {moment}"
            if edge is not None:
                message = (
                    f"the condition of edge {topology.graph.edges[edge].describe()} names the step "
                    f"{quote(topology.node_ids[step])}, which cannot have run by then"
                )
            findings.warning("step-not-run", message, node=node_id, edge=edge, field=field)


def _may_have_run(shape: Shape, step: int, where: int, *, itself: bool) -> bool:
    """Whether a step can have run when ``where`` starts (or, with ``itself``, has ended)."""
    if step not in shape.topology.reachable:
        return False
    if step == where:
        return itself or shape.topology.loop_of[where] != NO_LOOP
    return not shape.dominates(where, step) or shape.share_loop(where, step)


# ------------------------------------------------------------------------------- conditions that change nothing


def _check_condition_outrun(shape: Shape, findings: Findings) -> None:
    """A wire without condition into a node that a condition was to keep from running."""
    topology = shape.topology
    for node in shape.order:
        edges = [(edge, topology.graph.edges[edge]) for edge in shape.before[node]]
        if len(edges) < 2 or topology.graph.nodes[node].join != "all":
            continue
        conditional = next(((number, edge) for number, edge in edges if edge.condition is not None), None)
        if conditional is None:
            continue
        decided_at = topology.source[conditional[0]]
        for number, wire in edges:
            source = topology.source[number]
            runs_anyway = source in shape.always or shape.dominates(source, decided_at)
            if not wire.is_wire or wire.condition is not None or wire.kind != "success" or not runs_anyway:
                continue
            message = (
                f"{quote(wire.to_node)} runs even where the condition of edge {conditional[1].describe()} does not "
                f"hold, because edge {wire.describe()} has none and one taken edge is enough: give it the same "
                f"condition, or replace it by a binding to steps[{wire.from_node!r}].result"
            )
            findings.warning("condition-outrun", message, edge=number, field="condition")


# ---------------------------------------------------------------------------------------------- parallel writes


def _check_parallel_writes(shape: Shape, tools: Catalog, findings: Findings) -> None:
    writers: dict[str, list[int]] = {}
    for node in shape.order:
        definition = shape.topology.graph.nodes[node]
        tool = tools.get(definition.function_name)
        keys = set(tool.state_writes if tool else ()) | (
            {definition.save_as} if definition.save_as else set()
        )
        for key in keys:
            writers.setdefault(key, []).append(node)
    budget = _MOST_PAIRS
    for key, nodes in sorted(writers.items()):
        if key in shape.topology.graph.reducers or len(nodes) < 2:
            continue
        pairs = combinations(nodes, 2) if len(nodes) <= _ALL_PAIRS else pairwise(nodes)
        reached: dict[int, set[int]] = {}
        for first, second in pairs:
            if first not in reached:
                budget -= 1
                reached[first] = _ordered_after(shape, first)
            if budget < 0:
                return
            if second not in reached[first] and not _exclude_each_other(shape, first, second):
                _report_writers(shape, key, first, second, findings)
                break


def _report_writers(shape: Shape, key: str, first: int, second: int, findings: Findings) -> None:
    names = shape.topology.node_ids
    message = (
        f"{quote(names[first])} and {quote(names[second])} can run at the same time and both set {quote(key)} in the "
        f"state; the later one wins. Choose how to combine them (reducers), or put one after the other"
    )
    findings.warning("parallel-writes", message, node=names[second], field=f"reducers.{key}")


def _ordered_after(shape: Shape, node: int) -> set[int]:
    """What runs after a node: what its edges lead to, and what follows the loops around it."""
    after = shape.reach(node)
    for loop in shape.loops_around(node):
        after |= shape.reach(loop.header).difference(loop.body)
    return after


def _exclude_each_other(shape: Shape, first: int, second: int) -> bool:
    """Whether two nodes may stand on ways of which conditions choose one; whether they really do is unknown."""
    chosen: dict[int, tuple[int, str]] = {}
    for edge in _guards(shape, first):
        chosen[shape.topology.source[edge]] = (edge, shape.topology.graph.edges[edge].kind)
    return any(
        chosen.get(shape.topology.source[edge], (edge, ""))[0] != edge for edge in _guards(shape, second)
    )


def _guards(shape: Shape, node: int) -> list[int]:
    """The edges with a condition, or after a failure, that must be taken for the node to run."""
    edges = []
    for number in shape.dominators_of(node):
        if len(shape.before[number]) == 1:
            edge = shape.before[number][0]
            definition = shape.topology.graph.edges[edge]
            has_errors = any(
                shape.topology.graph.edges[other].kind != definition.kind
                for other in shape.topology.outgoing[shape.topology.source[edge]]
            )
            if definition.condition is not None or has_errors:
                edges.append(edge)
    return edges
