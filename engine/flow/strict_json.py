"""JSON from outside, read strictly: requests, files, the clipboard, text that is typed.

What ``json.loads`` lets through and nobody means is refused: NaN and infinities, the same key twice, numbers
that do not fit 64 bits, half surrogate pairs, nesting without end. Every such fault of a text is found in one
reading, each with its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from engine.errors import ValidationError
from engine.model.problem import Problem, Severity

MAX_DEPTH: Final = 64
MAX_PROBLEMS: Final = 100
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_INT_DIGITS: Final = 20
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Fault:
    """Stands in the parsed value where something is wrong."""

    __slots__ = ("code", "message")

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message


class _RepeatedKeys(dict[str, Any]):
    """An object that had a key more than once."""

    __slots__ = ("repeated",)
    repeated: list[str]


class _Reader:
    """Hooks for the standard library's C scanner that mark faults instead of stopping at the first."""

    def __init__(self) -> None:
        self.faulty = False

    def _fault(self, code: str, message: str) -> _Fault:
        self.faulty = True
        return _Fault(code, message)

    def constant(self, text: str) -> _Fault:
        return self._fault("not-a-number", f"{text} is not JSON")

    def integer(self, text: str) -> int | _Fault:
        if len(text) <= _INT_DIGITS and _INT_MIN <= (value := int(text)) <= _INT_MAX:
            return value
        return self._fault("number-too-large", f"the integer {_shorten(text)} does not fit 64 bits")

    def real(self, text: str) -> float | _Fault:
        value = float(text)
        if value - value == 0:
            return value
        return self._fault("number-too-large", f"the number {_shorten(text)} is too large")

    def pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) == len(pairs):
            return value
        self.faulty = True
        seen: set[str] = set()
        marked = _RepeatedKeys(value)
        marked.repeated = list(dict.fromkeys(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
        return marked


def parse_json(body: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValidationError: it is not JSON, or not what this program takes for JSON; ``problems`` has every fault
            (at most 100) with its place in ``field``, such as ``initial_state.items.3``.
    """
    try:
        text = body if isinstance(body, str) else body.decode()
    except UnicodeDecodeError as error:
        raise _refused([_problem("not-utf-8", f"not UTF-8 (byte {error.start})")]) from None
    reader = _Reader()
    try:
        value = json.loads(
            text,
            object_pairs_hook=reader.pairs,
            parse_constant=reader.constant,
            parse_int=reader.integer,
            parse_float=reader.real,
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _refused([_problem("not-json", f"not JSON: {error.msg} ({where})")]) from None
    except RecursionError:
        raise _refused([_too_deep()]) from None
    if not _is_shallow(value):
        raise _refused([_too_deep()])
    if reader.faulty or _SURROGATE_ESCAPE.search(text) or (text is body and _SURROGATE.search(text)):
        problems = []
        for problem in _faults(value, ""):
            problems.append(problem)
            if len(problems) == MAX_PROBLEMS:
                break
        if problems:
            raise _refused(problems)
    return value


def _is_shallow(value: Any) -> bool:
    """Whether nothing is nested deeper than MAX_DEPTH; goes level by level, so depth costs no stack."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return True
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
    return not level


def _faults(value: Any, path: str) -> Iterator[Problem]:
    if isinstance(value, _Fault):
        yield _problem(value.code, value.message, path)
    elif isinstance(value, str):
        if _SURROGATE.search(value):
            yield _problem("half-surrogate", "the text has half of a surrogate pair", path)
    elif isinstance(value, dict):
        if isinstance(value, _RepeatedKeys):
            for key in value.repeated:
                yield _problem(
                    "repeated-key", f"the key {_shorten(key)!r} is given more than once", _join(path, key)
                )
        for key, child in value.items():
            if _SURROGATE.search(key):
                yield _problem("half-surrogate", "a key has half of a surrogate pair", path)
            yield from _faults(child, _join(path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _faults(child, _join(path, str(index)))


def _join(path: str, key: str) -> str:
    key = _shorten(key).encode("utf-8", "replace").decode()
    return f"{path}.{key}" if path else key


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _too_deep() -> Problem:
    return _problem("too-deep", f"nothing may be nested deeper than {MAX_DEPTH}")


def _problem(code: str, message: str, field: str = "") -> Problem:
    return Problem(Severity.ERROR, code, message, field=field or None)


def _refused(problems: list[Problem]) -> ValidationError:
    first = problems[0]
    where = f"{first.field}: " if first.field else ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ValidationError(f"{where}{first.message}{more}", problems)
