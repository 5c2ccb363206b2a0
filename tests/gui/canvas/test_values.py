"""What the canvas writes: values beside ports, durations, the edges that ports stand for."""

import pytest

from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from engine.model.tool import PortType
from wfe_desktop.canvas.spec import (
    ERROR_OUT,
    FLOW_IN,
    FLOW_OUT,
    PendingWire,
    describe_graph,
    given_text,
    make_edge,
    preview,
)
from wfe_desktop.canvas.style import format_duration


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("short", '"short"'),
        ("two\nlines", '"two\\nlines"'),
        (70, "70"),
        (True, "true"),
        (None, "null"),
        ([1, 2], "[1, 2]"),
        ({"a": [1], "b": "x"}, '{"a": [1], "b": "x"}'),
        ({}, "{}"),
    ],
)
def test_a_literal_is_shown_as_json(value, text):
    assert given_text(NodeDefinition(id="n", function_name="f", parameters={"p": value}), "p") == text


def test_an_expression_goes_before_a_literal_and_nothing_shows_nothing():
    node = NodeDefinition(id="n", function_name="f", parameters={"p": 1}, bindings={"p": "state.a  +\n 1"})
    assert given_text(node, "p") == "state.a + 1"
    assert given_text(node, "q") == ""


def test_a_huge_value_costs_only_its_beginning():
    huge = {"rows": [{"text": "x" * 1_000_000, "more": list(range(100_000))} for _ in range(1_000)]}
    assert len(preview(huge, 160)) < 600
    assert preview([[[["deep"]]]], 160) == '[[[["deep"]]]]'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0004, "0 ms"),
        (0.002, "2 ms"),
        (0.184, "184 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (1.2, "1.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1m 00s"),
        (125, "2m 05s"),
        (3661, "1h 01m"),
    ],
)
def test_a_duration_is_short(seconds, text):
    assert format_duration(seconds) == text


def test_ports_stand_for_the_parts_of_an_edge(graph, catalog):
    wire = EdgeDefinition(from_node="gate", to_node="suggest", from_port="score", to_port="limit")
    failure = EdgeDefinition(from_node="gate", to_node="suggest", kind="error")
    shown = describe_graph(graph.model_copy(update={"edges": (wire, failure)}), catalog)
    assert [(edge.source_port, edge.target_port) for edge in shown.edges.values()] == [
        ("score", "limit"),
        (ERROR_OUT, FLOW_IN),
    ]
    assert shown.edges[wire.key].type is PortType.NUMBER
    assert make_edge("gate", "score", "suggest", "limit") == wire
    assert make_edge("gate", ERROR_OUT, "suggest", FLOW_IN) == failure
    assert make_edge("gate", "result", "suggest", "limit").from_port is None


def test_without_an_entry_every_node_without_incoming_edges_is_one(graph, catalog):
    free = graph.model_copy(update={"entry_point": None, "edges": graph.edges[1:2]})
    shown = describe_graph(free, catalog).nodes
    assert [node_id for node_id, node in shown.items() if node.is_entry] == ["analyze", "gate"]


def test_parameters_a_tool_does_not_know_have_ports_too(catalog):
    node = NodeDefinition(id="n", function_name="suggest", parameters={"other": 1})
    shown = describe_graph(GraphDefinition(name="g", nodes=(node,)), catalog).nodes["n"]
    assert [(port.name, port.hint) for port in shown.inputs] == [("limit", ""), ("other", "1")]


def test_a_wire_pulled_from_an_input_ends_at_an_output_that_fits(catalog):
    wire = PendingWire("suggest", "limit", is_output=False, type=PortType.NUMBER)
    assert wire.edge_for("new", catalog["gate"]) == EdgeDefinition(
        from_node="new", to_node="suggest", from_port="score", to_port="limit"
    )
    flow = PendingWire("suggest", FLOW_IN, is_output=False)
    assert flow.edge_for("new", catalog["gate"]) == EdgeDefinition(from_node="new", to_node="suggest")
    out = PendingWire("gate", FLOW_OUT, is_output=True)
    assert out.edge_for("new", catalog["suggest"]) == EdgeDefinition(from_node="gate", to_node="new")
