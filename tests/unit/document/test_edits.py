import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from tests.unit.document.helpers import make_catalog, make_graph
from wfe_desktop.document import edits
from wfe_desktop.document.edits import GraphEditError
from wfe_desktop.document.names import make_id, make_unique, node_title, rename_steps

CATALOG = make_catalog()


def edge(from_node: str, to_node: str, **more: str) -> EdgeDefinition:
    return EdgeDefinition(from_node=from_node, to_node=to_node, **more)


# ------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("function_name", "node_id"),
    [
        ("code.analyze", "analyze"),
        ("readFile", "read_file"),
        ("math-operation", "math_operation"),
        ("2nd", "step_2nd"),
        ("if", "if_step"),
        ("…", "step"),
        ("größe", "größe"),
    ],
)
def test_an_id_is_made_from_the_tools_name(function_name, node_id):
    assert make_id(function_name) == node_id


def test_a_taken_name_is_counted_on():
    assert make_unique("a", {"a"}) == "a_2"
    assert make_unique("a_2", {"a_2", "a"}) == "a_3"
    assert make_unique("b", {"a"}) == "b"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("steps.a.result > 3", "steps.b.result > 3"),
        ("steps . a . result", "steps.b . result"),
        ('steps["a"].result + steps.ab.result', "steps.b.result + steps.ab.result"),
        ("'steps.a' == state.a", "'steps.a' == state.a"),
        ("'ü' == steps.a.result and steps.a.status", "'ü' == steps.b.result and steps.b.status"),
        ("(steps.a.result,\n steps.a.error)", "(steps.b.result,\n steps.b.error)"),
        ("  steps.a.result", "  steps.b.result"),
        ("steps.a.", "steps.a."),
        ("x.steps.a", "x.steps.a"),
    ],
)
def test_renaming_a_step_touches_nothing_else_of_an_expression(before, after):
    assert rename_steps(before, {"a": "b"}) == after


def test_an_id_that_is_no_name_is_written_in_brackets():
    assert rename_steps("steps.a.result", {"a": "my step"}) == "steps['my step'].result"
    assert (
        rename_steps("steps.a.result + steps.b.result", {"a": "b", "b": "a"})
        == "steps.b.result + steps.a.result"
    )


# ------------------------------------------------------------------------------------------------ nodes


def test_adding_a_tool_twice_gives_two_ids_and_a_numbered_label():
    graph, first = edits.add_node(GraphDefinition(name="x"), "code.suggest", 1.23, 4, CATALOG)
    graph, second = edits.add_node(graph, "code.suggest", 5, 6, CATALOG)
    assert (first, second) == ("suggest", "suggest_2")
    assert [node_title(node, CATALOG) for node in graph.nodes] == ["Suggest fixes", "Suggest fixes 2"]
    assert edits.node_positions(graph) == {"suggest": (1.2, 4.0), "suggest_2": (5.0, 6.0)}


def test_an_edit_does_not_change_the_graph_it_was_given():
    graph = make_graph()
    before = graph.model_dump_json()
    edits.set_parameter(graph, "read", "path", "b.py")
    edits.move(graph, {"read": (9, 9)})
    edits.remove(graph, ["suggest"])
    edits.rename_node(graph, "read", "load")
    assert graph.model_dump_json() == before


def test_removing_a_node_takes_its_edges_its_place_and_the_entry_with_it():
    graph = edits.remove(make_graph(), ["read"])
    assert [node.id for node in graph.nodes] == ["suggest", "count"]
    assert [e.describe() for e in graph.edges] == ["suggest -> count"]
    assert graph.entry_point is None
    assert graph.ui == {"nodes": {"suggest": {"x": 300.0, "y": 10.0}}, "viewport": {"zoom": 1}}


def test_removing_what_is_not_there_changes_nothing():
    graph = make_graph()
    assert edits.remove(graph, ["nobody"], [("a", "b", "success", None, None)]) is graph


def test_renaming_a_node_rewrites_all_that_names_it():
    graph = edits.rename_node(make_graph(), "read", "load")
    assert graph.nodes[0].id == graph.entry_point == "load"
    assert graph.nodes[1].bindings == {"note": "steps.load.result"}
    assert graph.edges[0].condition == "len(steps.load.result) > 3"
    assert graph.edges[2].describe() == "load.result -> suggest.note"
    assert graph.exit_conditions == ("steps.load.status == 'failed'",)
    assert "load" in edits.node_positions(graph)
    assert edits.rename_node(graph, "load", "read").model_dump() == {
        **make_graph().model_dump(),
        "exit_conditions": ("steps.read.status == 'failed'",),
    }


