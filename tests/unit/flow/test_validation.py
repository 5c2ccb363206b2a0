import time
from typing import Literal, NamedTuple

import pytest

from engine.flow.validation import check_runnable, graph_reads, parse_graph, validate_graph
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from engine.model.tool import PortType
from engine.tools.registry import ToolRegistry


class Stats(NamedTuple):
    mean: float
    label: str


def read_text(path: str, limit: int = 10) -> str:
    return path


def count(text: str) -> int:
    return len(text)


def measure(numbers: list[float], mode: Literal["fast", "exact"] = "fast") -> Stats:
    return Stats(0.0, mode)


def anything(**kwargs):
    return kwargs


def change(state: dict, amount: int) -> dict:
    return {"total": amount}


def change_unknown(state: dict) -> dict:
    return {}


@pytest.fixture(scope="module")
def tools():
    registry = ToolRegistry()
    for function in (read_text, count, measure, anything, change_unknown):
        registry.register_tool(function.__name__, function)
    registry.register_tool("change", change, state_reads=("total",), state_writes=("total",))
    return registry.list_tools()


def node(name, tool="anything", **fields):
    return NodeDefinition(id=name, function_name=tool, **fields)


def edge(start, end, condition=None, **fields):
    return EdgeDefinition(from_node=start, to_node=end, condition=condition, **fields)


def wire(start, end, to_port, condition=None, from_port=None):
    return edge(start, end, condition, to_port=to_port, from_port=from_port)


def graph(nodes, edges=(), **fields):
    made = [node(name) if isinstance(name, str) else name for name in nodes]
    return GraphDefinition(name="g", nodes=made, edges=list(edges), **fields)


def problems(nodes, edges=(), tools=None, **fields):
    return validate_graph(graph(nodes, edges, **fields), tools)


def codes(found):
    return [problem.code for problem in found]


def only(found):
    assert len(found) == 1, [problem.message for problem in found]
    return found[0]


def test_a_sound_graph_has_no_problems(tools):
    found = problems(
        [
            node("read", "read_text", parameters={"path": "a", "limit": 5}),
            node("count", "count"),
            "high",
            "low",
            "end",
        ],
        [
            wire("read", "count", "text"),
            edge("count", "high", "result > 5"),
            edge("count", "low", "else"),
            edge("high", "end"),
            edge("low", "end"),
        ],
        tools,
    )
    assert found == []


def test_a_graph_without_nodes_may_be_kept_but_not_run():
    found = only(problems([]))
    assert (found.code, found.is_error) == ("empty-graph", False)
    assert codes(check_runnable(graph([]), {})) == ["empty-graph"]


def test_ids_must_differ():
    found = only(problems(["a", "a"]))
    assert found.is_error
    assert found.node_id == "a"
    assert found.message == '2 nodes have the id "a"; ids must differ'


def test_an_edge_to_nowhere_names_the_closest_node():
    found = only(problems(["analyze", "report"], [edge("analyze", "reprot")]))
    assert (found.edge, found.field, found.is_error) == (0, "to_node", True)
    assert found.message == 'edge analyze -> reprot: there is no node "reprot"; did you mean "report"?'


def test_an_edge_that_is_there_twice_is_joined_with_or():
    found = only(problems(["a", "b"], [edge("a", "b", "state.x"), edge("a", "b", "state.y")]))
    assert found.is_error
    assert found.message.endswith("join the conditions with 'or'")
    assert problems(["a", "b"], [edge("a", "b"), wire("a", "b", "x"), wire("a", "b", "y")]) == []
    assert codes(problems(["a", "b"], [wire("a", "b", "x"), wire("a", "b", "x", from_port="result")])) == [
        "duplicate-edge"
    ]


def test_an_unknown_entry_names_the_closest_node():
    found = only(problems(["start", "b"], [edge("start", "b")], entry_point="strat"))
    assert found.field == "entry_point"
    assert 'did you mean "start"?' in found.message


def test_a_graph_with_nowhere_to_start_says_what_to_do():
    found = only(problems(["a", "b"], [edge("a", "b"), edge("b", "a", "state.x")]))
    assert found.code == "no-entry"
    assert "choose the node to start at (entry_point)" in found.message


def test_nodes_that_never_run_are_pointed_out():
    found = only(problems(["a", "b", "c"], [edge("a", "b")], entry_point="a"))
    assert (found.code, found.node_id, found.is_error) == ("unreachable", "c", False)


