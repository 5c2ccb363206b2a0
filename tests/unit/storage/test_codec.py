"""Events as rows and back."""

import dataclasses
from typing import NamedTuple, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DatabaseError
from engine.model.events import RunAccepted, RunEvent, StepCompleted
from engine.model.graph import Durability
from engine.storage.codec import LARGE_BYTES, decode_event, encode_event
from tests.unit.json_values import json_values

counts = st.integers(0, 2**40)
fields = {
    "int": counts,
    "int | None": st.none() | counts,
    "str": st.text(max_size=8),
    "str | None": st.none() | st.text(max_size=8),
    "bool": st.booleans(),
    "Durability": st.sampled_from(get_args(Durability)),
    "Any": json_values(),
    "dict[str, Any] | None": st.none() | st.dictionaries(st.text(max_size=4), json_values(), max_size=3),
    "dict[str, int]": st.dictionaries(st.text(max_size=4), counts, max_size=3),
    "dict[str, Any]": st.dictionaries(st.text(max_size=4), json_values(), max_size=3),
    "tuple[str, ...]": st.lists(st.text(max_size=4), max_size=3).map(tuple),
    "tuple[int, ...]": st.lists(counts, max_size=3).map(tuple),
}
events = st.one_of(
    *(
        st.builds(kind, **{field.name: fields[str(field.type)] for field in dataclasses.fields(kind)})
        for kind in get_args(RunEvent)
    )
)


class Row(NamedTuple):
    type: str
    data: bytes
    stored: bytes | None
    values: dict[str, bytes] | None


def there_and_back(event):
    row = Row(*encode_event(event))
    return row, decode_event(row.type, row.data, row.stored, (row.values or {}).__getitem__)


@given(events)
def test_every_event_comes_back_as_it_was(event):
    assert there_and_back(event)[1] == event


def test_a_large_value_is_stored_once_by_its_content():
    text = "x" * LARGE_BYTES
    event = StepCompleted(1, "a", 1, 1, result={"text": text}, changes={"copy": {"text": text}, "small": 1})
    row, back = there_and_back(event)
    assert back == event
    assert len(row.values) == 1
    assert len(row.data) < 1_000


def test_many_small_keys_that_are_large_together_are_stored_apart_too():
    event = RunAccepted(1, "g", 1, "n", {f"key {number}": "x" * 1_000 for number in range(400)})
    row, back = there_and_back(event)
    assert back == event
    assert len(row.data) < 1_000


def test_an_event_of_a_newer_program_is_refused_by_name():
    with pytest.raises(DatabaseError, match="StepTeleported"):
        decode_event("StepTeleported", orjson.dumps({"at": 1}), None, lambda _: b"")
