"""JSON Schema, as far as forms need it: what is wrong with a value, in a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from engine.tools.schemas import find_reference, json_type, schema_types

Schema: TypeAlias = Mapping[str, Any]

_MAX_DEPTH = 20
_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def resolve(schema: Schema, root: Schema) -> Schema:
    """Follows ``$ref`` inside the schema itself, and an ``allOf`` of one."""
    for _ in range(_MAX_DEPTH):
        if "$ref" in schema:
            schema = find_reference(schema["$ref"], root)
        elif len(schema.get("allOf", ())) == 1 and "type" not in schema:
            schema = schema["allOf"][0]
        else:
            break
    return schema


def split_null(schema: Schema) -> tuple[Schema, bool]:
    """The schema without its null, and whether there was one."""
    plain = resolve(schema, schema)
    for combined in ("anyOf", "oneOf"):
        options = plain.get(combined)
        if not options or not any(option.get("type") == "null" for option in options):
            continue
        others = [option for option in options if option.get("type") != "null"]
        kept = {key: value for key, value in plain.items() if key != combined}
        defs = {"$defs": schema["$defs"]} if "$defs" in schema else {}
        only = {**kept, **others[0]} if len(others) == 1 else {**kept, combined: others}
        return {**only, **defs}, True
    declared = plain.get("type")
    if isinstance(declared, list) and "null" in declared:
        left = [name for name in declared if name != "null"]
        return {**plain, "type": left[0] if len(left) == 1 else left}, True
    return schema, False


def check_value(schema: Schema, value: Any) -> str | None:
    """What is wrong with a value, as a sentence; None where nothing is, or nothing that we can tell."""
    fault = _fault(schema, value, schema, 0)
    return None if fault is None else f"{fault[0].upper()}{fault[1:]}."


def _fault(schema: Schema, value: Any, root: Schema, depth: int) -> str | None:
    schema = resolve(schema, root)
    if depth > _MAX_DEPTH:
        return None
    if options := schema.get("anyOf") or schema.get("oneOf"):
        faults = [_fault(option, value, root, depth + 1) for option in options]
        if any(fault is None for fault in faults):
            return None
        fitting = [
            fault
            for option, fault in zip(options, faults, strict=True)
            if _type_fits(schema_types(option, root), value)
        ]
        return fitting[0] if fitting else f"takes {_type_list(schema_types(schema, root))}"
    if not _type_fits(schema_types(schema, root), value):
        return f"takes {_type_list(schema_types(schema, root))}"
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if allowed is not None and value not in allowed:
        return f"must be one of: {', '.join(map(str, allowed))}"
    return _limits(schema, value) or _inside(schema, value, root, depth)


def _type_fits(types: frozenset[str], value: Any) -> bool:
    if not types or json_type(value) in types:
        return True
    if json_type(value) == "integer":
        return "number" in types
    return isinstance(value, float) and value.is_integer() and "integer" in types


def _type_list(types: frozenset[str]) -> str:
    return " or ".join(_WORDS[name] for name in sorted(types) if name in _WORDS) or "nothing"


def _limits(schema: Schema, value: Any) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number_limits(schema, value)
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            return f"must have at least {schema['minLength']} characters"
        if len(value) > schema.get("maxLength", len(value)):
            return f"must have at most {schema['maxLength']} characters"
        return _pattern(schema.get("pattern"), value)
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            return f"must have at least {schema['minItems']} items"
        if len(value) > schema.get("maxItems", len(value)):
            return f"must have at most {schema['maxItems']} items"
    return None


def _number_limits(schema: Schema, value: float) -> str | None:
    if value < schema.get("minimum", value):
        return f"must be at least {schema['minimum']}"
    if value > schema.get("maximum", value):
        return f"must be at most {schema['maximum']}"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        return f"must be more than {schema['exclusiveMinimum']}"
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        return f"must be less than {schema['exclusiveMaximum']}"
    return None


def _pattern(pattern: object, value: str) -> str | None:
    if not isinstance(pattern, str):
        return None
    try:
        return None if re.search(pattern, value) else f"must match {pattern}"
    except re.error:  # JSON Schema's patterns are JavaScript's; what Python cannot read, the tool will check
        return None


def _inside(schema: Schema, value: Any, root: Schema, depth: int) -> str | None:
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for index, item in enumerate(value):
            fault = _fault(schema["items"], item, root, depth + 1)
            if fault is not None:
                return f"item {index + 1} {fault}"
    if isinstance(value, dict):
        for name in schema.get("required", ()):
            if name not in value:
                return f'"{name}" is missing'
        for name, inner in schema.get("properties", {}).items():
            fault = _fault(inner, value[name], root, depth + 1) if name in value else None
            if fault is not None:
                return f'"{name}" {fault}'
    return None
