"""Everything kept is JSON: how Python values become JSON values, and how they are compared and copied.

The rules, in docs/tools.md too: bytes -> base64 text; date, time, datetime -> ISO 8601; timedelta -> seconds;
Path, UUID, Decimal -> text; Enum -> its value; set, frozenset, tuple -> list (sets sorted where they can be);
NamedTuple, dataclass, pydantic model -> object; numpy scalar -> number, numpy array -> list. Refused, because
keeping them would change them: NaN and infinities, integers beyond 64 bit, keys that are not text, and any other type.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from engine.errors import ResultError

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_MAX_DEPTH = 200


class _Refused(Exception):
    """A value that cannot be kept. The way to it is put together while the exception travels up."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[str] = []


def to_json(value: Any, where: str = "the result") -> Any:
    """A deep copy of ``value`` made of JSON types only; nothing in it is shared with what was given.

    Raises:
        ResultError: names the place in the value, its type, and what to return instead.
    """
    try:
        return _convert(value, 0)
    except _Refused as refused:
        raise ResultError(f"{where}{''.join(reversed(refused.path))} {refused.reason}") from None


def _convert(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return _check_text(value)
    if kind is bool or value is None:
        return value
    if kind is int:
        if not _INT_MIN <= value <= _INT_MAX:
            raise _Refused("is an integer beyond 64 bit; return it as text (str) or a float")
        return value
    if kind is float:
        if not math.isfinite(value):
            raise _Refused(f"is {value}, which JSON does not have; return None or text instead")
        return value
    if depth > _MAX_DEPTH:
        raise _Refused(f"is nested more than {_MAX_DEPTH} levels deep, or contains itself")
    if kind is list or kind is tuple:
        return _convert_items(value, depth)
    if kind is dict or isinstance(value, Mapping):
        return _convert_mapping(value, depth)
    return _convert_other(value, depth)


def _convert_items(value: Iterable[Any], depth: int) -> list[Any]:
    copy: list[Any] = []
    try:
        for item in value:
            copy.append(_convert(item, depth + 1))  # noqa: PERF401 - how far it came is the place of the fault
    except _Refused as refused:
        refused.path.append(f"[{len(copy)}]")
        raise
    return copy


def _convert_mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    copy: dict[str, Any] = {}
    key: Any = None
    try:
        for key, item in value.items():
            if not isinstance(key, str):
                raise _Refused(f"is under a key of type {type(key).__name__}; keys must be text")
            copy[_check_text(str(key))] = _convert(item, depth + 1)
    except _Refused as refused:
        refused.path.append(f"[{key!r}]")
        raise
    return copy


def _check_text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _Refused("holds half a surrogate pair, which is not text") from None
    return value


def _convert_other(value: Any, depth: int) -> Any:  # noqa: C901 - a table of types
    match value:
        case Enum():
            return _convert(value.value, depth + 1)
        case str():
            return _check_text(str(value))
        case int():
            return _convert(int(value), depth)
        case float():
            return _convert(float(value), depth)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode("ascii")
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case PurePath() | UUID() | Decimal():
            return str(value)
        case BaseModel():
            return _convert(value.model_dump(), depth + 1)
        case tuple() if hasattr(value, "_asdict"):
            return _convert_mapping(value._asdict(), depth)
        case list() | tuple():
            return _convert_items(value, depth)
        case set() | frozenset():
            return _convert_items(_sort(value), depth)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _convert_mapping(
            {part.name: getattr(value, part.name) for part in dataclasses.fields(value)}, depth
        )
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return _convert(value.tolist(), depth + 1)
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    raise _Refused(
        f"is of type {name}, which cannot be kept as JSON; "
        "return text, numbers, booleans, None, lists or dicts of these (or a dataclass)"
    )


def _sort(value: set[Any] | frozenset[Any]) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=repr)


def copy_json(value: Any) -> Any:
    """A deep copy of a JSON value; scalars are returned as they are."""
    kind = type(value)
    if kind is dict:
        return {key: copy_json(item) for key, item in value.items()}
    if kind is list:
        return [copy_json(item) for item in value]
    return value


def same_json(first: Any, second: Any) -> bool:
    """Whether two JSON values are the same; unlike ``==``, 1, 1.0 and True differ."""
    if first is second:
        return True
    kind = type(first)
    if kind is not type(second):
        return False
    if kind is dict:
        return first.keys() == second.keys() and all(
            same_json(item, second[key]) for key, item in first.items()
        )
    if kind is list:
        return len(first) == len(second) and all(map(same_json, first, second))
    return bool(first == second)
