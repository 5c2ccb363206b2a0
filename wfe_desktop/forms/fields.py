"""What a form knows of a parameter, made from its JSON Schema: its kind, its limits, and text <-> value.

Nothing here changes a value on its own: text that is no number stays the text it is, and the form says so.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias

from engine.errors import ValidationError
from engine.flow.secrets import is_secret
from engine.flow.strict_json import parse_json
from engine.model.tool import InputPort
from engine.tools.schemas import schema_types
from wfe_desktop.forms.schema import Schema, check_value, resolve, split_null


class Unset(Enum):
    """The type of ``UNSET``."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
"""No literal value: the state or the default counts. Not the same as null."""
MaybeValue: TypeAlias = Any | Unset


class Kind(Enum):
    """Which widget edits a value."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"
    LONG_TEXT = "long text"
    PATH = "path"
    WORKFLOW = "workflow"
    CHOICE = "choice"
    SCALAR = "scalar"
    JSON = "json"


_LONG_NAMES = frozenset(
    {"body", "code", "content", "html", "markdown", "message", "prompt", "script", "template", "text"}
)
_LONG_FORMATS = frozenset({"multiline", "textarea", "markdown", "html", "code"})
_PATH_FORMATS = frozenset({"path", "file-path", "directory-path"})
_PATH_NAMES = frozenset({"path", "file", "filename", "file_name", "folder", "directory"})
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WORDS = {"string": "text", "array": "list", "boolean": "true or false"}


class FieldError(ValueError):
    """Text that is no value of this field. ``str(error)`` is the sentence under it."""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A field of a form. ``default`` counts only where ``required`` is false."""

    name: str
    kind: Kind
    schema: Schema
    hint: str = ""
    description: str = ""
    required: bool = False
    default: Any = None
    nullable: bool = False
    choices: tuple[Any, ...] = ()
    takes_text: bool = False
    """Of kinds SCALAR and JSON: what is not JSON is text."""
    empty: str = ""
    """Said in the empty field in place of the default."""

    def parse(self, text: str) -> Any:
        """The value of a text that is not empty. Raises FieldError."""
        match self.kind:
            case Kind.INTEGER:
                return _parse_integer(text)
            case Kind.NUMBER:
                return _parse_number(text)
            case Kind.SCALAR | Kind.JSON:
                return self._parse_json(text)
            case _:
                return text

    def _parse_json(self, text: str) -> Any:
        try:
            return parse_json(text)
        except ValidationError as error:
            if self.takes_text:
                return text
            raise FieldError(f"This is not JSON: {error.message.removeprefix('not JSON: ')}.") from error

    def read(self, text: str) -> MaybeValue:
        """The value to keep for a text, whatever it is: nothing for no text, the text itself where it is no value."""
        if not text:
            return UNSET
        try:
            return self.parse(text)
        except FieldError:
            return text

    def format(self, value: Any) -> str:
        """The text that stands for a value; ``read`` gives the value back."""
        if value is UNSET or value is None:
            return ""
        if isinstance(value, str):
            ambiguous = self.takes_text and self.kind in (Kind.SCALAR, Kind.JSON) and _is_json(value)
            return json.dumps(value, ensure_ascii=False) if ambiguous else value
        if isinstance(value, dict | list) and value:
            return json.dumps(value, ensure_ascii=False, indent=None if self.kind is Kind.SCALAR else 2)
        return json.dumps(value, ensure_ascii=False)

    def check(self, value: MaybeValue) -> str | None:
        """What is wrong with a value, as a sentence; None where nothing is."""
        if value is UNSET or is_secret(value):
            return None
        if isinstance(value, str) and not (
            self.kind in (Kind.TEXT, Kind.LONG_TEXT, Kind.PATH, Kind.WORKFLOW) or self.takes_text
        ):
            try:
                self.parse(value)
            except FieldError as error:
                return str(error)
        return check_value(self.schema, value)

    @property
    def placeholder(self) -> str:
        """What counts while nothing is set, said in the empty field."""
        if self.empty:
            return self.empty
        if self.required:
            return f"state.{self.name}"
        if self.default is None:
            return "null (default)"
        if self.default == "":
            return "empty (default)"
        is_text = isinstance(self.default, str)
        shown = self.default if is_text else json.dumps(self.default, ensure_ascii=False)
        shown = " ".join(shown.split())
        return f"{shown if len(shown) <= 40 else shown[:39] + '…'} (default)"


