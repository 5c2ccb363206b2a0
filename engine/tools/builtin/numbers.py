"""Numbers."""

from __future__ import annotations

import math
import operator
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from engine.tools.decorator import tool

_CATEGORY = "Numbers"
_LARGEST_INTEGER = 2**63 - 1
_LONGEST_SEQUENCE = 100_000

Number = int | float
Operation = Literal["add", "subtract", "multiply", "divide", "modulo", "power", "minimum", "maximum"]
Comparison = Literal["<", "<=", "==", "!=", ">=", ">"]

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class Statistics:
    """What numbers.statistics finds.

    Attributes:
        count: How many numbers.
        total: Their sum.
        mean: Their average.
        median: The middle one; between two, their average.
        minimum: The smallest.
        maximum: The largest.
        standard_deviation: Of the sample (n - 1); 0 for a single number.
    """

    count: int
    total: Number
    mean: float
    median: float
    minimum: Number
    maximum: Number
    standard_deviation: float


@tool(name="math_operation", category=_CATEGORY, state_reads=("value",), state_writes=("value",))
def math_operation(
    state: dict[str, Any],
    operation: Operation | Literal["set"],
    value: Number,
    key: str = "value",
    **kwargs: Any,
) -> dict[str, Any]:
    """Change a number in the state: value = value (operation) operand.

    Args:
        state: The state of the run.
        operation: What to do; "set" puts the operand itself there.
        value: The operand.
        key: The state key that holds the number.
        kwargs: Further state keys to set as they are.
    """
    if operation == "set":
        return {**kwargs, key: value}
    if key not in state:
        raise LookupError(
            f'The state has no "{key}" to {operation}; give it in the initial state or use "set" first.'
        )
    current = state[key]
    if isinstance(current, bool) or not isinstance(current, int | float):
        raise TypeError(f'The state\'s "{key}" is not a number but {current!r:.60}.')
    return {**kwargs, key: calculate(current, operation, value)}


@tool(name="numbers.calculate", category=_CATEGORY)
def calculate(a: Number, operation: Operation, b: Number) -> Number:
    """Calculate a (operation) b.

    Args:
        a: The first number.
        operation: What to do with them.
        b: The second number.
    """
    match operation:
        case "add":
            result = a + b
        case "subtract":
            result = a - b
        case "multiply":
            result = a * b
        case "divide" | "modulo":
            if b == 0:
                raise ZeroDivisionError(f"{a} cannot be divided by 0.")
            result = a / b if operation == "divide" else a % b
        case "power":
            result = _power(a, b)
        case "minimum":
            result = min(a, b)
        case _:
            result = max(a, b)
    return _check_size(result)


def _power(a: Number, b: Number) -> Number:
    if a == 0 and b < 0:
        raise ZeroDivisionError(f"0 to the power of {b} would divide by 0.")
    if isinstance(a, int) and isinstance(b, int) and b >= 0:
        if abs(a) > 1 and b * math.log2(abs(a)) > 64:
            raise OverflowError(f"{a} to the power of {b} is too large: integers have at most 64 bits.")
        return int(a**b)
    if a < 0 and b != int(b):
        raise ValueError(f"A negative number to the power of {b} is not a real number.")
    try:
        return math.pow(a, b)
    except OverflowError:
        raise OverflowError(f"{a} to the power of {b} is too large for a number.") from None


def _check_size(result: Number) -> Number:
    if isinstance(result, int) and abs(result) > _LARGEST_INTEGER:
        raise OverflowError("The result is too large: integers have at most 64 bits.")
    if isinstance(result, float) and not math.isfinite(result):
        raise OverflowError("The result is too large for a number.")
    return result


@tool(name="numbers.statistics", category=_CATEGORY, label="Number statistics")
def describe_numbers(numbers: Annotated[list[Number], Field(min_length=1)]) -> Statistics:
    """Count, sum, mean, median, minimum, maximum and standard deviation of a list of numbers.

    Args:
        numbers: At least one number.
    """
    return Statistics(
        count=len(numbers),
        total=_check_size(sum(numbers)),
        mean=statistics.fmean(numbers),
        median=float(statistics.median(numbers)),
        minimum=min(numbers),
        maximum=max(numbers),
        standard_deviation=statistics.stdev(numbers) if len(numbers) > 1 else 0.0,
    )


@tool(name="numbers.round", category=_CATEGORY)
def round_number(
    number: Number,
    digits: Annotated[int, Field(ge=0, le=15)] = 0,
    direction: Literal["nearest", "up", "down"] = "nearest",
) -> Number:
    """Round a number. Without digits the result is whole; halves go to the even neighbour.

    Args:
        number: The number to round.
        digits: Digits to keep after the point.
        direction: nearest, up (towards plus infinity) or down (towards minus infinity).
    """
    if direction == "nearest":
        return round(number, digits) if digits else round(number)
    towards = math.ceil if direction == "up" else math.floor
    if not digits:
        return towards(number)
    return towards(_check_size(number * 10.0**digits)) / 10.0**digits


@tool(name="numbers.clamp", category=_CATEGORY)
def clamp(number: Number, low: Number, high: Number) -> Number:
    """Bring a number into a range: low if it is below, high if it is above, else itself.

    Args:
        number: Any number.
        low: The least that may come out.
        high: The most that may come out.
    """
    if low > high:
        raise ValueError(f"The range is empty: low ({low}) is above high ({high}).")
    return min(max(number, low), high)


@tool(name="numbers.compare", category=_CATEGORY, label="Compare numbers")
def compare(a: Number, comparison: Comparison, b: Number) -> bool:
    """Whether a (comparison) b holds.

    Args:
        a: The left number.
        comparison: How to compare.
        b: The right number.
    """
    return _COMPARISONS[comparison](a, b)


@tool(name="numbers.sequence", category=_CATEGORY, label="Number sequence")
def sequence(start: int, stop: int, step: int = 1) -> list[int]:
    """Whole numbers from start up to, and without, stop; at most 100,000.

    Args:
        start: The first number.
        stop: Where to end; not included.
        step: The distance between two; negative to count down.
    """
    if step == 0:
        raise ValueError("The step is 0, so the sequence would never end.")
    wanted = range(start, stop, step)
    if len(wanted) > _LONGEST_SEQUENCE:
        raise ValueError(
            f"The sequence would have {len(wanted):,} numbers; at most {_LONGEST_SEQUENCE:,} are allowed."
        )
    return list(wanted)


@tool(name="numbers.random", category=_CATEGORY, label="Random number")
def random_number(low: Number = 0, high: Number = 1, whole: bool = False, seed: int | None = None) -> Number:
    """A random number from low to high, both included. Not for secrets.

    Args:
        low: The least that may come out.
        high: The most that may come out.
        whole: Whole numbers only.
        seed: The same seed gives the same number; left out: another one each time.
    """
    if low > high:
        raise ValueError(f"The range is empty: low ({low}) is above high ({high}).")
    source = random.Random(seed)  # noqa: S311 - the docstring says so
    if not whole:
        return source.uniform(low, high)
    if math.ceil(low) > math.floor(high):
        raise ValueError(f"There is no whole number from {low} to {high}.")
    return source.randint(math.ceil(low), math.floor(high))


TOOLS: tuple[Callable[..., Any], ...] = (
    math_operation,
    calculate,
    describe_numbers,
    round_number,
    clamp,
    compare,
    sequence,
    random_number,
)