def test_a_loop_with_two_doors_is_an_error():
    found = only(
        problems(["s", "a", "b"], [edge("s", "a"), edge("s", "b"), edge("a", "b"), edge("b", "a", "state.x")])
    )
    assert (found.code, found.is_error) == ("irreducible-loop", True)


def test_a_loop_that_cannot_end_is_pointed_out():
    loop = [edge("a", "b"), edge("b", "c"), edge("c", "b"), edge("c", "d", "state.x")]
    assert only(problems(["a", "b", "c", "d"], loop)).code == "endless-loop"
    assert problems(["a", "b", "c", "d"], loop, exit_conditions=["state.x"]) == []
    conditional = [edge("a", "b"), edge("b", "c", "state.y"), edge("c", "b"), edge("b", "d", "else")]
    assert problems(["a", "b", "c", "d"], conditional) == []


def test_leaving_a_loop_without_condition_is_pointed_out():
    found = only(
        problems(
            ["a", "b", "c"], [edge("a", "b"), edge("b", "a", "state.x"), edge("b", "c")], entry_point="a"
        )
    )
    assert (found.code, found.edge) == ("unconditional-exit", 2)
    assert "once, when the loop has ended" in found.message


def test_else_alone_is_pointed_out():
    found = only(problems(["a", "b"], [edge("a", "b", "else")]))
    assert (found.code, found.is_error) == ("else-alone", False)
    two = [edge("a", "b", "state.x"), edge("a", "c", "else"), edge("a", "d", " else ")]
    assert problems(["a", "b", "c", "d"], two) == []


def test_ports_belong_together():
    found = only(problems(["a", "b"], [edge("a", "b", from_port="result")]))
    assert (found.code, found.is_error) == ("half-wire", True)


def test_a_node_that_feeds_itself_needs_a_condition():
    start = [edge("s", "a")]
    assert "self-wire" in codes(problems(["s", "a"], [*start, wire("a", "a", "x")]))
    assert problems(["s", "a"], [*start, wire("a", "a", "x", "visit < 3")]) == []


def test_a_failed_step_has_no_result_to_hand_over():
    assert only(problems(["a", "b"], [edge("a", "b", kind="error", to_port="x")])).code == "error-wire"


def test_a_join_cannot_wait_for_more_edges_than_there_are():
    nodes = ["a", "b", node("c", join=3)]
    found = only(problems(nodes, [edge("a", "c"), edge("b", "c")]))
    assert (found.code, found.node_id, found.is_error) == ("join-count", "c", True)
    assert "only 2 edges" in found.message


def test_policies_without_effect_are_pointed_out():
    assert only(problems([node("a", default_result=0)])).code == "unused-default"
    assert problems([node("a", on_error="continue", default_result=0)]) == []
    found = only(problems([node("a", on_error="continue"), "b"], [edge("a", "b", kind="error")]))
    assert found.code == "unused-continue"


def test_values_that_are_no_json_are_errors():
    found = only(problems([node("a", parameters={"x": {"y": [float("nan")]}})]))
    assert (found.code, found.field, found.is_error) == ("not-json", "parameters.x", True)


@pytest.mark.parametrize(
    ("fields", "field", "edge_number"),
    [
        ({"nodes": [node("a", bindings={"x": "state.("})]}, "bindings.x", None),
        ({"nodes": [node("a", bindings={"x": "item.y"})]}, "bindings.x", None),
        ({"nodes": [node("a", bindings={"x": "result"})]}, "bindings.x", None),
        ({"nodes": ["a", "b"], "edges": [edge("a", "b", "state.x >")]}, "condition", 0),
        ({"nodes": ["a"], "exit_conditions": ["visit > 1", "__import__('os')"]}, "exit_conditions.1", None),
    ],
)
def test_an_expression_that_is_wrong_is_shown_at_its_field(fields, field, edge_number):
    found = only(problems(**fields))
    assert (found.code, found.field, found.edge, found.is_error) == (
        "bad-expression",
        field,
        edge_number,
        True,
    )
    assert "cannot read" in found.message


def test_an_expression_about_an_unknown_step_names_the_closest():
    found = only(problems(["gate", "b"], [edge("gate", "b", "steps.gat.result.x > 1")]))
    assert (found.code, found.is_error) == ("unknown-step", True)
    assert 'did you mean "gate"?' in found.message