def make_spec(port: InputPort) -> FieldSpec:
    """The field for a tool's parameter."""
    plain, nullable = split_null(port.schema)
    choices = _choices(plain)
    types = schema_types(plain)
    kind = _kind(port.name, plain, types, choices)
    return FieldSpec(
        name=port.name,
        kind=kind,
        schema=port.schema,
        hint=_hint(plain, types, choices, nullable=nullable),
        description=port.description or str(plain.get("description", "")),
        required=port.required,
        default=port.default,
        nullable=nullable,
        choices=choices,
        takes_text=not types or "string" in types,
    )


def free_spec(name: str) -> FieldSpec:
    """A field for any JSON value."""
    return FieldSpec(name, Kind.JSON, {}, hint="any", required=True, takes_text=True)


def _kind(name: str, schema: Schema, types: frozenset[str], choices: tuple[Any, ...]) -> Kind:
    if choices:
        return Kind.CHOICE
    if types == {"integer"}:
        return Kind.INTEGER
    if types and types <= {"integer", "number"}:
        return Kind.NUMBER
    if types == {"boolean"}:
        return Kind.BOOLEAN
    if types == {"string"}:
        return _text_kind(name.lower(), str(schema.get("format", "")))
    if types and types <= {"string", "integer", "number", "boolean"}:
        return Kind.SCALAR
    return Kind.JSON


def _text_kind(name: str, form: str) -> Kind:
    if form == "workflow":
        return Kind.WORKFLOW
    if form in _PATH_FORMATS or name in _PATH_NAMES or name.endswith("_path"):
        return Kind.PATH
    return Kind.LONG_TEXT if form in _LONG_FORMATS or name in _LONG_NAMES else Kind.TEXT


def _choices(schema: Schema) -> tuple[Any, ...]:
    schema = resolve(schema, schema)
    if "enum" in schema:
        return tuple(schema["enum"])
    options = schema.get("anyOf") or schema.get("oneOf") or ()
    if options and all("const" in option for option in options):
        return tuple(option["const"] for option in options)
    return ("const" in schema and (schema["const"],)) or ()


def _hint(schema: Schema, types: frozenset[str], choices: tuple[Any, ...], *, nullable: bool) -> str:
    resolved = resolve(schema, schema)
    if choices:
        words = "choice"
    elif types == {"array"} and isinstance(resolved.get("items"), Mapping):
        inner = _type_words(schema_types({**resolved["items"], "$defs": schema.get("$defs", {})}))
        words = "list" if inner == "any" else f"list of {inner}"
    else:
        words = _type_words(types)
    limits = _range(resolved)
    return " · ".join(part for part in (words, limits, "or null" if nullable else "") if part)


def _type_words(types: frozenset[str]) -> str:
    shown = types - {"integer"} if "number" in types else types
    return " or ".join(_WORDS.get(name, name) for name in sorted(shown)) or "any"


def _range(schema: Schema) -> str:
    """``1–50``, ``≥ 1``, ``< 10``; for text and lists the limits of their length."""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{low}–{high}"
    parts = [
        f"{sign} {limit}"
        for sign, limit in (("≥", low), (">", above), ("≤", high), ("<", below))
        if limit is not None
    ]
    longest = schema.get("maxLength", schema.get("maxItems"))
    if longest is not None:
        parts.append(f"up to {longest}")
    return ", ".join(parts)


def _parse_integer(text: str) -> int:
    if not _INTEGER.fullmatch(text.strip()):
        raise FieldError("Takes a whole number.")
    if len(text.strip()) > 20 or not -(2**63) <= int(text) < 2**63:
        raise FieldError("This number does not fit into 64 bits.")
    return int(text)


def _parse_number(text: str) -> int | float:
    stripped = text.strip()
    if _INTEGER.fullmatch(stripped):
        return _parse_integer(stripped)
    if not _NUMBER.fullmatch(stripped):
        raise FieldError("Takes a number.")
    value = float(stripped)
    if not math.isfinite(value):
        raise FieldError("This number is too large.")
    return value


def _is_json(text: str) -> bool:
    try:
        parse_json(text)
    except ValidationError:
        return text == ""
    return True
