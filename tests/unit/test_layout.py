"""The automatic layout: left to right, no overlaps, loops and size do not matter."""

import time
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from wfe_desktop.layout import complete_places, layout, stored_places


def graph(count, pairs, entry=None):
    return GraphDefinition(
        name="g",
        nodes=tuple(NodeDefinition(id=f"n{i}", function_name="f") for i in range(count)),
        edges=tuple(EdgeDefinition(from_node=f"n{a}", to_node=f"n{b}") for a, b in pairs),
        entry_point=entry,
    )


def overlaps(places, sizes):
    nodes = list(places)
    for at, one in enumerate(nodes):
        for other in nodes[at + 1 :]:
            (x1, y1), (x2, y2) = places[one], places[other]
            (w1, h1), (w2, h2) = sizes[one], sizes[other]
            if x1 < x2 + w2 and x2 < x1 + w1 and y1 < y2 + h2 and y2 < y1 + h1:
                yield one, other


def test_an_empty_graph_has_no_places():
    assert layout(graph(0, [])) == {}


def test_a_chain_is_a_straight_line_from_left_to_right():
    places = layout(graph(4, [(0, 1), (1, 2), (2, 3)]))
    xs = [places[f"n{i}"][0] for i in range(4)]
    assert xs == sorted(set(xs))
    assert {y for _, y in places.values()} == {0}


def test_a_join_stands_right_of_the_last_of_its_branches():
    places = layout(graph(5, [(0, 1), (0, 2), (2, 3), (1, 4), (3, 4)]))
    assert places["n4"][0] > places["n3"][0] > places["n2"][0] > places["n0"][0]


def test_a_loop_does_not_pull_its_nodes_apart():
    straight = layout(graph(3, [(0, 1), (1, 2)], entry="n0"))
    assert layout(graph(3, [(0, 1), (1, 2), (2, 0), (2, 2)], entry="n0")) == straight


def test_a_branch_that_runs_back_stands_below_its_sister():
    places = layout(graph(5, [(0, 1), (0, 2), (1, 0), (1, 3), (2, 4)], entry="n0"))
    assert places["n1"][1] > places["n2"][1]


def test_a_condition_has_room_between_its_nodes():
    plain = graph(2, [(0, 1)])
    edge = plain.edges[0].model_copy(update={"condition": "result.score >= 70 and visit < 3"})
    wide = layout(plain.model_copy(update={"edges": (edge,)}))
    assert wide["n1"][0] > layout(plain)["n1"][0] + 60


def test_an_edge_past_a_layer_keeps_a_lane_free():
    places = layout(graph(3, [(0, 1), (1, 2), (0, 2)]))
    assert places["n1"][1] != places["n0"][1] or places["n2"][1] != places["n0"][1]


def test_edges_to_nodes_that_do_not_exist_are_ignored():
    assert set(layout(graph(1, [(0, 7), (7, 0)]))) == {"n0"}


@given(
    st.integers(1, 14).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=30),
            st.lists(st.tuples(st.floats(160, 280), st.floats(60, 300)), min_size=n, max_size=n),
        )
    )
)
def test_nodes_never_overlap(case):
    count, pairs, measured = case
    sizes = {f"n{i}": size for i, size in enumerate(measured)}
    places = layout(graph(count, pairs), sizes)
    assert len(places) == count
    assert not list(overlaps(places, sizes))


def test_five_thousand_nodes_and_a_long_chain_take_about_a_second():
    pairs = [(i, i + 1) for i in range(4_999)] + [(i, min(4_999, i + 1 + i % 60)) for i in range(0, 4_999, 2)]
    started = time.process_time()
    places = layout(graph(5_000, pairs))
    assert time.process_time() - started < 3.0  # about 0.3 alone; this machine may be busy
    assert all(places[f"n{a}"][0] < places[f"n{b}"][0] for a, b in pairwise(range(5_000)))


def test_what_has_no_place_goes_below_what_has_one():
    plain = graph(4, [(0, 1), (1, 2), (2, 3)])
    ui = {
        "nodes": {
            "n0": {"x": 10, "y": 20},
            "n1": {"x": "nan", "y": 0},
            "n2": {"x": 1e9, "y": 0},
            "n3": 5,
            "gone": {"x": 0, "y": 0},
        }
    }
    placed = plain.model_copy(update={"ui": ui})
    assert stored_places(placed) == {"n0": (10.0, 20.0), "gone": (0.0, 0.0)}
    places = complete_places(placed, stored_places(placed), {"n0": (100.0, 300.0)})
    assert places["n0"] == (10.0, 20.0)
    assert set(places) == {"n0", "n1", "n2", "n3"}
    assert min(places[name][1] for name in ("n1", "n2", "n3")) >= 320
    assert complete_places(plain, {}) == layout(plain)
