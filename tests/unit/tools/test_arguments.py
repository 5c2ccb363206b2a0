"""What becomes of arguments: conversions, and the messages where there is none."""

import contextlib
import copy
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field, SecretStr

from engine.errors import ArgumentError
from engine.tools.signature import build_tool


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: int = 0


class Order(BaseModel):
    items: list[Point]


def coerce(hint: Any, value: Any) -> Any:
    def function(a): ...

    function.__annotations__["a"] = hint
    return build_tool("a_tool", function).coerce({"a": value})["a"]


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (int, "5", 5),
        (int, 5.0, 5),
        (float, 5, 5.0),
        (float, "2.5", 2.5),
        (bool, "true", True),
        (str, "text", "text"),
        (list[int], ["1", 2], [1, 2]),
        (dict[str, float], {"a": 1}, {"a": 1.0}),
        (Literal["a", "b"], "a", "a"),
        (Colour, "red", Colour.RED),
        (Path, "a/b", Path("a/b")),
        (date, "2026-03-31", date(2026, 3, 31)),
        (Point, {"x": "1"}, Point(1)),
        (Order, {"items": [{"x": 1, "y": 2}]}, Order(items=[Point(1, 2)])),
        (int | None, None, None),
        (int | str, "5", "5"),
        (bytes, "text", b"text"),
        (Any, {"a": [1]}, {"a": [1]}),
    ],
)
def test_values_are_converted_to_the_hint(hint: Any, value: Any, expected: Any) -> None:
    made = coerce(hint, value)
    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (int, "x", 'Parameter "a": expected integer, got text "x"'),
        (int, 5.5, 'Parameter "a": expected integer, got number 5.5'),
        (int, True, 'Parameter "a": expected integer, got true'),
        (float, False, 'Parameter "a": expected number, got false'),
        (int, None, 'Parameter "a": expected integer, got null'),
        (float, "nan", 'Parameter "a": expected number, got text "nan"'),
        (str, 5, 'Parameter "a": expected text, got number 5'),
        (str, ["x"], 'Parameter "a": expected text, got a list of 1'),
        (bool, "maybe", 'Parameter "a": expected true or false, got text "maybe"'),
        (
            Annotated[int, Field(ge=1, le=50)],
            99,
            'Parameter "a": expected integer from 1 to 50, got number 99',
        ),
        (
            Annotated[str, Field(max_length=2)],
            "abc",
            'Parameter "a": expected text with at most 2 characters, got text "abc"',
        ),
        (Literal["a", "b"], "c", 'Parameter "a": expected one of "a", "b", got text "c"'),
        (Colour, "green", 'Parameter "a": expected "red", got text "green"'),
        (dict, [], 'Parameter "a": expected object, got a list of 0'),
        (int | None, "x", 'Parameter "a": expected integer or null, got text "x"'),
        (
            list[int],
            [1, "z"],
            (
                'Parameter "a": expected list of integer, got a list of 2 (at [1]: input should be a valid integer, '
                'unable to parse string as an integer, got text "z")'
            ),
        ),
        (
            Order,
            {"items": [{"y": 2}]},
            'Parameter "a": expected object, got an object with items (at items[0].x: field required)',
        ),
    ],
)
def test_a_mismatch_says_which_parameter_what_was_expected_and_what_came(
    hint: Any, value: Any, message: str
) -> None:
    with pytest.raises(ArgumentError) as caught:
        coerce(hint, value)
    assert str(caught.value) == message


def test_every_wrong_parameter_is_told_of_at_once() -> None:
    def function(count: int, name: str, size: int) -> None: ...

    with pytest.raises(ArgumentError) as caught:
        build_tool("a_tool", function).coerce({"count": "x", "nme": "y", "size": 1})
    assert str(caught.value) == (
        'Parameter "count": expected integer, got text "x"; there is no parameter "nme"; did you mean "name"?; '
        'parameter "name" has no value; expected text'
    )
    assert set(caught.value.details["parameters"]) == {"count", "nme", "name"}


def test_a_validator_of_the_users_own_is_quoted() -> None:
    def even(value: int) -> int:
        if value % 2:
            raise ValueError("it must be even")
        return value

    with pytest.raises(ArgumentError, match=r"expected integer, got number 3 \(it must be even\)"):
        coerce(Annotated[int, AfterValidator(even)], 3)


def test_the_value_of_a_secret_is_in_no_message() -> None:
    with pytest.raises(ArgumentError) as caught:
        coerce(SecretStr, ["hunter2"])
    assert "hunter2" not in str(caught.value)


def test_names_that_pydantic_has_uses_for_are_ordinary_parameters() -> None:
    def function(model_config: int, schema: int, _x: int, self: int, json: int, copy: int = 3) -> int:
        return model_config + schema + _x + self + json + copy

    made = build_tool("a_tool", function)
    given_ = {"model_config": "1", "schema": 2, "_x": 3, "self": 4, "json": 5}
    assert made.function(**made.coerce(given_)) == 18


def test_parameters_left_out_stay_out_so_that_the_functions_defaults_hold() -> None:
    def function(a: int, b: Any = object) -> None: ...

    assert build_tool("a_tool", function).coerce({"a": 1}) == {"a": 1}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abcde"), JSON))
def test_nothing_that_was_given_is_changed_and_only_argument_errors_come_out(
    arguments: dict[str, Any],
) -> None:
    before = copy.deepcopy(arguments)
    with contextlib.suppress(ArgumentError):
        assert _MIXED.coerce(arguments) is not arguments
    assert arguments == before


def _mixed(
    a: int, b: list[Point] = (), c: Order | None = None, d: dict[str, int] | str = "", e: bool = False
) -> None: ...  # type: ignore[assignment]


_MIXED = build_tool("mixed", _mixed)
