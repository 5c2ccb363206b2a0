"""The @tool mark: says how a function wants to be registered, and leaves it the function it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from engine.errors import ToolDefinitionError
from engine.model.tool import Effects

_MARK = "__workflow_tool__"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ToolDeclaration:
    """What ``@tool`` was given. None and empty mean: find out from the function."""

    name: str | None = None
    description: str = ""
    category: str | None = None
    label: str | None = None
    state_reads: tuple[str, ...] = ()
    state_writes: tuple[str, ...] = ()
    effects: Effects | None = None


@overload
def tool(function: F, /) -> F: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str = "",
    category: str | None = None,
    label: str | None = None,
    state_reads: Sequence[str] = (),
    state_writes: Sequence[str] = (),
    effects: Effects | None = None,
) -> Callable[[F], F]: ...


def tool(
    function: F | None = None,
    /,
    *,
    name: str | None = None,
    description: str = "",
    category: str | None = None,
    label: str | None = None,
    state_reads: Sequence[str] = (),
    state_writes: Sequence[str] = (),
    effects: Effects | None = None,
) -> F | Callable[[F], F]:
    """Mark a function as a tool: ``@tool`` or ``@tool(name=..., category=...)``.

    The function itself stays as it is and can be called and tested as before. A marked function is registered by
    ``ToolRegistry.register(function)`` or by putting its file into a folder given with ``--tools``.

    Args:
        function: The function, where the mark is used without brackets.
        name: What graphs call the tool; left out: the function's name.
        description: What it does, for people; left out: the first paragraph of the docstring.
        category: The heading in the palette; left out: "Other".
        label: The title of its nodes; left out: made from the name.
        state_reads: State keys that a state tool reads.
        state_writes: State keys that a state tool sets or removes.
        effects: What running a call again does: ``pure`` and ``idempotent`` (the default) calls that a crash
            interrupted are made again; ``once`` waits for a person's decision.
    """
    declaration = ToolDeclaration(
        name,
        description,
        category,
        label,
        _keys(state_reads, "state_reads"),
        _keys(state_writes, "state_writes"),
        effects,
    )

    def mark(marked: F) -> F:
        try:
            setattr(marked, _MARK, declaration)
        except (AttributeError, TypeError) as error:
            raise ToolDefinitionError(
                f"{marked!r} cannot be marked with @tool; wrap it in a function, or use register_tool(name, it)."
            ) from error
        return marked

    return mark if function is None else mark(function)


def find_declaration(function: object) -> ToolDeclaration | None:
    """What ``@tool`` says about this function; None where it does not carry the mark."""
    found = getattr(function, _MARK, None)
    return found if isinstance(found, ToolDeclaration) else None


def _keys(keys: Sequence[str], what: str) -> tuple[str, ...]:
    if isinstance(keys, str):
        raise ToolDefinitionError(f'{what} takes a list of state keys; write {what}=["{keys}"].')
    return tuple(keys)
