"""Type hints as pydantic adapters and JSON Schema, and schemas in words."""

from __future__ import annotations

import sys
import typing
from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union

import typing_extensions
from pydantic import TypeAdapter

from engine.model.tool import PortType

Schema: TypeAlias = dict[str, Any]

# Most hints are one of these; a union equals its reverse, so no more than these may share an adapter.
_SIMPLE = (Any, str, int, float, bool, dict[str, Any])

_PORT_TYPES = {
    "string": PortType.TEXT,
    "integer": PortType.NUMBER,
    "number": PortType.NUMBER,
    "boolean": PortType.BOOLEAN,
    "array": PortType.LIST,
    "object": PortType.OBJECT,
}
_WORDS = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "object",
    "null": "null",
}


def make_adapter(hint: Any) -> TypeAdapter[Any]:
    """The pydantic adapter of a type hint. Raises what pydantic raises for hints it does not know."""
    if hint in _SIMPLE:
        return _simple_adapter(hint)
    return TypeAdapter(modernize(hint))


@cache
def _simple_adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def make_schema(adapter: TypeAdapter[Any], mode: Literal["validation", "serialization"]) -> Schema:
    """The JSON Schema (2020-12) of what the adapter takes, or gives. Self-contained: ``$defs`` is inside."""
    return adapter.json_schema(mode=mode)


def modernize(hint: Any) -> Any:
    """The hint with typing.TypedDict exchanged for its like that pydantic takes on Python 3.11."""
    if sys.version_info >= (3, 12):
        return hint
    if isinstance(hint, type) and typing.is_typeddict(hint):
        return _modernize_typed_dict(hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is None or origin is Literal:
        return hint
    if origin is Annotated:
        inner = modernize(args[0])
        return hint if inner is args[0] else Annotated[(inner, *args[1:])]
    new = tuple(modernize(arg) if not isinstance(arg, list) else arg for arg in args)
    if all(one is other for one, other in zip(new, args, strict=True)):
        return hint
    if origin in (Union, UnionType):
        return Union[new]  # noqa: UP007 - the hint is a value here
    return hint.copy_with(new) if hasattr(hint, "copy_with") else origin[new]


def _modernize_typed_dict(hint: Any) -> Any:
    fields: dict[str, Any] = {}
    for name, of in typing.get_type_hints(hint, include_extras=True).items():
        # Under "from __future__ import annotations" the class itself takes every key for a required one.
        required, inner = name in hint.__required_keys__, of
        while (qualifier := typing.get_origin(inner)) in (typing.Required, typing.NotRequired):
            required, inner = qualifier is typing.Required, typing.get_args(inner)[0]
        inner = modernize(inner)
        fields[name] = inner if required else typing.NotRequired[inner]
    made: Any = typing_extensions.TypedDict(hint.__name__, fields)  # type: ignore[misc]
    made.__doc__ = hint.__doc__
    return made


def schema_types(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> frozenset[str]:
    """The JSON types a schema allows; empty where it does not say, so that anything may come.

    ``root``: the whole that its references point into, where it is a part.
    """
    return _types_of(schema, schema if root is None else root, 0)


def _types_of(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> frozenset[str]:
    if depth > 20:
        return frozenset()
    if "$ref" in schema:
        return _types_of(find_reference(schema["$ref"], root), root, depth + 1)
    declared = schema.get("type")
    if declared is not None:
        return frozenset([declared] if isinstance(declared, str) else declared)
    if "const" in schema or "enum" in schema:
        return frozenset(json_type(value) for value in schema.get("enum", [schema.get("const")]))
    for combined in ("anyOf", "oneOf"):
        if combined in schema:
            found = [_types_of(option, root, depth + 1) for option in schema[combined]]
            return frozenset().union(*found) if all(found) else frozenset()
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return _types_of(schema["allOf"][0], root, depth + 1)
    return frozenset()


def find_reference(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a ``$ref`` inside ``root`` stands for; empty where it leads nowhere."""
    target: Any = root
    for part in reference.removeprefix("#/").split("/"):
        target = target.get(part.replace("~1", "/").replace("~0", "~"), {})
    return typing.cast("Mapping[str, Any]", target)


def json_type(value: object) -> str:
    """The JSON Schema type of a JSON value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list() | tuple():
            return "array"
        case _:
            return "object"


def port_type(schema: Mapping[str, Any]) -> PortType:
    """What kind of value the schema is for; "or null" does not count."""
    kinds = {_PORT_TYPES[name] for name in schema_types(schema) - {"null"}}
    return kinds.pop() if len(kinds) == 1 else PortType.ANY


def describe_schema(schema: Mapping[str, Any]) -> str:
    """What the schema takes, in words: ``integer from 1 to 50``, ``one of "a", "b"``."""
    return _describe(schema, schema, 0)


def _describe(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
    if depth > 4:
        return "value"
    if "$ref" in schema:
        return _describe(find_reference(schema["$ref"], root), root, depth + 1)
    if "enum" in schema:
        choices = [show(value) for value in schema["enum"]]
        return f"one of {', '.join(choices)}" if len(choices) > 1 else "".join(choices)
    if "const" in schema:
        return show(schema["const"])
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(_describe(option, root, depth + 1) for option in options))
    kind = schema.get("type")
    if not isinstance(kind, str):
        return "any value"
    if kind == "string" and "format" in schema:
        return {"date": "date", "date-time": "date and time", "path": "path", "uri": "URL"}.get(
            schema["format"], f"text ({schema['format']})"
        )
    words = _WORDS.get(kind, kind)
    if kind == "array" and schema.get("items"):
        words += f" of {_describe(schema['items'], root, depth + 1)}"
    return words + _limits(schema, kind)


def _limits(schema: Mapping[str, Any], kind: str) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    parts = []
    if low is not None and high is not None:
        parts.append(f"from {low} to {high}")
    elif low is not None:
        parts.append(f"of at least {low}")
    elif high is not None:
        parts.append(f"of at most {high}")
    if above is not None:
        parts.append(f"above {above}")
    if below is not None:
        parts.append(f"below {below}")
    unit = {
        "string": ("minLength", "maxLength", "characters"),
        "array": ("minItems", "maxItems", "items"),
    }.get(kind)
    if unit:
        least, most = schema.get(unit[0]), schema.get(unit[1])
        if least is not None:
            parts.append(f"with at least {least} {unit[2]}")
        if most is not None:
            parts.append(f"with at most {most} {unit[2]}")
    if "pattern" in schema:
        parts.append(f"matching {schema['pattern']}")
    return "".join(f" {part}" for part in parts)


def show(value: object) -> str:
    """A short text for a JSON value, for messages: never longer than some 60 characters."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value[:40]}…"' if len(value) > 40 else f'"{value}"'
        case int() | float():
            return "very large" if isinstance(value, int) and abs(value) >= 10**40 else str(value)
        case list() | tuple():
            return f"a list of {len(value)}"
        case dict():
            keys = ", ".join(str(key)[:20] for key in list(value)[:4])
            more = ", …" if len(value) > 4 else ""
            return f"an object with {keys}{more}" if value else "an empty object"
        case _:
            return f"a {type(value).__name__}"


def describe_value(value: object) -> str:
    """What came, in words: ``text "x"``, ``number 5``, ``null``."""
    match value:
        case str():
            return f"text {show(value)}"
        case bool() | None:
            return show(value)
        case int() | float():
            return f"number {show(value)}"
        case _:
            return show(value)
