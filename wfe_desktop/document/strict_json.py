"""JSON that comes from outside: files, the clipboard, text that is typed. Nothing is guessed or let through."""

from __future__ import annotations

import json
from typing import Any, NoReturn

MAX_DEPTH = 100
MAX_INTEGER = 2**63 - 1


class JsonError(ValueError):
    """Text that is not the JSON we take. ``str(error)`` is a sentence."""


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        JsonError: it is not JSON, or not UTF-8, names a key twice, holds NaN, Infinity, an integer beyond 64 bits or
            half of a surrogate pair, or is nested deeper than ``MAX_DEPTH``.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        text.encode("utf-8")
        value = json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_int=_read_integer
        )
    except JsonError:
        raise
    except json.JSONDecodeError as error:
        raise JsonError(f"{error.msg} (line {error.lineno}, column {error.colno}).") from error
    except UnicodeError as error:
        raise JsonError("The text is not UTF-8.") from error
    except (RecursionError, ValueError) as error:
        raise JsonError("The text is nested too deeply or holds a number that is too long.") from error
    _check(value)
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise JsonError(f'The key "{key}" is there twice.')
        found[key] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is not JSON.")


def _read_integer(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) > MAX_INTEGER:
        raise JsonError(f"The integer {digits[:24]} does not fit into 64 bits.")
    return int(digits)


def _check(value: Any) -> None:
    """Depth, numbers that overflowed, and surrogates that came in as escapes."""
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise JsonError(f"The value is nested deeper than {MAX_DEPTH} levels.")
        if isinstance(item, float) and item in (float("inf"), float("-inf")):
            raise JsonError("A number is too large.")
        if isinstance(item, str):
            _check_text(item)
        elif isinstance(item, dict):
            for key, child in item.items():
                _check_text(key)
                waiting.append((child, depth + 1))
        elif isinstance(item, list):
            waiting.extend((child, depth + 1) for child in item)


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise JsonError("A text holds half of a surrogate pair.") from error
