"""The operators, functions and methods of expressions, each bounded in the work it does and in what it makes.

Whatever costs more than a constant counts its work before it does it. The errors are for the compiler to place:
``Fault`` with a reason, or Python's own TypeError and the like.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from engine.flow.expression_scope import MAX_INT_BITS, MAX_ITEMS, MAX_TEXT, Fault, Scope, name_type, weigh

Operation = Callable[[Scope, Any, Any], Any]
Function = Callable[..., Any]
_MAX_DIGITS = 400


# ------------------------------------------------------------------------------------------------- values made


def check_number(value: Any) -> Any:
    """A number that was computed, if it is one that may be kept."""
    kind = type(value)
    if kind is float:
        if not math.isfinite(value):
            raise Fault("the number becomes too large")
    elif kind is int:
        if value.bit_length() > MAX_INT_BITS:
            raise Fault("the number becomes too large")
    elif kind is complex:
        raise Fault("the root of a negative number is not a real number")
    return value


def check_text(scope: Scope, length: int) -> None:
    """Refuse a text of this length, or count the work of making it."""
    if length > MAX_TEXT:
        raise Fault(f"the text becomes too long: {length:,} characters; at most {MAX_TEXT:,}")
    scope.spend(1 + (max(length, 0) >> 4))


def check_items(scope: Scope, length: int) -> None:
    """Refuse a list of this length, or count the work of making it."""
    if length > MAX_ITEMS:
        raise Fault(f"the list becomes too long: {length:,} items; at most {MAX_ITEMS:,}")
    scope.spend(1 + max(length, 0))


def to_items(scope: Scope, value: Any) -> Sequence[Any]:
    """What there is to loop over in a value: a list's items, an object's keys, a text's characters."""
    kind = type(value)
    if kind is list:
        return value  # type: ignore[no-any-return]
    if isinstance(value, Mapping):
        scope.spend(len(value))
        return list(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    raise Fault(f"cannot loop over {name_type(value)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


# --------------------------------------------------------------------------------------------------- operators


def add(scope: Scope, left: Any, right: Any) -> Any:
    kind = type(left)
    if kind is str and type(right) is str:
        check_text(scope, len(left) + len(right))
    elif kind is list and type(right) is list:
        check_items(scope, len(left) + len(right))
    elif not (_is_number(left) and _is_number(right)):
        raise TypeError
    else:
        return check_number(left + right)
    return left + right


def subtract(scope: Scope, left: Any, right: Any) -> Any:  # noqa: ARG001 - as all operations
    return check_number(left - right)


def multiply(scope: Scope, left: Any, right: Any) -> Any:
    if _is_number(left) and _is_number(right):
        return check_number(left * right)
    if type(left) is int:
        left, right = right, left
    if type(right) is int and type(left) is str:
        check_text(scope, len(left) * right)
    elif type(right) is int and type(left) is list:
        check_items(scope, len(left) * right)
    else:
        raise TypeError
    return left * right


def divide(scope: Scope, left: Any, right: Any) -> Any:  # noqa: ARG001 - as all operations
    return check_number(left / right)


def floor_divide(scope: Scope, left: Any, right: Any) -> Any:  # noqa: ARG001 - as all operations
    return check_number(left // right)


def remainder(scope: Scope, left: Any, right: Any) -> Any:  # noqa: ARG001 - as all operations
    if not (_is_number(left) and _is_number(right)):
        raise TypeError  # text % values formats, with widths of any size
    return check_number(left % right)


def power(scope: Scope, left: Any, right: Any) -> Any:  # noqa: ARG001 - as all operations
    if not (_is_number(left) and _is_number(right)):
        raise TypeError
    if isinstance(left, int) and isinstance(right, int) and (left.bit_length() - 1) * right > MAX_INT_BITS:
        raise Fault("the number becomes too large")
    return check_number(left**right)


def _checked(compare: Callable[[Any, Any], Any]) -> Operation:
    def run(scope: Scope, left: Any, right: Any) -> Any:
        kind = type(left)
        if (kind is list or kind is dict or kind is str) and kind is type(right):
            scope.spend(min(weigh(left, scope.left), weigh(right, scope.left)))
        return compare(left, right)

    return run


def contains(scope: Scope, left: Any, right: Any) -> bool:
    kind = type(right)
    if kind is list:
        if type(left) is list or type(left) is dict:
            scope.spend_on(right)
        scope.spend(len(right) * weigh(left, scope.left))
        return left in right
    if kind is str:
        scope.spend(1 + (len(right) >> 4))
        return left in right
    if isinstance(right, Mapping):
        return left in right
    raise TypeError


def contains_not(scope: Scope, left: Any, right: Any) -> bool:
    return not contains(scope, left, right)


BINARY: Final[Mapping[str, tuple[str, Operation]]] = {
    "Add": ("+", add),
    "Sub": ("-", subtract),
    "Mult": ("*", multiply),
    "Div": ("/", divide),
    "FloorDiv": ("//", floor_divide),
    "Mod": ("%", remainder),
    "Pow": ("**", power),
}
"""By the name of the operator in ``ast``: how it is written, and what it does."""

COMPARISONS: Final[Mapping[str, tuple[str, Operation]]] = {
    "Eq": ("==", _checked(operator.eq)),
    "NotEq": ("!=", _checked(operator.ne)),
    "Lt": ("<", _checked(operator.lt)),
    "LtE": ("<=", _checked(operator.le)),
    "Gt": (">", _checked(operator.gt)),
    "GtE": (">=", _checked(operator.ge)),
    "In": ("in", contains),
    "NotIn": ("not in", contains_not),
}

SCALAR_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
}
"""The comparisons with a number or a short text, which cost the same whatever stands on the other side."""


# --------------------------------------------------------------------------------------------------- functions


def _len(scope: Scope, value: Any) -> int:  # noqa: ARG001 - as all functions
    return len(value)


def _str(scope: Scope, value: Any = "") -> str:
    if type(value) is str:
        return value
    scope.spend_on(value)
    text = str(value)
    check_text(scope, len(text))
    return text


def _int(scope: Scope, value: Any = 0) -> int:  # noqa: ARG001 - as all functions
    if type(value) is str and len(value) > _MAX_DIGITS:
        raise Fault("the text is too long for a number")
    if not isinstance(value, int | float | str):
        raise TypeError
    return check_number(int(value))  # type: ignore[no-any-return]


def _float(scope: Scope, value: Any = 0.0) -> float:  # noqa: ARG001 - as all functions
    if type(value) is str and len(value) > _MAX_DIGITS:
        raise Fault("the text is too long for a number")
    number = float(value)
    if not math.isfinite(number):
        raise Fault(f"{value} is not a number that can be kept")
    return number


def _bool(scope: Scope, value: Any = False) -> bool:  # noqa: ARG001 - as all functions
    return bool(value)


def _round(scope: Scope, value: Any, ndigits: Any = None) -> Any:  # noqa: ARG001 - as all functions
    if ndigits is None:
        return round(value)
    if not isinstance(ndigits, int) or abs(ndigits) > _MAX_DIGITS:
        raise Fault(f"round takes a number of digits between -{_MAX_DIGITS} and {_MAX_DIGITS}")
    return round(value, ndigits)


def _abs(scope: Scope, value: Any) -> Any:  # noqa: ARG001 - as all functions
    return abs(value)


def _floor(scope: Scope, value: Any) -> int:  # noqa: ARG001 - as all functions
    return math.floor(value)  # type: ignore[no-any-return]


def _ceil(scope: Scope, value: Any) -> int:  # noqa: ARG001 - as all functions
    return math.ceil(value)  # type: ignore[no-any-return]


_NOTHING: Final = object()


def _extreme(choose: Callable[..., Any], word: str) -> Function:
    def run(scope: Scope, *values: Any, default: Any = _NOTHING) -> Any:
        items = to_items(scope, values[0]) if len(values) == 1 else values
        if not items:
            if default is not _NOTHING:
                return default
            raise Fault(f"there is nothing to take the {word} of; {word}(..., default=...) allows that")
        scope.spend(sum(weigh(item, scope.left) for item in items[: scope.left]))
        return choose(items)

    return run


def _sum(scope: Scope, values: Any, start: Any = 0) -> Any:
    items = to_items(scope, values)
    scope.spend(len(items))
    if not _is_number(start):
        raise TypeError
    for item in items:
        if not _is_number(item):
            raise Fault(f"sum takes numbers; there is {name_type(item)} among them")
    return check_number(sum(items, start))


def _any(scope: Scope, values: Any) -> bool:
    items = to_items(scope, values)
    scope.spend(len(items))
    return any(items)


def _all(scope: Scope, values: Any) -> bool:
    items = to_items(scope, values)
    scope.spend(len(items))
    return all(items)


def _sorted(scope: Scope, values: Any, reverse: Any = False) -> list[Any]:
    items = to_items(scope, values)
    check_items(scope, len(items))
    work = sum(weigh(item, scope.left) for item in items)
    scope.spend(work * (1 + len(items).bit_length() // 4))
    return sorted(items, reverse=bool(reverse))


def _reversed(scope: Scope, values: Any) -> list[Any]:
    return _list(scope, values)[::-1]


def _list(scope: Scope, values: Any = ()) -> list[Any]:
    if values == ():
        return []
    items = to_items(scope, values)
    check_items(scope, len(items))
    return list(items)


def _range(scope: Scope, *bounds: Any) -> list[int]:
    numbers = range(*bounds)
    check_items(scope, len(numbers))  # OverflowError from len itself where it is beyond counting
    return list(numbers)


def _enumerate(scope: Scope, values: Any, start: Any = 0) -> list[list[Any]]:
    items = to_items(scope, values)
    check_items(scope, 3 * len(items))
    return [[number, item] for number, item in enumerate(items, start)]


def _zip(scope: Scope, *values: Any) -> list[list[Any]]:
    lists = [to_items(scope, value) for value in values]
    check_items(scope, (1 + len(lists)) * min(map(len, lists), default=0))
    return [list(group) for group in zip(*lists, strict=False)]


FUNCTIONS: Final[Mapping[str, tuple[Function, int, int, frozenset[str]]]] = {
    "abs": (_abs, 1, 1, frozenset()),
    "all": (_all, 1, 1, frozenset()),
    "any": (_any, 1, 1, frozenset()),
    "bool": (_bool, 0, 1, frozenset()),
    "ceil": (_ceil, 1, 1, frozenset()),
    "enumerate": (_enumerate, 1, 2, frozenset({"start"})),
    "float": (_float, 0, 1, frozenset()),
    "floor": (_floor, 1, 1, frozenset()),
    "int": (_int, 0, 1, frozenset()),
    "len": (_len, 1, 1, frozenset()),
    "list": (_list, 0, 1, frozenset()),
    "max": (_extreme(max, "max"), 1, 50, frozenset({"default"})),
    "min": (_extreme(min, "min"), 1, 50, frozenset({"default"})),
    "range": (_range, 1, 3, frozenset()),
    "reversed": (_reversed, 1, 1, frozenset()),
    "round": (_round, 1, 2, frozenset({"ndigits"})),
    "sorted": (_sorted, 1, 1, frozenset({"reverse"})),
    "str": (_str, 0, 1, frozenset()),
    "sum": (_sum, 1, 2, frozenset({"start"})),
    "zip": (_zip, 0, 10, frozenset()),
}
"""By name: the function (the scope comes first), how few and how many values it takes, and its keywords."""


# ----------------------------------------------------------------------------------------------------- methods


def _text_method(method: Callable[..., Any]) -> Function:
    def run(scope: Scope, text: str, *values: Any) -> Any:
        check_text(scope, len(text))
        return method(text, *values)

    return run


def _text_to_list(method: Callable[..., Any]) -> Function:
    def run(scope: Scope, text: str, *values: Any) -> list[Any]:
        check_text(scope, len(text))
        parts = list(method(text, *values))
        check_items(scope, len(parts))
        return parts

    return run


def _affix_method(method: Callable[..., bool]) -> Function:
    def run(scope: Scope, text: str, affixes: Any, *bounds: Any) -> bool:  # noqa: ARG001 - as all methods
        return method(text, tuple(affixes) if type(affixes) is list else affixes, *bounds)

    return run


def _padding_method(method: Callable[..., str]) -> Function:
    def run(scope: Scope, text: str, width: Any, *fill: Any) -> str:
        if not isinstance(width, int):
            raise TypeError
        check_text(scope, max(len(text), width))
        return method(text, width, *fill)

    return run


def _join(scope: Scope, text: str, values: Any) -> str:
    items = to_items(scope, values)
    scope.spend(len(items))
    for item in items:
        if type(item) is not str:
            raise Fault(f"join takes a list of text; there is {name_type(item)} in it; str() makes text")
    check_text(scope, sum(map(len, items)) + len(text) * max(0, len(items) - 1))
    return text.join(items)


def _replace(scope: Scope, text: str, old: Any, new: Any, count: Any = -1) -> str:
    check_text(scope, len(text))
    if not isinstance(count, int):
        raise TypeError
    found = text.count(old)
    times = found if count < 0 else min(found, count)
    check_text(scope, len(text) + times * (len(new) - len(old)))
    return text.replace(old, new, count)


def _get(scope: Scope, value: Mapping[str, Any], key: Any, default: Any = None) -> Any:  # noqa: ARG001 - as all
    return value.get(key, default)


def _keys(scope: Scope, value: Mapping[str, Any]) -> list[Any]:
    scope.spend(len(value))
    return list(value)


def _values(scope: Scope, value: Mapping[str, Any]) -> list[Any]:
    scope.spend(len(value))
    return list(value.values())


def _items(scope: Scope, value: Mapping[str, Any]) -> list[Any]:
    scope.spend(3 * len(value))
    return [[key, item] for key, item in value.items()]


def _list_count(scope: Scope, value: list[Any], wanted: Any) -> int:
    contains(scope, wanted, value)
    return value.count(wanted)


def _list_index(scope: Scope, value: list[Any], wanted: Any) -> int:
    if not contains(scope, wanted, value):
        raise Fault("the list does not have this item; check with 'in' first")
    return value.index(wanted)


_TEXT_PLAIN = (
    *(
        "capitalize",
        "casefold",
        "count",
        "find",
        "index",
        "isalnum",
        "isalpha",
        "isdecimal",
        "isdigit",
        "islower",
    ),
    *(
        "isnumeric",
        "isspace",
        "istitle",
        "isupper",
        "lower",
        "lstrip",
        "removeprefix",
        "removesuffix",
        "rfind",
    ),
    *("rindex", "rstrip", "strip", "swapcase", "title", "upper"),
)
_TEXT_LISTS = ("partition", "rpartition", "rsplit", "split", "splitlines")

METHODS: Final[Mapping[type, Mapping[str, Function]]] = {
    str: {
        **{name: _text_method(getattr(str, name)) for name in _TEXT_PLAIN},
        **{name: _text_to_list(getattr(str, name)) for name in _TEXT_LISTS},
        **{name: _affix_method(getattr(str, name)) for name in ("startswith", "endswith")},
        **{name: _padding_method(getattr(str, name)) for name in ("center", "ljust", "rjust", "zfill")},
        "join": _join,
        "replace": _replace,
    },
    list: {"count": _list_count, "index": _list_index},
    dict: {"get": _get, "items": _items, "keys": _keys, "values": _values},
}
"""The methods of text, lists and objects; each is given the scope and the value first."""

METHOD_NAMES: Final = frozenset(name for methods in METHODS.values() for name in methods)
