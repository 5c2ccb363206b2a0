import json
import math

import pytest
from hypothesis import given

from engine.flow.strict_json import parse_json
from tests.unit.json_values import json_values
from wfe_desktop.server.jsonio import encode_json


@given(json_values(30))
def test_what_is_written_is_read_back_the_same(value):
    assert parse_json(encode_json(value)) == value


def test_values_of_tools_that_orjson_cannot_write_are_written_all_the_same():
    assert json.loads(encode_json({"n": 2**70, "s": "\ud800"})) == {"n": 2**70, "s": "\ud800"}
    with pytest.raises(ValueError, match="JSON compliant"):
        encode_json({"n": 2**70, "x": math.nan})
