"""A number in a graph is a number: what the schema says is what is taken."""

import json

import pytest
from pydantic import ValidationError

from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition, RetryPolicy

REQUIRED = {"id": "a", "function_name": "f", "name": "G", "from_node": "a", "to_node": "b"}


def numbers():
    """Every field that takes a number."""
    for model in (GraphDefinition, NodeDefinition, EdgeDefinition, RetryPolicy):
        for name, schema in model.model_json_schema()["properties"].items():
            if '"type": "integer"' in (text := json.dumps(schema)) or '"type": "number"' in text:
                yield model, name


def make(model, name, value):
    required = {key: REQUIRED[key] for key, field in model.model_fields.items() if field.is_required()}
    is_object = model.model_json_schema()["properties"][name].get("type") == "object"
    return model.model_validate({**required, name: {"x": value} if is_object else value})


@pytest.mark.parametrize("value", ["1", "1.0", True, False])
@pytest.mark.parametrize(
    ("model", "name"), [pytest.param(*each, id=f"{each[0].__name__}.{each[1]}") for each in numbers()]
)
def test_neither_a_text_nor_true_or_false_is_taken_for_a_number(model, name, value):
    assert getattr(make(model, name, 1), name) in (1, {"x": 1})
    with pytest.raises(ValidationError):
        make(model, name, value)
