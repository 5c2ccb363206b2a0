"""Loops, back edges and reachability of graphs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ValidationError
from engine.flow.topology import NO_LOOP, Topology, compile_graph
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition


def make(nodes: str, edges: str, entry: str | None = None) -> Topology:
    return compile_graph(
        GraphDefinition(
            name="test",
            nodes=tuple(NodeDefinition(id=name, function_name="f") for name in nodes),
            edges=tuple(EdgeDefinition(from_node=a, to_node=b) for a, b in edges.split()),
            entry_point=entry,
        )
    )


def names(topology: Topology, nodes) -> str:
    return "".join(sorted(topology.node_ids[node] for node in nodes))


def test_without_an_entry_point_runs_start_at_every_node_without_incoming_edges():
    topology = make("abcd", "ac bc cd")
    assert names(topology, topology.entries) == "ab"


def test_nodes_that_cannot_be_reached_are_left_out_and_block_nobody():
    topology = make("abc", "ab cb", entry="a")
    assert names(topology, topology.reachable) == "ab"
    assert topology.incoming[topology.index["b"]] == 1


def test_a_self_loop_is_a_loop_of_one():
    topology = make("ab", "aa ab", entry="a")
    assert [loop.body for loop in topology.loops] == [(0,)]
    assert topology.back_edges == {0}
    assert topology.loops[0].exits == (1,)


def test_nested_loops_know_their_parents_and_which_edges_leave_them():
    topology = make("abcd", "ab bc cb ca cd", entry="a")
    outer, inner = topology.loops
    assert (names(topology, outer.body), names(topology, inner.body)) == ("abc", "bc")
    assert inner.parent == outer.index
    assert outer.parent == NO_LOOP
    assert inner.exits == (3,)  # c -> a leaves the inner loop, and goes back in the outer one
    assert outer.exits == (4,)
    assert topology.loop_of[topology.index["c"]] == inner.index


def test_back_edges_to_one_header_make_one_loop():
    topology = make("abc", "ab ac ba ca", entry="a")
    assert len(topology.loops) == 1
    assert topology.loops[0].back_edges == (2, 3)


def test_a_loop_with_two_doors_is_refused_with_its_nodes_named():
    with pytest.raises(
        ValidationError, match="the loop a -> b -> a can be entered both at a and at b"
    ) as caught:
        make("eab", "ea eb ab ba")
    assert caught.value.problems[0].code == "irreducible-loop"


@pytest.mark.parametrize(
    ("nodes", "edges", "entry", "code"),
    [
        ("aa", "", None, "duplicate-node"),
        ("a", "ax", None, "unknown-node"),
        ("ab", "ab ba", None, "no-entry"),
        ("a", "", "x", "unknown-entry"),
    ],
)
def test_a_wrong_shape_is_refused_with_the_place(nodes, edges, entry, code):
    with pytest.raises(ValidationError) as caught:
        make(nodes, edges, entry)
    assert caught.value.problems[0].code == code


@st.composite
def digraphs(draw):
    size = draw(st.integers(1, 9))
    letters = "abcdefghi"[:size]
    pairs = st.tuples(st.sampled_from(letters), st.sampled_from(letters))
    return letters, draw(st.lists(pairs, max_size=18, unique=True))


def reaches(edges, start, avoiding):
    seen, stack = set(), [start] if start != avoiding else []
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(b for a, b in edges if a == node and b != avoiding)
    return seen


@given(digraphs())
def test_a_back_edge_is_one_whose_target_is_on_every_way_to_its_source(graph):
    letters, edges = graph
    reachable = reaches(edges, "a", None)
    expected = {
        number for number, (u, v) in enumerate(edges) if u in reachable and u not in reaches(edges, "a", v)
    }
    forward = [edge for number, edge in enumerate(edges) if number not in expected and edge[0] in reachable]
    cyclic = any(node in reaches(forward, b, None) for node in letters for a, b in forward if a == node)
    try:
        topology = make(letters, " ".join(a + b for a, b in edges), entry="a")
    except ValidationError:
        assert cyclic
    else:
        assert not cyclic
        assert topology.back_edges == expected
        for loop in topology.loops:
            others = [other for other in topology.loops if other is not loop]
            for other in others:  # nested or disjoint
                both = set(loop.body) & set(other.body)
                assert both in (set(), set(loop.body), set(other.body))