def test_a_step_that_cannot_have_run_yet_is_pointed_out():
    nodes = ["a", node("b", bindings={"x": "steps.c.result"}), "c"]
    assert only(problems(nodes, [edge("a", "b"), edge("b", "c")])).code == "step-not-run"
    found = only(problems(["a", "b", "c"], [edge("a", "b", "steps.c.status == 'x'"), edge("b", "c")]))
    assert (found.code, found.edge) == ("step-not-run", 0)
    assert codes(problems([node("a", bindings={"x": "steps.a.visit"})])) == ["step-not-run"]
    loop = [edge("a", "b"), edge("b", "c"), edge("c", "b", "state.x")]
    assert problems(nodes, loop) == []
    beside = [edge("a", "b"), edge("a", "c"), edge("c", "d", "steps.b.visit > 0 or steps.a.visit")]
    assert problems(["a", "b", "c", "d"], beside) == []


def test_a_wire_that_undoes_a_condition_is_pointed_out():
    same = [edge("a", "b", "state.x"), wire("a", "b", "text")]
    found = only(problems(["a", "b"], same))
    assert (found.code, found.edge) == ("condition-outrun", 1)
    earlier = [edge("a", "b"), edge("b", "c", "state.x"), wire("a", "c", "text")]
    assert only(problems(["a", "b", "c"], earlier)).code == "condition-outrun"
    merge = [
        edge("a", "b", "state.x"),
        edge("a", "c", "else"),
        wire("b", "d", "x"),
        wire("c", "d", "x"),
        edge("a", "d", "state.y"),
    ]
    assert problems(["a", "b", "c", "d"], merge) == []


def test_parallel_writers_of_one_key_are_pointed_out():
    nodes = ["a", node("b", save_as="k"), node("c", save_as="k")]
    fork = [edge("a", "b"), edge("a", "c")]
    found = only(problems(nodes, fork))
    assert (found.code, found.is_error) == ("parallel-writes", False)
    assert problems(nodes, fork, reducers={"k": "append"}) == []
    assert problems(nodes, [edge("a", "b"), edge("b", "c")]) == []
    assert problems(nodes, [edge("a", "b", "state.x"), edge("a", "c", "else")]) == []
    assert problems(nodes, [edge("a", "b"), edge("a", "c", kind="error")]) == []


def test_what_follows_a_loop_is_not_parallel_to_it():
    nodes = ["h", node("b", save_as="k"), "t", node("after", save_as="k")]
    edges = [edge("h", "b"), edge("b", "t"), edge("t", "h", "state.x"), edge("h", "after", "state.y")]
    assert problems(nodes, edges, entry_point="h") == []


def test_declared_writes_of_tools_count(tools):
    nodes = [
        "a",
        node("b", "change", parameters={"amount": 1}),
        node("c", "change", parameters={"amount": 1}),
    ]
    assert codes(problems(nodes, [edge("a", "b"), edge("a", "c")], tools)) == ["parallel-writes"]


# ------------------------------------------------------------------------------------------------------- tools


def test_an_unknown_tool_is_a_warning_until_the_graph_is_run(tools):
    found = only(problems([node("a", "read_txt")], tools=tools))
    assert (found.code, found.is_error, found.node_id) == ("unknown-tool", False, "a")
    assert 'did you mean "read_text"?' in found.message
    assert only(check_runnable(graph([node("a", "read_txt")]), tools)).is_error
    assert check_runnable(graph(["a"]), tools) == []


def test_a_parameter_that_the_tool_does_not_have_is_an_error(tools):
    found = only(problems([node("a", "read_text", parameters={"pth": "x"})], tools=tools))
    assert (found.code, found.field) == ("unknown-parameter", "parameters.pth")
    assert 'did you mean "path"?' in found.message
    assert only(problems([node("a", "count", bindings={"txt": "1"})], tools=tools)).field == "bindings.txt"
    assert problems([node("a", "anything", parameters={"whatever": 1})], tools=tools) == []
    found = only(problems([node("a", "change_unknown", parameters={"state": {}})], tools=tools))
    assert "given by the run" in found.message


