"""Where the checks of a graph put what they find."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from engine.model.problem import Problem, Severity


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
