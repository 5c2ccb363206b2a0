"""A graph is an immutable value; what equal ones share shows nowhere."""

import copy
import pickle

from engine.model.graph import GraphDefinition, NodeDefinition


def test_nodes_that_were_given_the_same_fields_share_their_names_and_a_copy_has_its_own():
    first = NodeDefinition(id="a", function_name="f")
    second = NodeDefinition.model_validate({"function_name": "g", "id": "b"})
    assert first.model_fields_set is second.model_fields_set

    changed = first.model_copy(update={"label": "A"})
    assert changed.model_fields_set == {"id", "function_name", "label"}
    assert first.model_fields_set == second.model_fields_set == {"id", "function_name"}
    assert first.model_dump(exclude_unset=True) == {"id": "a", "function_name": "f"}


def test_a_graph_is_the_same_after_copying_pickling_and_json():
    graph = GraphDefinition(name="G", nodes=(NodeDefinition(id="a", function_name="f", save_as="x"),))
    for again in (
        copy.deepcopy(graph),
        pickle.loads(pickle.dumps(graph)),
        GraphDefinition.model_validate_json(graph.model_dump_json(exclude_unset=True)),
    ):
        assert again == graph
        assert again.nodes[0].model_fields_set == {"id", "function_name", "save_as"}
