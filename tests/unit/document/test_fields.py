from typing import Annotated, Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field

from engine.tools.registry import ToolRegistry
from tests.unit.json_values import json_values
from wfe_desktop.document.edits import same_json
from wfe_desktop.forms.fields import UNSET, FieldSpec, Kind, free_spec, make_spec


def _tool(  # noqa: PLR0917 - one parameter a kind of field
    count: Annotated[int, Field(ge=1, le=50)] = 5,
    ratio: Annotated[float, Field(gt=0)] = 1e-9,
    flag: bool = False,
    name: Annotated[str, Field(max_length=80)] = "x",
    template: str = "",
    file_path: str = "",
    mode: Literal["a", "b"] = "a",
    maybe: int | None = 3,
    either: int | str = 0,
    tags: list[str] = [],  # noqa: B006 - a default of a tool
    data: dict[str, Any] = {},  # noqa: B006
    anything: Any = None,
    *,
    needed: list[dict[str, int]],
) -> None: ...


SPECS = {port.name: make_spec(port) for port in ToolRegistry().register_tool("t", _tool, "A tool").inputs}


@pytest.mark.parametrize(
    ("name", "kind", "hint"),
    [
        ("count", Kind.INTEGER, "integer · 1–50"),
        ("ratio", Kind.NUMBER, "number · > 0"),
        ("flag", Kind.BOOLEAN, "true or false"),
        ("name", Kind.TEXT, "text · up to 80"),
        ("template", Kind.LONG_TEXT, "text"),
        ("file_path", Kind.PATH, "text"),
        ("mode", Kind.CHOICE, "choice"),
        ("maybe", Kind.INTEGER, "integer · or null"),
        ("either", Kind.SCALAR, "integer or text"),
        ("tags", Kind.JSON, "list of text"),
        ("data", Kind.JSON, "object"),
        ("anything", Kind.JSON, "any"),
        ("needed", Kind.JSON, "list of object"),
    ],
)
def test_the_schema_says_which_widget_and_which_hint(name, kind, hint):
    assert (SPECS[name].kind, SPECS[name].hint) == (kind, hint)


@pytest.mark.parametrize(
    ("name", "text", "value", "fault"),
    [
        ("count", "", UNSET, None),
        ("count", "7", 7, None),
        ("count", "70", 70, "Must be at most 50."),
        ("count", "0", 0, "Must be at least 1."),
        ("count", "seven", "seven", "Takes a whole number."),
        ("count", "7.5", "7.5", "Takes a whole number."),
        ("count", "9" * 25, "9" * 25, "This number does not fit into 64 bits."),
        ("count", "٣", "٣", "Takes a whole number."),
        ("ratio", "1e-9", 1e-9, None),
        ("ratio", "1e", "1e", "Takes a number."),
        ("ratio", "1e999", "1e999", "This number is too large."),
        ("ratio", "nan", "nan", "Takes a number."),
        ("ratio", "0", 0, "Must be more than 0."),
        ("ratio", "2", 2, None),
        ("name", "5", "5", None),
        ("name", "x" * 81, "x" * 81, "Must have at most 80 characters."),
        ("maybe", "4", 4, None),
        ("either", "4", 4, None),
        ("either", "four", "four", None),
        ("either", '"4"', "4", None),
        ("tags", '["a"]', ["a"], None),
        ("tags", '["a", 1]', ["a", 1], "Item 2 takes text."),
        ("tags", '["a"', '["a"', "This is not JSON:"),
        ("tags", "{}", {}, "Takes a list."),
        ("data", '{"a": NaN}', '{"a": NaN}', "This is not JSON: a: NaN is not JSON."),
        ("anything", "hello", "hello", None),
        ("anything", "5", 5, None),
        ("anything", "null", None, None),
        ("needed", '[{"a": "x"}]', [{"a": "x"}], None),
    ],
)
def test_what_is_typed_is_kept_and_judged(name, text, value, fault):
    spec = SPECS[name]
    read = spec.read(text)
    assert (read is value) or same_json(read, value)
    found = spec.check(read)
    assert found is None if fault is None else found is not None and found.startswith(fault)


def test_unset_says_what_counts_instead():
    assert SPECS["count"].placeholder == "5 (default)"
    assert SPECS["ratio"].placeholder == "1e-09 (default)"
    assert SPECS["template"].placeholder == "empty (default)"
    assert SPECS["needed"].placeholder == "state.needed"
    assert SPECS["anything"].placeholder == "null (default)"


@given(json_values(8).filter(lambda value: value is not None))
def test_any_value_survives_its_text(value):
    spec = free_spec("x")
    back = spec.read(spec.format(value))
    assert same_json(back, value)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1))
@example(-(2**63))
def test_any_number_survives_its_text(value):
    spec = FieldSpec("n", Kind.NUMBER, {"type": "number"})
    back = spec.read(spec.format(value))
    assert back == value
    assert spec.check(back) is None


@given(st.text(min_size=1))
def test_any_text_survives_a_text_field(text):
    spec = SPECS["template"]
    assert spec.read(spec.format(text)) == text


@pytest.mark.parametrize(
    "name", ["count", "ratio", "flag", "name", "file_path", "mode", "maybe", "tags", "data"]
)
def test_a_reference_to_a_secret_is_taken_by_every_field_and_stays_what_it_is(name):
    reference = "{{secret:API_KEY}}"
    spec = SPECS[name]
    assert spec.check(reference) is None
    assert spec.read(spec.format(reference)) == reference