@pytest.mark.parametrize(
    ("tool", "parameters", "part"),
    [
        ("read_text", {"path": "x", "limit": "many"}, 'parameter "limit" takes a whole number, not "many"'),
        ("read_text", {"path": 5}, 'parameter "path" takes text, not 5'),
        ("read_text", {"path": "x", "limit": True}, "not true"),
        ("read_text", {"path": "x", "limit": 1.5}, "not 1.5"),
        ("measure", {"numbers": [1], "mode": "quick"}, 'takes one of "fast", "exact", not "quick"'),
        ("measure", {"numbers": [1, "x"]}, 'parameter "numbers" takes a list, not this list'),
        ("measure", {"numbers": {}}, "takes a list, not this object"),
        ("read_text", {"path": "x", "limit": "7"}, None),
        ("read_text", {"path": "x", "limit": 7.0}, None),
        ("measure", {"numbers": [1, 2.5, "3"]}, None),
    ],
)
def test_a_literal_must_fit_its_parameter(tools, tool, parameters, part):
    found = problems([node("a", tool, parameters=parameters)], tools=tools)
    if part is None:
        assert found == []
    else:
        assert only(found).is_error
        assert part in found[0].message


def test_wires_must_fit(tools):
    nodes = [node("a", "read_text", parameters={"path": "x"}), node("b", "measure"), node("c", "count")]
    found = only(problems(nodes, [wire("a", "b", "numbers")], tools))
    assert (found.code, found.is_error, found.edge) == ("type-mismatch", True, 0)
    assert found.message == 'edge a.result -> b.numbers: "a" gives text; "numbers" of "b" takes a list'
    assert problems(nodes, [wire("b", "c", "text", from_port="label")], tools) == []
    assert (
        'has no output "lable"; did you mean "label"?'
        in only(problems(nodes, [wire("b", "c", "text", from_port="lable")], tools)).message
    )
    assert (
        'has no parameter "txt"; did you mean "text"?'
        in only(problems(nodes, [wire("a", "c", "txt")], tools)).message
    )
    maybe = only(problems([*nodes, node("d", "read_text")], [wire("a", "d", "limit")], tools))
    assert (maybe.code, maybe.is_error) == ("type-mismatch", False)


# ------------------------------------------------------------------------------------------------- state reads


def reads(tools, nodes, edges=(), **fields):
    return graph_reads(graph(nodes, edges, **fields), tools)


def test_a_required_parameter_that_nothing_supplies_is_read_from_the_state(tools):
    found = reads(tools, [node("a", "read_text"), node("b", "count")], [wire("a", "b", "text")])
    assert list(found) == ["path"]
    assert (found["path"].type, found["path"].required, found["path"].nodes) == (PortType.TEXT, True, ("a",))
    assert found["path"].schema["type"] == "string"
    assert reads(tools, [node("a", "read_text", parameters={"path": "x"})]) == {}
    assert list(reads(tools, [node("a", "read_text", bindings={"path": "state.where"})])) == ["where"]
    assert (
        reads(tools, [node("a", "read_text", bindings={"path": "state.where"})])["where"].type
        is PortType.TEXT
    )


def test_what_was_written_before_is_not_asked_for(tools):
    first, second = node("a", parameters={"x": 1}, save_as="text"), node("b", "count")
    assert reads(tools, [first, second], [edge("a", "b")]) == {}
    assert reads(tools, [first, second])["text"].required
    maybe = reads(tools, ["s", first, second], [edge("s", "a", "visit > 1"), edge("s", "b"), edge("a", "b")])
    assert not maybe["text"].required
    assert reads(tools, ["s", first, second], [edge("s", "a"), edge("s", "b"), edge("a", "b")]) == {}


def test_a_tool_that_may_write_anything_makes_nothing_required(tools):
    found = reads(tools, [node("a", "change_unknown"), node("b", "count")], [edge("a", "b")])
    assert not found["text"].required


def test_conditions_and_exit_conditions_read_the_state(tools):
    found = reads(
        tools,
        [node("a", save_as="x"), "b"],
        [edge("a", "b", "state.x > state.least and state.get('extra')")],
        exit_conditions=["state.x > 1 and state.stop"],
    )
    assert {name: read.required for name, read in found.items()} == {
        "extra": False,
        "least": True,
        "stop": True,
    }


def test_a_wrong_graph_reads_nothing(tools):
    assert reads(tools, ["a"], [edge("a", "x")]) == {}


# ----------------------------------------------------------------------------------------------------- parsing


def test_parsing_a_right_graph_gives_it():
    made, found = parse_graph({"name": "g", "nodes": [{"id": "a", "function_name": "f", "join": 2}]})
    assert found == []
    assert made.nodes[0].join == 2
    assert parse_graph(made) == (made, [])


