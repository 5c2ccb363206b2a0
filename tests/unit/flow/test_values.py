"""What can be kept, and what becomes of it."""

import dataclasses
import enum
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from pydantic import BaseModel

from engine.errors import ResultError
from engine.flow.values import copy_json, same_json, to_json
from tests.unit.json_values import json_values


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Box:
    corner: Point
    name: str


class Model(BaseModel):
    when: date


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"\x00\xff", "AP8="),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00+00:00"),
        (timedelta(seconds=1.5), 1.5),
        (Path("a/b"), "a/b"),
        (Decimal("1.10"), "1.10"),
        ({3, 1, 2}, [1, 2, 3]),
        ((1, "a"), [1, "a"]),
        (Box(Point(1, 2), "b"), {"corner": {"x": 1, "y": 2}, "name": "b"}),
        (Model(when=date(2026, 1, 2)), {"when": "2026-01-02"}),
        (Colour.RED, "red"),
    ],
)
def test_common_python_values_are_kept_by_the_documented_rules(value, kept):
    assert same_json(to_json(value), kept)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), r"the result is of type object, which cannot be kept as JSON"),
        ({"a": [1, math.nan]}, r"the result\['a'\]\[1\] is nan"),
        ({"a": {1: 2}}, r"the result\['a'\]\[1\] is under a key of type int"),
        (2**63, r"the result is an integer beyond 64 bit"),
        (["\ud800"], r"the result\[0\] holds half a surrogate pair"),
        (print, r"of type builtin_function_or_method"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_place_and_advice(value, message):
    with pytest.raises(ResultError, match=message):
        to_json(value)


def test_a_value_that_contains_itself_is_refused():
    value: list[object] = []
    value.append(value)
    with pytest.raises(ResultError, match="contains itself"):
        to_json(value)


@given(json_values())
def test_json_stays_as_it_is_and_shares_nothing(value):
    for copy in (to_json(value), copy_json(value)):
        assert same_json(copy, value)
        if isinstance(value, dict | list) and value:
            assert copy is not value


def test_same_json_tells_numbers_and_booleans_apart():
    assert not same_json(1, True)
    assert not same_json([1], [1.0])
    assert not same_json({"a": 1}, {"a": 1, "b": 2})
