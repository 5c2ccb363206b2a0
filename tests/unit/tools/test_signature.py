"""Functions as tools: ports, schemas, texts, and what is refused."""

import enum
import functools
import math
import pathlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NotRequired, Optional, TypedDict

import pytest
import typing_extensions
from pydantic import BaseModel, Field

from engine.errors import ToolDefinitionError
from engine.model.tool import PortType
from engine.tools.context import ToolContext
from engine.tools.decorator import tool
from engine.tools.signature import build_tool, make_label

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForCheckers


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Pair(NamedTuple):
    """Two.

    Attributes:
        left: The left one.
        right: The right one.
    """

    left: int
    right: str


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Credits(typing_extensions.TypedDict):
    movies: list[Movie]


@dataclass
class Point:
    x: float
    y: float


class Person(BaseModel):
    name: str = Field(description="What they are called.")
    age: int


def inputs_of(function: Any) -> dict[str, Any]:
    return {port.name: port for port in build_tool("a_tool", function).inputs}


def outputs_of(function: Any) -> dict[str, PortType]:
    return {port.name: port.type for port in build_tool("a_tool", function).outputs}


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (str, "text"),
        (int, "number"),
        (float, "number"),
        (bool, "boolean"),
        (list[int], "list"),
        (tuple[int, str], "list"),
        (dict[str, int], "object"),
        (Point, "object"),
        (date, "text"),
        (Literal[1, 2], "number"),
        (Literal[1, "a"], "any"),
        (Any, "any"),
        (int | str, "any"),
        (int | float, "number"),
        (int | None, "number"),
        (object, "any"),
    ],
)
def test_the_type_of_a_parameter_becomes_the_type_of_its_port(hint: Any, kind: str) -> None:
    def function(a): ...

    function.__annotations__["a"] = hint
    assert inputs_of(function)["a"].type.value == kind


def test_constraints_choices_and_defaults_are_in_the_schema() -> None:
    def function(
        a: Annotated[int, Field(ge=1, le=50, description="How many.")] = 5,
        b: Literal["x", "y"] = "x",
        c: Colour = Colour.RED,
        d: Optional[str] = None,  # noqa: UP045
        e: pathlib.Path = pathlib.Path("here"),
        f: date = date(2026, 3, 31),
    ) -> None: ...

    ports = inputs_of(function)
    assert ports["a"].schema == {
        "type": "integer", "minimum": 1, "maximum": 50, "default": 5, "description": "How many.",
    }  # fmt: skip
    assert ports["a"].description == "How many."
    assert ports["b"].schema["enum"] == ["x", "y"]
    assert (ports["c"].schema["enum"], ports["c"].default) == (["red", "blue"], "red")
    assert (ports["d"].required, ports["d"].default) == (False, None)
    assert ports["e"].default == "here"
    assert ports["f"].schema == {"type": "string", "format": "date", "default": "2026-03-31"}


def test_a_default_without_a_json_form_is_kept_out_of_the_schema() -> None:
    nothing = object()

    def function(a: Any = nothing, b: float = math.inf) -> bool:
        return a is nothing and b == math.inf

    made = build_tool("a_tool", function)
    assert [(port.required, port.default, "default" in port.schema) for port in made.inputs] == [
        (False, None, False),
        (False, None, False),
    ]
    assert made.function(**made.coerce({})) is True


