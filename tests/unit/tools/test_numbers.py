"""The number tools."""

from typing import Any

import pytest

from engine.errors import ArgumentError
from engine.tools.builtin import numbers
from engine.tools.signature import build_tool


@pytest.mark.parametrize(
    ("a", "operation", "b", "expected"),
    [
        (2, "add", 3, 5),
        (2, "subtract", 3, -1),
        (2, "multiply", 2.5, 5.0),
        (7, "divide", 2, 3.5),
        (7, "modulo", 4, 3),
        (2, "power", 10, 1024),
        (2, "power", -1, 0.5),
        (4, "power", 0.5, 2.0),
        (1, "power", 10**9, 1),
        (2, "minimum", 3, 2),
        (2, "maximum", 3, 3),
    ],
)
def test_two_numbers_are_calculated(a: Any, operation: Any, b: Any, expected: Any) -> None:
    made = numbers.calculate(a, operation, b)
    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize(
    ("a", "operation", "b", "error", "message"),
    [
        (1, "divide", 0, ZeroDivisionError, "1 cannot be divided by 0"),
        (1, "modulo", 0, ZeroDivisionError, "1 cannot be divided by 0"),
        (0, "power", -1, ZeroDivisionError, "would divide by 0"),
        (9, "power", 9**9, OverflowError, "at most 64 bits"),
        (2**62, "multiply", 4, OverflowError, "at most 64 bits"),
        (1e308, "multiply", 10, OverflowError, "too large"),
        (1e200, "power", 2, OverflowError, "too large"),
        (-8, "power", 0.5, ValueError, "not a real number"),
    ],
)
def test_what_cannot_be_calculated_is_said(a: Any, operation: Any, b: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        numbers.calculate(a, operation, b)


def test_math_operation_changes_the_value_of_the_state() -> None:
    assert numbers.math_operation({"value": 5, "x": 1}, "multiply", 3) == {"value": 15}
    assert numbers.math_operation({"total": 5}, "add", 3, key="total", note="n") == {"total": 8, "note": "n"}
    assert numbers.math_operation({}, "set", 3) == {"value": 3}


@pytest.mark.parametrize("state", [{}, {"value": "5"}, {"value": True}])
def test_math_operation_needs_a_number_in_the_state(state: dict[str, Any]) -> None:
    with pytest.raises((LookupError, TypeError), match='"value"'):
        numbers.math_operation(state, "add", 1)


def test_math_operation_is_a_state_tool_with_its_reads_and_writes() -> None:
    made = build_tool("math_operation", numbers.math_operation)
    assert (made.takes_state, made.takes_any) == (True, True)
    assert (made.state_reads, made.state_writes) == (("value",), ("value",))
    assert made.coerce({"operation": "add", "value": 5, "extra": [1]}) == {
        "operation": "add",
        "value": 5,
        "extra": [1],
    }
    with pytest.raises(ArgumentError, match='expected one of "add"'):
        made.coerce({"operation": "plus", "value": 5})


def test_statistics_of_numbers() -> None:
    found = numbers.describe_numbers([2, 4, 4, 4, 5, 5, 7, 9])
    assert (found.count, found.total, found.mean, found.median) == (8, 40, 5.0, 4.5)
    assert (found.minimum, found.maximum) == (2, 9)
    assert found.standard_deviation == pytest.approx((32 / 7) ** 0.5)
    assert numbers.describe_numbers([3]).standard_deviation == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((2.5,), 2),
        ((2.345, 2), 2.35),
        ((2.1, 0, "up"), 3),
        ((-2.1, 0, "down"), -3),
        ((2.341, 2, "up"), 2.35),
        ((2.349, 2, "down"), 2.34),
    ],
)
def test_numbers_are_rounded(arguments: Any, expected: Any) -> None:
    assert numbers.round_number(*arguments) == pytest.approx(
        expected, abs=0.006 if len(arguments) == 2 else 1e-12
    )


def test_small_number_tools() -> None:
    assert [numbers.clamp(x, 0, 10) for x in (-5, 5, 15)] == [0, 5, 10]
    assert [numbers.compare(1, sign, 2) for sign in ("<", "<=", "==", "!=", ">=", ">")] == [
        True, True, False, True, False, False,
    ]  # fmt: skip
    assert numbers.sequence(0, 10, 3) == [0, 3, 6, 9]
    assert numbers.sequence(3, 0, -1) == [3, 2, 1]
    assert numbers.random_number(1, 6, whole=True, seed=7) == numbers.random_number(1, 6, whole=True, seed=7)
    assert all(2 <= numbers.random_number(2, 3) <= 3 for _ in range(20))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (numbers.clamp, (1, 5, 2)),
        (numbers.sequence, (0, 1, 0)),
        (numbers.sequence, (0, 10**12)),
        (numbers.random_number, (5, 2)),
        (numbers.random_number, (0.2, 0.8, True)),
    ],
)
def test_impossible_ranges_are_refused(function: Any, arguments: Any) -> None:
    with pytest.raises(ValueError, match=r"range|sequence|step|whole number"):
        function(*arguments)
