"""Random graphs of simple tools, for property tests: branches, joins, nested loops, failures, wires."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypedDict

from hypothesis import strategies as st

from engine.flow.validation import validate_graph
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from engine.tools.registry import ToolRegistry
from tests.unit.flow.oracle import Oracle, OracleTool


class Parts(TypedDict):
    low: int
    high: int


def calc(seed: int = 0, a: int = 0, b: int = 0) -> int:
    return (7 * seed + 3 * a + b) % 11


def fragile(seed: int = 0, a: int = 0, b: int = 0) -> int:
    made = calc(seed, a, b)
    if made % 3 == 0:
        raise RuntimeError(f"cannot do {made}")
    return made


def split(seed: int = 0, a: int = 0) -> Parts:
    made = calc(seed, a)
    return {"low": made % 4, "high": made // 4}


def tally(state: dict[str, Any], seed: int = 0, a: int = 0) -> dict[str, Any]:
    return {"total": state.get("total", 0) + 1 + (seed + a) % 3}


_FUNCTIONS = {function.__name__: function for function in (calc, fragile, split, tally)}
PORTS = {"calc": [None, "result"], "fragile": [None], "split": ["low", "high"], "tally": ["total"]}
INPUTS = {"calc": ["a", "b"], "fragile": ["a", "b"], "split": ["a"], "tally": ["a"]}

ORACLE_TOOLS = {
    "calc": OracleTool(lambda given, _state: calc(**given), ("seed", "a", "b")),
    "fragile": OracleTool(lambda given, _state: fragile(**given), ("seed", "a", "b")),
    "split": OracleTool(lambda given, _state: split(**given), ("seed", "a")),
    "tally": OracleTool(lambda given, state: tally(state, **given), ("seed", "a"), takes_state=True),
}


def make_catalog():
    registry = ToolRegistry()
    for name, function in _FUNCTIONS.items():
        registry.register_tool(name, function)
    return registry.list_tools()


@st.composite
def graphs(draw, *, ordered_only=False, items=False):
    """A graph without errors. ``ordered_only``: nothing in it depends on the order in which steps complete.

    ``items``: there are nodes with ``for_each`` in it, too.
    """
    count = draw(st.integers(1, 8))
    names = [f"n{number}" for number in range(count)]
    nodes = [draw(_nodes(name, number, ordered_only)) for number, name in enumerate(names)]
    if items:
        nodes = [draw(_with_items(node)) if draw(st.integers(0, 2)) == 0 else node for node in nodes]
    forward = draw(_forward_edges(nodes, ordered_only))
    back = draw(_back_edges(nodes, forward))
    edges = list({_key(edge): edge for edge in (*forward, *back)}.values())
    edges = draw(st.permutations(edges))
    entry = names[0] if back or draw(st.booleans()) else None
    graph = GraphDefinition(
        name="random",
        nodes=nodes,
        edges=edges,
        entry_point=entry,
        exit_conditions=draw(
            st.sampled_from([[], [], [], ["state.get('total', 0) > 4"], ["steps.n0.visit > 2"]])
        )
        if not ordered_only
        else [],
        reducers=draw(st.sampled_from([{}, {"k": "add"}, {"k": "max", "a": "add"}])),
    )
    joins = {problem.node_id for problem in validate_graph(graph) if problem.code == "join-count"}
    if joins:
        nodes = [node.model_copy(update={"join": "any"}) if node.id in joins else node for node in nodes]
        graph = graph.model_copy(update={"nodes": tuple(nodes)})
    return graph


def _key(edge):
    return (
        edge.from_node,
        edge.to_node,
        edge.kind,
        edge.from_port or (edge.to_port and "result"),
        edge.to_port,
    )


@st.composite
def _nodes(draw, name, number, ordered_only):
    tool = "calc" if ordered_only else draw(st.sampled_from(["calc", "calc", "fragile", "split", "tally"]))
    number_given = tool in ("calc", "fragile")
    binding = draw(st.sampled_from([None, None, "visit", "state.get('k', 0)"]))
    return NodeDefinition(
        id=name,
        function_name=tool,
        parameters={"seed": number + 1},
        bindings={} if binding is None or not number_given or ordered_only else {"b": binding},
        save_as=draw(st.sampled_from([None, None, "k", "a"])) if number_given and not ordered_only else None,
        join="all" if ordered_only else draw(st.sampled_from(["all", "all", "all", "any", 2])),
        on_error=draw(st.sampled_from(["fail", "continue", "continue"])) if tool == "fragile" else "fail",
        default_result=5 if tool == "fragile" else None,
    )


@st.composite
def _with_items(draw, node):
    item = {"a": draw(st.sampled_from(["item", "item + index", "state.get('total', 0) + item"]))}
    return node.model_copy(
        update={
            "for_each": draw(
                st.one_of(
                    st.sampled_from(["[1, 2, 3]", "[5]", "[]", "[visit, 4, state.get('total', 0), 2]"]),
                    _rarely("state.missing", "[3, 1]"),
                )
            ),
            "max_parallel": draw(st.sampled_from([None, 1, 2])),
            "on_item_error": draw(st.sampled_from(["fail", "collect"])),
            "bindings": {**node.bindings, **item},
            "save_as": None,
        }
    )


def _conditions(names, ordered_only):
    always = [None, None, None, "visit % 2 == 1", "visit > 1", "visit < 2", "else", "else"]
    if ordered_only:
        return st.sampled_from(always)
    others = [
        "state.get('total', 0) % 2 == 0",
        "state.get('k', 0) > 4",
        *(f"steps.{name}.visit > 1" for name in names),
        *(f"steps.{name}.status == 'completed'" for name in names),
        *(f"steps.{name}.status in ('skipped', 'running')" for name in names),
        *(f"steps.{name}.error is None" for name in names),
    ]
    return st.one_of(
        st.sampled_from(always), st.sampled_from(others), _rarely("state.missing > 1", "visit % 2 == 0")
    )


def _rarely(value, else_value):
    return st.integers(0, 40).map(lambda number: value if number == 40 else else_value)


@st.composite
def _forward_edges(draw, nodes, ordered_only):
    names = [node.id for node in nodes]
    conditions = _conditions(names, ordered_only)
    pairs = [(start, end) for end in range(len(nodes)) for start in range(end)]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=14)) if pairs else []
    if draw(st.booleans()):
        chosen += [
            (start, end) for start, end in pairwise(range(len(nodes)))
        ]  # a spine, so that much is reached
    edges = []
    for start, end in chosen:
        condition = draw(conditions)
        source = nodes[start]
        if source.function_name == "fragile" and draw(st.integers(0, 2)) == 0:
            edges.append(
                EdgeDefinition(from_node=source.id, to_node=names[end], kind="error", condition=condition)
            )
        else:
            edges.append(draw(_wire_or_flow(source, nodes[end], condition)))
    return edges


@st.composite
def _wire_or_flow(draw, source, target, condition):
    ports = {}
    if draw(st.booleans()) and source.for_each is None:  # its result is a list, which no tool here takes
        ports = {
            "from_port": draw(st.sampled_from(PORTS[source.function_name])),
            "to_port": draw(st.sampled_from(INPUTS[target.function_name])),
        }
    return EdgeDefinition(from_node=source.id, to_node=target.id, condition=condition, **ports)


@st.composite
def _back_edges(draw, nodes, forward):
    """Edges back to nodes that every way to their source leads through, so that loops are nested or apart."""
    graph = GraphDefinition(name="forward", nodes=nodes, edges=forward, entry_point=nodes[0].id)
    shape = Oracle(graph, ORACLE_TOOLS)
    pairs = [
        (start, end)
        for start in nodes
        for end in nodes
        if start.id in shape.reachable and start.id not in shape._reachable(shape.entries, without=end.id)
    ]
    edges = []
    for start, end in draw(st.lists(st.sampled_from(pairs), max_size=4)):
        condition = draw(
            st.sampled_from(
                ["visit < 2", "visit < 3", "visit % 2 == 1", "visit % 3 != 0", "visit % 3 != 0", "else"]
            )
        )
        edges.append(draw(_wire_or_flow(start, end, condition)))
    return edges