def test_an_edit_that_changes_nothing_gives_the_same_graph():
    graph = make_graph()
    assert edits.set_parameter(graph, "read", "path", "a.py") is graph
    assert edits.unset_parameter(graph, "read", "nothing") is graph
    assert edits.set_graph_field(graph, "name", "Sample") is graph
    assert edits.move(graph, {"read": (0, 0)}) is graph


def test_one_and_true_are_different_values():
    graph = edits.set_parameter(make_graph(), "count", "n", 1)
    changed = edits.set_parameter(graph, "count", "n", True)
    assert changed.nodes[2].parameters["n"] is True
    assert not edits.same_graph(graph, changed)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda g: edits.set_parameter(g, "nobody", "x", 1), 'There is no node "nobody".'),
        (lambda g: edits.rename_node(g, "read", "count"), 'Another node already has the id "count".'),
        (lambda g: edits.rename_node(g, "read", ""), "The id must not be empty."),
        (lambda g: edits.set_node_field(g, "read", "join", 0), 'Join must be "all", "any" or a number from 1 to 10,000.'),
        (lambda g: edits.set_node_field(g, "read", "save_as", "a\nb"), "The state key must be a single line of text."),
        (lambda g: edits.set_node_field(g, "read", "label", "x" * 201), "The label must not be longer than 200 characters."),
        (lambda g: edits.set_node_field(g, "read", "id", "y"), 'A node has no field "id" that can be set.'),
        (lambda g: edits.set_binding(g, "read", "path", "x" * 2001), "An expression must not be longer than 2000 characters."),
        (lambda g: edits.set_graph_field(g, "name", ""), "The name must not be empty."),
        (lambda g: edits.set_graph_field(g, "max_steps", 0), "The limit of steps must be at least 1."),
        (lambda g: edits.set_graph_field(g, "max_steps", "many"), "The limit of steps must be a whole number."),
        (lambda g: edits.move(g, {"read": (float("nan"), 0)}), "A node's position must be a finite number."),
        (lambda g: edits.set_entry(g, "nobody"), 'There is no node "nobody".'),
        (lambda g: edits.paste(g, edits.Fragment(()), (0, 0)), "There are no nodes to paste."),
    ],
)  # fmt: skip
def test_a_refused_edit_says_why(edit, sentence):
    with pytest.raises(GraphEditError) as refusal:
        edit(make_graph())
    assert str(refusal.value) == sentence


# ------------------------------------------------------------------------------------------------ edges


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (edge("read", "nobody"), 'There is no node "nobody".'),
        (edge("suggest", "count"), '"Suggest fixes" and "Count" are already connected.'),
        (edge("read", "suggest", to_port="note"), '"note" is already wired to this output of "Read file".'),
        (edge("read", "suggest", to_port="limit"), '"Read file" gives text; "limit" takes a number.'),
        (edge("read", "suggest", to_port="nothing"), '"Suggest fixes" has no parameter "nothing".'),
        (edge("read", "suggest", from_port="lines", to_port="note"), '"Read file" has no output "lines".'),
        (edge("read", "read", to_port="path"), '"Read file" cannot hand its own result to itself.'),
        (
            edge("read", "suggest", from_port="result"),
            'Connect the output "result" to a parameter of "Suggest fixes".',
        ),
        (
            edge("read", "suggest", kind="error", to_port="note"),
            "An error edge hands nothing over; connect it to the header of the node.",
        ),
    ],
)
def test_a_connection_is_refused_in_the_users_words(wanted, sentence):
    with pytest.raises(GraphEditError) as refusal:
        edits.check_connect(make_graph(), wanted, CATALOG)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    "wanted",
    [
        edge("count", "read"),  # a loop
        edge("count", "count"),  # a loop of one step
        edge("read", "suggest", kind="error"),
        edge("suggest", "count", to_port="whatever"),  # the tool takes any parameter
        edge("suggest", "read", from_port="result", to_port="path"),
    ],
)
def test_what_fits_can_be_connected(wanted):
    if wanted.to_port == "path":
        with pytest.raises(GraphEditError, match='"Suggest fixes" gives an object; "path" takes text'):
            edits.connect(make_graph(), wanted, CATALOG)
    else:
        assert edits.connect(make_graph(), wanted, CATALOG).edges[-1] is wanted


def test_a_node_of_a_lost_tool_can_still_be_wired():
    graph = edits.set_node_field(make_graph(), "count", "function_name", "gone")
    assert edits.connect(graph, edge("read", "count", to_port="x"), CATALOG).edges[-1].to_port == "x"


