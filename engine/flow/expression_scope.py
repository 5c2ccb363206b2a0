"""What an expression can see, and the bounds it is held to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, NamedTuple, Protocol

MAX_LENGTH: Final = 2_000
"""Characters of an expression's text."""
MAX_DEPTH: Final = 100
"""Levels of nesting in an expression."""
MAX_WORK: Final = 1_000_000
"""Units of work in one evaluation: about a looked-up name, a list item or 16 characters each."""
MAX_TEXT: Final = 1_000_000
"""Characters of a text that an expression makes."""
MAX_ITEMS: Final = 100_000
"""Items of a list that an expression makes by ``*``, ``range`` or a comprehension."""
MAX_INT_BITS: Final = 1_024
"""Bits of a whole number that an expression makes."""

_SHOWN_NAMES = 12
_SHOWN_LENGTH = 80
_COMPARED_NAMES = 500


class Fault(Exception):
    """Why an expression cannot be compiled or evaluated; ``position`` counts characters in its text."""

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


class StepView(NamedTuple):
    """A step as expressions see it. ``status`` is the value of a ``StepStatus``; ``visit`` is 0 until it first starts."""

    result: Any
    status: str
    error: str | None
    visit: int


class Steps(Protocol):
    """Where expressions find ``steps.<node id>``."""

    def find_step(self, node_id: str) -> StepView | None:
        """The step of this node; None where the graph has no such node."""

    def step_ids(self) -> Iterable[str]:
        """All node ids, for messages."""


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()
"""Stands for a name that has no value where the expression is."""


class _NoSteps:
    def find_step(self, node_id: str) -> StepView | None:  # noqa: ARG002 - the protocol's
        return None

    def step_ids(self) -> Iterable[str]:
        return ()


_NO_STEPS = _NoSteps()


class Scope:
    """The values of the names for one evaluation. Filled by the engine, used by one thread at a time.

    ``left`` and ``locals`` belong to the evaluation: the work it may still do, and its comprehensions' variables.
    """

    __slots__ = ("index", "item", "left", "locals", "result", "run", "state", "steps", "visit")

    def __init__(
        self,
        state: dict[str, Any] | None = None,
        result: Any = UNSET,
        steps: Steps = _NO_STEPS,
        visit: int = 0,
        item: Any = UNSET,
        index: Any = UNSET,
        run: Mapping[str, Any] | None = None,
    ) -> None:
        self.state: dict[str, Any] = {} if state is None else state
        self.result = result
        self.steps = steps
        self.visit = visit
        self.item = item
        self.index = index
        self.run: Mapping[str, Any] = {} if run is None else run
        self.left = MAX_WORK
        self.locals: list[Any] = []

    def spend(self, work: int) -> None:
        """Count work; raises ``Fault`` when the evaluation has had its share."""
        self.left -= work
        if self.left < 0:
            raise Fault("it takes too much work to evaluate; let a tool compute this")

    def spend_on(self, value: Any) -> None:
        """Count the work of going through all of a value."""
        self.spend(weigh(value, self.left))


def weigh(value: Any, limit: int) -> int:
    """The size of a JSON value in units of work: items at all levels, and one for every 16 characters of text.

    Stops soon after ``limit``. What occurs more than once counts every time, as it would when written as JSON.
    """
    kind = type(value)
    if kind is str:
        return 1 + (len(value) >> 4)
    if kind is not list and kind is not dict:
        return 1
    total = 1
    stack = [value]
    while stack:
        value = stack.pop()
        total += len(value)
        if total > limit:
            return total
        for item in value.values() if type(value) is dict else value:
            kind = type(item)
            if kind is list or kind is dict:
                stack.append(item)
            elif kind is str:
                total += len(item) >> 4
    return total


def name_type(value: Any) -> str:
    """What kind of JSON value this is, in the words of the messages."""
    match value:
        case None:
            return "None"
        case bool():
            return "true/false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "an object"
    return type(value).__name__


def shorten(name: str) -> str:
    """A name as messages show it."""
    return name if len(name) <= _SHOWN_LENGTH else name[: _SHOWN_LENGTH - 3] + "..."


def list_names(names: Iterable[str], wanted: str | None = None) -> str:
    """Names for a message, those most like ``wanted`` first, then by alphabet, cut after a dozen."""
    ordered = sorted(names)
    if wanted is not None:
        close = get_close_matches(
            wanted[:100], [name for name in ordered[:_COMPARED_NAMES] if len(name) <= 100]
        )
        ordered = close + [name for name in ordered if name not in close]
    shown = [
        name if name.isprintable() and name else repr(name) for name in map(shorten, ordered[:_SHOWN_NAMES])
    ]
    if len(ordered) > len(shown):
        shown.append(f"and {len(ordered) - len(shown)} more")
    return ", ".join(shown)


def describe_missing(key: str, owner: str, names: Iterable[str]) -> str:
    """The message for a field that is not there: ``no field 'scor' in state; it has score, items, name``."""
    known = list_names(names, key)
    return f"no field {shorten(key)!r} in {owner}; " + (f"it has {known}" if known else "it is empty")