@pytest.mark.parametrize(
    ("data", "message", "place"),
    [
        (None, "the workflow must be an object, not null", {}),
        ([], "the workflow must be an object, not a list", {}),
        ({}, 'the workflow has no "name"', {"field": "name"}),
        ({"name": ""}, 'the workflow has an empty "name"', {"field": "name"}),
        ({"name": "a\nb"}, 'the workflow has line breaks or control characters in "name"', {"field": "name"}),
        (
            {"name": "g", "nmae": 1},
            'the workflow has an unknown field "nmae"; did you mean "name"?',
            {"field": "nmae"},
        ),
        (
            {"name": "g", "nodes": {}},
            'the workflow needs a list as "nodes", not an object',
            {"field": "nodes"},
        ),
        ({"name": "g", "nodes": [3]}, "node 1 must be an object, not 3", {"field": "nodes.0"}),
        (
            {"name": "g", "nodes": [{"id": "a"}]},
            'node "a" has no "function_name"',
            {"node_id": "a", "field": "function_name"},
        ),
        ({"name": "g", "nodes": [{"function_name": "f"}]}, 'node 1 has no "id"', {"field": "nodes.0.id"}),
        (
            {"name": "g", "nodes": [{"id": "a", "function_name": "f", "join": "some"}]},
            'node "a" needs "all", "any" or a whole number from 1 to 10,000 as "join", not "some"',
            {"node_id": "a", "field": "join"},
        ),
        (
            {"name": "g", "nodes": [{"id": "a", "function_name": "f", "on_error": "stop"}]},
            'node "a" needs "fail" or "continue" as "on_error", not "stop"',
            {"node_id": "a", "field": "on_error"},
        ),
        (
            {"name": "g", "edges": [{"from_node": "a", "to_node": "b", "kind": "maybe"}]},
            'edge 1 (a -> b) needs "success" or "error" as "kind", not "maybe"',
            {"edge": 0, "field": "kind"},
        ),
        (
            {"name": "g", "nodes": [{"id": "a", "function_name": "f", "bindings": {"x": 5}}]},
            'node "a" needs text as "bindings.x", not 5',
            {"node_id": "a", "field": "bindings.x"},
        ),
        (
            {"name": "g", "nodes": [{"id": "a", "function_name": "f", "retry": {"max_attempt": 3}}]},
            'node "a" has an unknown field "retry.max_attempt"; did you mean "max_attempts"?',
            {"node_id": "a", "field": "retry.max_attempt"},
        ),
        (
            {"name": "g", "nodes": [{"id": "a", "function_name": "f", "retry": {"delay_s": "soon"}}]},
            'node "a" needs a number as "retry.delay_s", not "soon"',
            {"node_id": "a", "field": "retry.delay_s"},
        ),
        (
            {"name": "g", "max_steps": 0},
            'the workflow needs a number of at least 1 as "max_steps", not 0',
            {"field": "max_steps"},
        ),
        (
            {"name": "g", "exit_conditions": ["x" * 3000]},
            'the workflow has too long a text as "exit_conditions" (1): at most 2,000 characters',
            {"field": "exit_conditions.0"},
        ),
    ],
)
def test_what_is_wrong_with_the_form_is_a_sentence(data, message, place):
    made, found = parse_graph(data)
    assert made is None
    problem = only(found)
    assert problem.message == message
    assert problem.is_error
    shown = problem.to_dict()
    assert {key: shown[key] for key in shown if key in ("node_id", "edge", "field")} == place


def test_every_fault_of_the_form_is_found_at_once():
    _, found = parse_graph({"nodes": [{"id": 1}, {"id": "b", "x": 1}], "edges": [{}], "max_steps": []})
    assert len(found) == 8
    _, found = parse_graph({"name": "g", "nodes": [{} for _ in range(1_000)]})
    assert len(found) == 201
    assert "and 1800 more" in found[-1].message


def test_five_thousand_nodes_are_checked_in_a_moment(tools):
    nodes = [node(f"n{number}", save_as=f"k{number}") for number in range(5_000)]
    edges = [
        edge(f"n{number - step}", f"n{number}", f"state.k{number - step} > 1" if step == 7 else None)
        for number in range(60, 5_000)
        for step in (7, 50)
    ]
    big = graph(nodes, edges)
    start = time.process_time()
    validate_graph(big, tools)
    graph_reads(big, tools)
    assert time.process_time() - start < 4  # about 0.7 s on a quiet machine