def test_a_loop_with_two_entries_is_refused_with_the_engines_sentence():
    graph = GraphDefinition(
        name="x",
        nodes=tuple(NodeDefinition(id=i, function_name="count") for i in "sab"),
        edges=(edge("s", "a"), edge("s", "b"), edge("a", "b")),
        entry_point="s",
    )
    with pytest.raises(GraphEditError) as refusal:
        edits.check_connect(graph, edge("b", "a"), CATALOG)
    assert "loop" in str(refusal.value)
    assert "a" in str(refusal.value)


def test_a_graph_that_has_a_bad_loop_already_stays_editable():
    graph = GraphDefinition(
        name="x",
        nodes=tuple(NodeDefinition(id=i, function_name="count") for i in "sabz"),
        edges=(edge("s", "a"), edge("s", "b"), edge("a", "b"), edge("b", "a")),
        entry_point="s",
    )
    assert len(edits.connect(graph, edge("b", "z"), CATALOG).edges) == 5


def test_changing_an_edge_is_checked_like_a_new_one():
    graph = make_graph()
    changed, key = edits.change_edge(
        graph, ("suggest", "count", "success", None, None), CATALOG, kind="error"
    )
    assert key == ("suggest", "count", "error", None, None)
    assert changed.edges[1].kind == "error"
    with pytest.raises(GraphEditError, match="takes a number"):
        edits.change_edge(graph, ("read", "suggest", "success", None, "note"), CATALOG, to_port="limit")


def test_a_condition_is_kept_as_typed_even_when_it_is_not_finished():
    graph = edits.set_condition(make_graph(), ("suggest", "count", "success", None, None), "state.x >")
    assert graph.edges[1].condition == "state.x >"
    assert edits.set_condition(graph, graph.edges[1].key, "").edges[1].condition is None


# ------------------------------------------------------------------------------------------------ copy and paste


def test_a_paste_keeps_inner_edges_and_renames_inside_expressions():
    graph = make_graph()
    fragment = edits.copy_fragment(graph, ["read", "suggest"])
    pasted, ids = edits.paste(graph, fragment, (1000, 500))
    assert ids == ["read_2", "suggest_2"]
    assert [e.describe() for e in pasted.edges[3:]] == [
        "read_2 -> suggest_2",
        "read_2.result -> suggest_2.note",
    ]
    assert pasted.edges[3].condition == "len(steps.read_2.result) > 3"
    assert pasted.find_node("suggest_2").bindings == {"note": "steps.read_2.result"}
    assert edits.node_positions(pasted)["suggest_2"] == (1300.0, 510.0)


def test_pasting_into_an_empty_graph_keeps_the_ids():
    fragment = edits.copy_fragment(make_graph(), ["read", "suggest", "count"])
    pasted, ids = edits.paste(GraphDefinition(name="other"), fragment, (0, 0))
    assert ids == ["read", "suggest", "count"]
    assert pasted.edges == make_graph().edges


@given(
    st.lists(st.sampled_from(["a", "a_2", "b", "steps", "a_3"]), unique=True, min_size=1), st.integers(1, 4)
)
def test_ids_stay_unique_however_often_is_pasted(ids, times):
    graph = GraphDefinition(name="x", nodes=tuple(NodeDefinition(id=i, function_name="f") for i in ids))
    for _ in range(times):
        graph, pasted = edits.paste(graph, edits.copy_fragment(graph, ids), (0, 0))
        assert len(pasted) == len(ids)
    found = [node.id for node in graph.nodes]
    assert len(set(found)) == len(found) == len(ids) * (times + 1)


# ------------------------------------------------------------------------------------------------ big graphs


def test_an_edit_of_a_big_graph_is_quick():
    count = 5_000
    graph = GraphDefinition(
        name="big",
        nodes=tuple(NodeDefinition(id=f"n{i}", function_name="count") for i in range(count)),
        edges=tuple(edge(f"n{i}", f"n{i + 1}") for i in range(count - 1)),
        ui={"nodes": {f"n{i}": {"x": float(i), "y": 0.0} for i in range(count)}},
    )
    edits_to_time = [
        lambda: edits.set_parameter(graph, "n4999", "x", 1),
        lambda: edits.set_condition(graph, ("n4990", "n4991", "success", None, None), "state.x"),
        lambda: edits.move(graph, {"n2500": (5, 5)}),
    ]
    for edit in edits_to_time:
        took = []
        for _ in range(5):
            start = time.perf_counter()
            edit()
            took.append(time.perf_counter() - start)
        assert min(took) < 0.005
