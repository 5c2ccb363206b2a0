"""Where the checks of a graph put what they find."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from engine.model.problem import Problem, Severity

_MAX_SHOWN: Final = 60


class Findings:
    """The problems found so far."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    @property
    def has_errors(self) -> bool:
        return any(problem.is_error for problem in self.problems)

    def error(
        self,
        code: str,
        message: str,
        *,
        node: str | None = None,
        edge: int | None = None,
        field: str | None = None,
    ) -> None:
        """Something that keeps the graph from being stored or run."""
        self.problems.append(Problem(Severity.ERROR, code, message, node_id=node, edge=edge, field=field))

    def warning(
        self,
        code: str,
        message: str,
        *,
        node: str | None = None,
        edge: int | None = None,
        field: str | None = None,
    ) -> None:
        """Something that is probably not meant."""
        self.problems.append(Problem(Severity.WARNING, code, message, node_id=node, edge=edge, field=field))


def suggest(wanted: str, names: Iterable[str]) -> str:
    """``; did you mean "x"?`` for the names most like ``wanted``, or nothing."""
    close = get_close_matches(
        wanted, [name for name in names if abs(len(name) - len(wanted)) <= len(wanted)], 3
    )
    return f"; did you mean {' or '.join(map(quote, close))}?" if close else ""


def quote(name: str) -> str:
    """A name in double quotes."""
    return f'"{name}"'


def show_value(value: object) -> str:
    """A value in a message."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{shorten(value)}"'
        case int() | float():
            return str(value)[:_MAX_SHOWN]
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
    return f"a {type(value).__name__}"


def shorten(text: str) -> str:
    """A text in a message: one line, not too long."""
    clean = text if text.isprintable() else repr(text)[1:-1]
    return clean if len(clean) <= _MAX_SHOWN else clean[: _MAX_SHOWN - 3] + "..."