def test_a_default_of_none_allows_none() -> None:
    def function(a: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    assert build_tool("a_tool", function).coerce({"a": None}) == {"a": None}


def test_annotations_written_as_text_are_found_out() -> None:
    class Local(NamedTuple):
        a: int

    def function(one: "Local", two: "Annotated[int, Field(ge=1)]") -> "Local":
        return Local(two) if one else one

    assert inputs_of(function)["two"].schema["minimum"] == 1
    assert outputs_of(function) == {"result": PortType.OBJECT, "a": PortType.NUMBER}


def test_a_type_that_only_checkers_know_is_refused_for_a_parameter_and_open_for_a_result() -> None:
    def refused(price: "OnlyForCheckers") -> None: ...

    def fine() -> "OnlyForCheckers": ...  # type: ignore[empty-body]

    with pytest.raises(ToolDefinitionError, match=r"type of parameter \"price\".*not only for type checkers"):
        build_tool("a_tool", refused)
    assert outputs_of(fine) == {"result": PortType.ANY}


@pytest.mark.parametrize(
    ("hint", "ports"),
    [
        (Pair, {"result": "object", "left": "number", "right": "text"}),
        (Point, {"result": "object", "x": "number", "y": "number"}),
        (Movie, {"result": "object", "title": "text", "year": "number"}),
        (Credits, {"result": "object", "movies": "list"}),
        (Person, {"result": "object", "name": "text", "age": "number"}),
        (list[Point], {"result": "list"}),
        (None, {"result": "any"}),
        (threading.Thread, {"result": "any"}),
    ],
)
def test_a_result_has_a_port_for_the_whole_and_one_a_field(hint: Any, ports: dict[str, str]) -> None:
    def function(): ...

    function.__annotations__["return"] = hint
    assert {name: kind.value for name, kind in outputs_of(function).items()} == ports


def test_fields_of_a_result_are_described_by_their_class() -> None:
    def pair() -> Pair: ...  # type: ignore[empty-body]
    def person() -> Person: ...  # type: ignore[empty-body]

    assert [port.description for port in build_tool("a", pair).outputs] == [
        "",
        "The left one.",
        "The right one.",
    ]
    assert build_tool("a", person).find_output("name").description == "What they are called."  # type: ignore[union-attr]


def test_references_in_a_schema_of_a_result_can_be_followed() -> None:
    def function() -> Credits: ...  # type: ignore[empty-body]

    schema = build_tool("a_tool", function).outputs[0].schema
    reference = schema["properties"]["movies"]["items"]["$ref"]
    assert reference == "#/$defs/Movie"
    assert schema["$defs"]["Movie"]["required"] == ["title"]


def test_a_typed_dict_of_the_standard_library_is_checked_on_every_python() -> None:
    def function(movies: list[Movie]) -> None: ...

    coerce = build_tool("a_tool", function).coerce
    assert coerce({"movies": [{"title": "M", "year": "1931"}]}) == {"movies": [{"title": "M", "year": 1931}]}


def test_texts_come_from_the_docstring() -> None:
    def google(a: int, b: int) -> None:
        """Does it
        well.

        At length.

        Args:
            a: The first,
                on two lines.
            b (int): The second.

        Returns:
            Nothing.
        """

    def numpy(a: int, b: int) -> None:
        """Does it well.

        Parameters
        ----------
        a : int
            The first,
            on two lines.
        b
            The second.

        Returns
        -------
        None
        """

    def sphinx(a: int, b: int) -> None:
        """Does it well.

        :param a: The first,
            on two lines.
        :param int b: The second.
        :returns: Nothing.
        """

    for function in (google, numpy, sphinx):
        made = build_tool("a_tool", function)
        assert made.description == "Does it well."
        assert [port.description for port in made.inputs] == ["The first, on two lines.", "The second."]


def test_what_is_declared_wins_over_what_is_found() -> None:
    @tool(description="Declared.", category="Sums", label="The sum", state_reads=["a"], state_writes=["b"])
    def function(state: dict[str, Any]) -> dict[str, Any]:
        """Found."""
        return state

    made = build_tool("a_tool", function)
    assert (made.description, made.category, made.label) == ("Declared.", "Sums", "The sum")
    assert (made.state_reads, made.state_writes) == (("a",), ("b",))
    assert function({"a": 1}) == {"a": 1}


def test_state_context_and_extra_parameters_are_no_inputs() -> None:
    def function(
        state, operation: str, context: ToolContext | None = None, **kwargs: int
    ) -> dict[str, Any]: ...  # type: ignore[empty-body]

    made = build_tool("a_tool", function)
    assert [port.name for port in made.inputs] == ["operation"]
    assert (made.takes_state, made.takes_context, made.takes_any) == (True, True, True)
    assert made.coerce({"operation": "x", "extra": "5"}) == {"operation": "x", "extra": 5}
    assert made.outputs[0].type is PortType.OBJECT


def test_a_context_of_another_type_is_an_ordinary_parameter() -> None:
    def function(context: str) -> str:
        return context

    made = build_tool("a_tool", function)
    assert (made.takes_context, [port.name for port in made.inputs]) == (False, ["context"])


class Machine:
    def method(self, x: int, *, y: int = 2) -> str:
        """A method."""
        return "x" * x * y

    async def __call__(self, z: int) -> int:
        """A call."""
        return z


def test_methods_partials_wrappers_and_callable_objects_are_tools() -> None:
    @functools.wraps(Machine().method)
    def wrapper(*args: Any, **kwargs: Any) -> str:
        return Machine().method(*args, **kwargs)

    for function, names in [
        (Machine().method, ["x", "y"]),
        (functools.partial(Machine().method, 3), ["y"]),
        (wrapper, ["x", "y"]),
    ]:
        made = build_tool("a_tool", function)
        assert ([port.name for port in made.inputs], made.description, made.is_async) == (
            names,
            "A method.",
            False,
        )
    called = build_tool("a_tool", Machine())
    assert ([port.name for port in called.inputs], called.description, called.is_async) == (
        ["z"],
        "A call.",
        True,
    )


def test_async_functions_are_told_apart() -> None:
    async def function(x: int) -> int:
        return x

    assert build_tool("a_tool", function).is_async
    assert build_tool("a_tool", functools.partial(function, 1)).is_async


def yields(x: int) -> Iterator[int]:
    yield x


def with_field_default(x: int = Field(default=1)) -> None: ...


def with_state_of_text(state: str) -> None: ...


def with_thread(worker: threading.Thread) -> None: ...


def with_result_field():
    class Odd(NamedTuple):
        result: int

    def function() -> Odd: ...  # type: ignore[empty-body]

    return function


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda *values: values, r"\*values has no names to give values to; take a list instead"),
        (lambda x, /: x, 'parameter "x" cannot be given by name; remove the "/"'),
        (print, r"\*args has no names"),
        (dict.update, "Python does not know its parameters"),
        (int, "it is a class"),
        (5, "it is not a function but 5"),
        (yields, "yields its results one by one; return a list"),
        (with_field_default, r"write Annotated\[type, Field"),
        (with_state_of_text, 'parameter "state" is given the state of the run'),
        (with_thread, 'parameter "worker" has the type Thread, which cannot be made from JSON'),
        (with_result_field(), 'has a field named "result"'),
    ],
)
def test_what_cannot_be_a_tool_is_refused_with_the_reason(function: Any, reason: str) -> None:
    with pytest.raises(ToolDefinitionError, match=reason) as caught:
        build_tool("a_tool", function)
    assert caught.value.message.startswith('The tool "a_tool" cannot be registered: ')


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("code.find_unused", "Find unused"),
        ("sendMail", "Send Mail"),
        ("x", "X"),
        ("math-operation", "Math operation"),
    ],
)
def test_a_label_is_made_from_the_name(name: str, label: str) -> None:
    assert make_label(name) == label
