"""What the rest of the program knows of a tool: its name, ports and schemas. The function itself is in the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


class PortType(StrEnum):
    """What kind of JSON value a port carries; decides its colour and what it may be wired to."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"
    OBJECT = "object"
    ANY = "any"

    def accepts(self, other: PortType) -> bool:
        """Whether a value of type ``other`` may be wired into a port of this type."""
        return self is other or PortType.ANY in (self, other)


@dataclass(frozen=True, slots=True)
class InputPort:
    """A parameter of a tool. ``schema`` is its JSON Schema; ``default`` counts only where ``required`` is false."""

    name: str
    type: PortType
    schema: Mapping[str, Any]
    required: bool
    default: Any = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class OutputPort:
    """A value a tool hands on: ``result`` (the whole) or a field of it."""

    name: str
    type: PortType
    schema: Mapping[str, Any]
    description: str = ""


Effects = Literal["pure", "idempotent", "once"]
"""What running a call again does: nothing at all, nothing more than once did, or something that must not be doubled."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A registered Python function.

    ``takes_state``: it has a parameter named ``state`` and returns changes to the state ("state tool").
    ``takes_context``: it has a parameter named ``context`` (a ``ToolContext``); neither is among ``inputs``.
    ``takes_any``: it has ``**kwargs``, so parameters beyond ``inputs`` are allowed.
    ``waits``: its return type says that its steps may wait, or run another graph.
    ``effects`` says what may be done with a call that a crash interrupted: ``once`` waits for a person's decision.
    ``state_reads`` / ``state_writes``: state keys it declares to read or write, where it does.
    ``version`` is a hash of its code; empty where that cannot be told, since ``unversioned``.
    """

    name: str
    function: Callable[..., Any]
    description: str
    category: str
    label: str
    inputs: tuple[InputPort, ...]
    outputs: tuple[OutputPort, ...]
    takes_state: bool = False
    takes_context: bool = False
    takes_any: bool = False
    is_async: bool = False
    waits: bool = False
    state_reads: tuple[str, ...] = ()
    state_writes: tuple[str, ...] = ()
    effects: Effects = "idempotent"
    source: str = ""
    version: str = ""
    unversioned: str = "it was not registered"
    coerce: Callable[[dict[str, Any]], dict[str, Any]] = field(default=dict, repr=False)
    """Validates and converts arguments to the type hints; raises ArgumentError. Called on the worker."""

    def find_input(self, name: str) -> InputPort | None:
        """The parameter of this name, or None."""
        return next((port for port in self.inputs if port.name == name), None)

    def find_output(self, name: str) -> OutputPort | None:
        """The output port of this name, or None."""
        return next((port for port in self.outputs if port.name == name), None)


Catalog = Mapping[str, Tool]
"""The registered tools by name, as validation and the window see them."""
