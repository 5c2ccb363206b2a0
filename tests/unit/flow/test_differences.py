from engine.flow.differences import FieldChange, compare_graphs
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition

BEFORE = GraphDefinition(
    name="G",
    nodes=(
        NodeDefinition(id="a", function_name="f", parameters={"x": 1}),
        NodeDefinition(id="b", function_name="g"),
        NodeDefinition(id="c", function_name="h"),
    ),
    edges=(
        EdgeDefinition(from_node="a", to_node="b"),
        EdgeDefinition(from_node="a", to_node="c", condition="state.x > 1"),
    ),
)


def test_a_graph_does_not_differ_from_itself_in_another_order():
    found = compare_graphs(
        BEFORE, BEFORE.model_copy(update={"nodes": BEFORE.nodes[::-1], "edges": BEFORE.edges[::-1]})
    )
    assert not any(
        [found.nodes_added, found.nodes_removed, found.nodes_changed, found.fields, found.layout_changed]
    )
    assert not any([found.edges_added, found.edges_removed, found.edges_changed])


def test_what_was_added_removed_and_changed_is_told_with_both_values():
    added = NodeDefinition(id="d", function_name="k")
    after = BEFORE.model_copy(
        update={
            "name": "H",
            "nodes": (BEFORE.nodes[0].model_copy(update={"parameters": {"x": 2}}), BEFORE.nodes[2], added),
            "edges": (
                BEFORE.edges[1].model_copy(update={"condition": "else"}),
                EdgeDefinition(from_node="c", to_node="d"),
            ),
            "ui": {"nodes": {"a": {"x": 1, "y": 2}}},
        }
    )
    found = compare_graphs(BEFORE, after)
    assert found.nodes_added == (added,)
    assert [node.id for node in found.nodes_removed] == ["b"]
    [node] = found.nodes_changed
    assert (node.id, node.fields) == ("a", {"parameters": FieldChange({"x": 1}, {"x": 2})})
    assert [edge.describe() for edge in found.edges_added] == ["c -> d"]
    assert [edge.describe() for edge in found.edges_removed] == ["a -> b"]
    [edge] = found.edges_changed
    assert edge.edge.describe() == "a -> c"
    assert edge.fields == {"condition": FieldChange("state.x > 1", "else")}
    assert found.fields == {"name": FieldChange("G", "H")}
    assert found.layout_changed
