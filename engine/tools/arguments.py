"""Arguments to a tool's type hints: pydantic's lax conversions, without the surprising ones.

Each parameter has a validator of its own, so no name of a parameter can collide with anything of pydantic's.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pydantic
from pydantic import TypeAdapter

from engine.errors import ArgumentError
from engine.tools.schemas import Schema, describe_schema, describe_value, schema_types

# A value of just this type already is what the hint asks for.
_EXACT: dict[Any, type] = {
    Any: object,
    str: str,
    int: int,
    bool: bool,
    float: float,
    list: list,
    list[Any]: list,
    dict: dict,
    dict[str, Any]: dict,
}
_ANYTHING = object


@dataclass(frozen=True, slots=True, eq=False)
class ParameterSpec:
    """What a parameter takes. ``hint`` decides the fast path, ``adapter`` everything else."""

    name: str
    hint: Any
    adapter: TypeAdapter[Any]
    schema: Schema
    required: bool
    validate: Callable[[Any], Any] = field(init=False)
    exact: type | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "validate", self.adapter.validator.validate_python)
        try:
            exact = _EXACT.get(self.hint)
        except TypeError:  # not hashable
            exact = None
        object.__setattr__(self, "exact", exact)


def make_coerce(
    parameters: Sequence[ParameterSpec], extra: ParameterSpec | None
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The ``Tool.coerce`` of these parameters; ``extra`` is what ``**kwargs`` takes, where there is one.

    The function it returns gives a new dict and changes nothing it was given; values that need no conversion are
    handed on as they are. Parameters that were left out stay out, so that the function's defaults hold. Raises
    ``ArgumentError`` that tells of every parameter that is wrong.
    """
    specs = {spec.name: spec for spec in parameters}
    exact = {spec.name: spec.exact for spec in parameters}
    required = frozenset(spec.name for spec in parameters if spec.required)

    def coerce(arguments: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, value in arguments.items():
            wanted = exact.get(name)
            if wanted is type(value) or wanted is _ANYTHING:
                made[name] = value
            else:
                spec = specs.get(name, extra)
                if spec is None:
                    raise _explain(arguments, specs, extra, required)
                try:
                    made[name] = _convert(spec, value)
                except ValueError:
                    raise _explain(arguments, specs, extra, required) from None
        if not required <= made.keys():
            raise _explain(arguments, specs, extra, required)
        return made

    return coerce


def _convert(spec: ParameterSpec, value: Any) -> Any:
    if value is True or value is False:
        types = schema_types(spec.schema)
        if types and "boolean" not in types:
            raise ValueError  # pydantic would make it 1 or 0
    converted = spec.validate(value)
    if isinstance(value, str) and isinstance(converted, float) and not math.isfinite(converted):
        raise ValueError  # the texts "nan" and "inf": no JSON number
    return converted


def _explain(
    arguments: Mapping[str, Any],
    specs: Mapping[str, ParameterSpec],
    extra: ParameterSpec | None,
    required: frozenset[str],
) -> ArgumentError:
    """The error about all that is wrong with the arguments."""
    faults: dict[str, str] = {}
    for name, value in arguments.items():
        spec = specs.get(name, extra)
        if spec is None:
            near = difflib.get_close_matches(name, list(specs), 1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            faults[name] = f'there is no parameter "{name}"{hint}'
            continue
        try:
            _convert(spec, value)
        except ValueError as error:
            faults[name] = f'parameter "{name}": {_mismatch(spec, value, error)}'
    for name in specs:
        if name in required and name not in arguments:
            faults[name] = f'parameter "{name}" has no value; expected {describe_schema(specs[name].schema)}'
    message = "; ".join(faults.values())
    return ArgumentError(message[:1].upper() + message[1:], {"parameters": dict(faults)})


def _mismatch(spec: ParameterSpec, value: Any, error: ValueError) -> str:
    expected = f"expected {describe_schema(spec.schema)}"
    if _is_secret(spec.schema):
        return f"{expected}, got something else"
    text = f"{expected}, got {describe_value(value)}"
    if not isinstance(error, pydantic.ValidationError):
        return text
    first = error.errors(include_url=False, include_context=False)[0]
    if first["loc"] and isinstance(value, dict | list):
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(
            "."
        )
        came = "" if first["type"] == "missing" else f", got {describe_value(first['input'])}"
        return f"{text} (at {place}: {_lower(first['msg'])}{came})"
    if first["type"] == "value_error":
        return f"{text} ({first['msg'].removeprefix('Value error, ')})"
    return text


def _is_secret(schema: Mapping[str, Any]) -> bool:
    return any(
        option.get("writeOnly") or option.get("format") == "password"
        for option in (schema, *schema.get("anyOf", ()))
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
