"""A Python function as a Tool: ports and JSON Schema from its type hints, texts from its docstring."""

from __future__ import annotations

import builtins
import dataclasses
import functools
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Optional

import pydantic
import pydantic_core
import typing_extensions
from pydantic.fields import FieldInfo

from engine.errors import ToolDefinitionError
from engine.model.graph import RESULT_PORT
from engine.model.outcome import EndRun, RunWorkflow, WaitForSignal, WaitUntil
from engine.model.tool import InputPort, OutputPort, Tool
from engine.tools.arguments import ParameterSpec, make_coerce
from engine.tools.context import ToolContext
from engine.tools.decorator import ToolDeclaration, find_declaration
from engine.tools.docstrings import read_parameters, read_summary
from engine.tools.schemas import Schema, make_adapter, make_schema, port_type, show

DEFAULT_CATEGORY = "Other"

_STATE = "state"
_CONTEXT = "context"
_NOT_A_STATE: tuple[Any, ...] = (str, int, float, bool, bytes, list, tuple, set)
_HINT_FAULTS = (
    pydantic.errors.PydanticUserError,
    pydantic.errors.PydanticUndefinedAnnotation,
    TypeError,
    RecursionError,
)

_WAITS = (RunWorkflow, WaitForSignal, WaitUntil)
_OUTCOMES = (EndRun, *_WAITS)


def build_tool(name: str, function: Callable[..., Any], declared: ToolDeclaration | None = None) -> Tool:
    """The tool that a function makes under a name.

    What ``declared`` leaves open is taken from the function's ``@tool`` mark, then from the function itself. Raises
    ``ToolDefinitionError`` with the reason where the function cannot be a tool.
    """
    return _Reader(name, function).read(
        declared or ToolDeclaration(), find_declaration(function) or ToolDeclaration()
    )


def default_name(function: Callable[..., Any]) -> str:
    """The name a function is registered under where none is given."""
    declared = find_declaration(function)
    name = (declared and declared.name) or getattr(function, "__name__", "")
    if not name or name == "<lambda>":
        raise ToolDefinitionError(
            f"{function!r} has no name to register it under; use register_tool(name, function)."
        )
    return str(name)


class _Reader:
    """Reads one function."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        self._function = function
        self._check_kind()
        self._inner = _innermost(function)
        self._doc = _docstring(function, self._inner)
        try:
            self._signature = inspect.signature(function)
        except (ValueError, TypeError) as error:
            raise self._fault(
                "Python does not know its parameters; wrap it in a function with type hints"
            ) from error

    def read(self, declared: ToolDeclaration, marked: ToolDeclaration) -> Tool:
        texts = read_parameters(self._doc)
        parameters = [
            parameter for parameter in self._signature.parameters.values() if self._is_parameter(parameter)
        ]
        specs = [self._read_parameter(parameter) for parameter in parameters]
        takes_state = _STATE in self._signature.parameters
        extra = self._read_extra()
        return Tool(
            name=self._name,
            function=self._function,
            description=declared.description or marked.description or read_summary(self._doc),
            category=declared.category or marked.category or DEFAULT_CATEGORY,
            label=declared.label or marked.label or make_label(self._name),
            inputs=tuple(
                self._make_input(spec, parameter, texts.get(spec.name, ""))
                for spec, parameter in zip(specs, parameters, strict=True)
            ),
            outputs=self._read_outputs(takes_state=takes_state),
            takes_state=takes_state,
            takes_context=self._takes_context(),
            takes_any=extra is not None,
            is_async=_is_async(self._function),
            waits=any(part in _WAITS for part in _parts(self._read_result())),
            state_reads=declared.state_reads or marked.state_reads,
            state_writes=declared.state_writes or marked.state_writes,
            effects=declared.effects or marked.effects or "idempotent",
            source=f"{getattr(self._inner, '__module__', '')}:{getattr(self._inner, '__qualname__', '')}",
            coerce=make_coerce(specs, extra),
        )

    # ------------------------------------------------------------------------------------------ what it may be

    def _check_kind(self) -> None:
        function = self._function
        if not callable(function):
            raise self._fault(f"it is not a function but {show(function)}")
        if inspect.isclass(function):
            raise self._fault("it is a class; register a function that makes one and returns it")
        target = _innermost(function)
        if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
            raise self._fault("it yields its results one by one; return a list instead")

    def _is_parameter(self, parameter: inspect.Parameter) -> bool:
        """Whether it becomes an input. Raises for kinds that cannot be given by name."""
        name = parameter.name
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise self._fault(f"*{name} has no names to give values to; take a list instead: {name}: list")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise self._fault(f'parameter "{name}" cannot be given by name; remove the "/" after it')
        if name == _STATE:
            self._check_state(parameter)
            return False
        if name == _CONTEXT and self._takes_context():
            return False
        return parameter.kind is not parameter.VAR_KEYWORD

    def _check_state(self, parameter: inspect.Parameter) -> None:
        hint = self._find_hint(parameter)
        if (typing.get_origin(hint) or hint) in _NOT_A_STATE:
            raise self._fault(
                'parameter "state" is given the state of the run, a dict; give a parameter of another kind another name'
            )

    def _takes_context(self) -> bool:
        """A parameter named context is the engine's, unless its type says that it is something else."""
        parameter = self._signature.parameters.get(_CONTEXT)
        if parameter is None or parameter.kind is parameter.VAR_KEYWORD:
            return False
        hint = self._find_hint(parameter)
        return hint is Any or ToolContext in (hint, *typing.get_args(hint))

    # --------------------------------------------------------------------------------------------- type hints

    def _find_hint(self, parameter: inspect.Parameter) -> Any:
        """The hint of state or context; Any where it cannot be found out, since it need not be."""
        try:
            return self._resolve(parameter.annotation)
        except (NameError, SyntaxError, TypeError, AttributeError):
            return Any

    def _resolve(self, annotation: Any) -> Any:
        if annotation is inspect.Parameter.empty:
            return Any
        return _strip(self._evaluate(annotation))

    def _evaluate(self, annotation: Any) -> Any:
        inner = self._inner
        free = (
            dict(zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=False))
            if _is_plain(inner)
            else {}
        )
        local = {name: cell.cell_contents for name, cell in free.items() if not _is_empty(cell)}
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        names = {**vars(builtins), **getattr(inner, "__globals__", {})}
        return typing.get_type_hints(holder, names, local, include_extras=True)["it"]

    def _read_hint(self, parameter: inspect.Parameter) -> Any:
        if isinstance(parameter.default, FieldInfo):
            raise self._fault(
                f'parameter "{parameter.name}": write Annotated[type, Field(...)] and an ordinary default, '
                "so that the function can also be called from Python"
            )
        try:
            hint = self._resolve(parameter.annotation)
        except (NameError, SyntaxError, TypeError, AttributeError) as error:
            raise self._fault(
                f'the type of parameter "{parameter.name}", {parameter.annotation!r}, cannot be found out: {error}; '
                "it must be importable at run time and not only for type checkers"
            ) from error
        if parameter.default is None and hint is not Any and type(None) not in typing.get_args(hint):
            return Optional[hint]  # noqa: UP045 - the hint is a value here
        return hint

    def _read_parameter(self, parameter: inspect.Parameter) -> ParameterSpec:
        return self._make_spec(
            parameter.name, self._read_hint(parameter), parameter.default is parameter.empty
        )

    def _read_extra(self) -> ParameterSpec | None:
        for parameter in self._signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                return self._make_spec(parameter.name, self._read_hint(parameter), required=False)
        return None

    def _make_spec(self, name: str, hint: Any, required: bool) -> ParameterSpec:
        try:
            adapter = make_adapter(hint)
            schema = make_schema(adapter, "validation")
        except _HINT_FAULTS as error:
            raise self._fault(
                f'parameter "{name}" has the type {_show_hint(hint)}, which cannot be made from JSON; '
                "use text, numbers, lists, dicts, dataclasses or pydantic models"
            ) from error
        return ParameterSpec(name, hint, adapter, schema, required)

    # -------------------------------------------------------------------------------------------------- ports

    def _make_input(self, spec: ParameterSpec, parameter: inspect.Parameter, text: str) -> InputPort:
        schema = dict(spec.schema)
        description = (
            str(schema.get("description", "")) if "$ref" not in schema and "title" not in schema else ""
        )
        description = description or text
        default = None
        if not spec.required:
            default = _as_json(parameter.default)
            if default is not None or parameter.default is None:
                schema["default"] = default
        if description:
            schema["description"] = description
        return InputPort(spec.name, port_type(spec.schema), schema, spec.required, default, description)

    def _read_outputs(self, *, takes_state: bool) -> tuple[OutputPort, ...]:
        hint = _without_outcomes(self._read_result())
        fields = _fields_of(hint)
        if RESULT_PORT in fields:
            raise self._fault(
                'its result has a field named "result", which is the name of the whole; rename the field'
            )
        if takes_state and hint is Any:
            hint = dict[str, Any]
        ports = [_make_output(name, of, text) for name, (of, text) in fields.items()]
        return (_make_output(RESULT_PORT, hint, "", ports), *ports)

    def _read_result(self) -> Any:
        """The hint of the result. One that only type checkers know is no fault: the result can be anything then."""
        annotation = self._signature.return_annotation
        try:
            return Any if annotation is inspect.Signature.empty else self._resolve(annotation)
        except (NameError, SyntaxError, TypeError, AttributeError):
            return Any

    def _fault(self, reason: str) -> ToolDefinitionError:
        return ToolDefinitionError(
            f'The tool "{self._name}" cannot be registered: {reason}.', {"name": self._name}
        )


def make_label(name: str) -> str:
    """A title for people: ``code.find_unused`` becomes ``Find unused``."""
    words = (
        re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.rsplit(".", 1)[-1])
        .replace("_", " ")
        .replace("-", " ")
        .split()
    )
    text = " ".join(words) or name
    return text[:1].upper() + text[1:]


# ------------------------------------------------------------------------------------------------------ functions


def _innermost(function: Any) -> Any:
    """The function that was written down: without partials, methods' binding, wrappers and ``__call__``."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif inspect.isroutine(function) or inspect.isclass(function):
            return function
        else:
            call = getattr(type(function), "__call__", None)  # noqa: B004 - it is called on the type
            if call is None or not inspect.isfunction(call):
                return function
            function = call


def _is_plain(function: object) -> bool:
    return inspect.isfunction(function)


def _is_empty(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - asks whether it is set
    except ValueError:
        return True
    return False


def _is_async(function: Any) -> bool:
    if inspect.iscoroutinefunction(function):
        return True
    return not inspect.isroutine(function) and inspect.iscoroutinefunction(_innermost(function))


def _docstring(function: Any, inner: Any) -> str | None:
    """The docstring of what was written down; never that of the class ``functools.partial``."""
    if isinstance(function, functools.partial) or inspect.isroutine(function):
        return inspect.getdoc(inner)
    return inspect.getdoc(type(function)) or inspect.getdoc(inner)


# ---------------------------------------------------------------------------------------------------------- hints


def _strip(hint: Any) -> Any:
    """None as a hint is the type of None."""
    return type(None) if hint is None else hint


def _show_hint(hint: Any) -> str:
    return getattr(hint, "__name__", None) or str(hint)


def _as_json(default: Any) -> Any:
    """The default as JSON, or None where it has no JSON form."""
    try:
        made = pydantic_core.to_jsonable_python(default)
        json.dumps(made, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        return None
    return made


def _parts(hint: Any) -> tuple[Any, ...]:
    """The members of a union; of anything else, itself."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def _without_outcomes(hint: Any) -> Any:
    """The hint without what stands for no result: a step that waits, or that ends the run."""
    parts = _parts(hint)
    left = tuple(part for part in parts if part not in _OUTCOMES)
    if len(left) == len(parts):
        return hint
    return typing.Union[left] if left else Any  # noqa: UP007 - the parts are known only now


def _fields_of(hint: Any) -> dict[str, tuple[Any, str]]:
    """The fields of a NamedTuple, dataclass, TypedDict or pydantic model, each with its hint and its text."""
    if typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    cls = typing.get_origin(hint) or hint
    if not isinstance(cls, type):
        return {}
    if issubclass(cls, pydantic.BaseModel):
        model = hint if isinstance(hint, type) and issubclass(hint, pydantic.BaseModel) else cls
        found = {
            name: (field.annotation, field.description or "") for name, field in model.model_fields.items()
        }
        computed = {
            name: (field.return_type, field.description or "")
            for name, field in model.model_computed_fields.items()
        }
        return {**found, **computed}
    if dataclasses.is_dataclass(cls):
        names: Sequence[str] = [field.name for field in dataclasses.fields(cls)]
    elif typing_extensions.is_typeddict(cls):
        names = list(cls.__annotations__)
    elif issubclass(cls, tuple) and hasattr(cls, "_fields"):
        names = cls._fields
    else:
        return {}
    try:
        hints: Mapping[str, Any] = typing.get_type_hints(cls, include_extras=True)
    except (NameError, TypeError, AttributeError):
        hints = {}
    texts = read_attributes(cls)
    return {name: (_without_required(hints.get(name, Any)), texts.get(name, "")) for name in names}


def read_attributes(cls: type) -> dict[str, str]:
    """The texts of a class's fields from the "Attributes:" section of its docstring."""
    return read_parameters((cls.__doc__ or "").replace("Attributes:", "Args:", 1))


def _without_required(hint: Any) -> Any:
    while typing.get_origin(hint) in (typing.Required, typing.NotRequired):
        hint = typing.get_args(hint)[0]
    return hint


def _make_output(name: str, hint: Any, text: str, fields: Sequence[OutputPort] = ()) -> OutputPort:
    """A port of a result; where pydantic has no schema for the hint, anything may come out of it.

    A NamedTuple is an object to us, with its fields, where pydantic sees a list.
    """
    if fields:
        schema = _object_schema(_show_hint(hint), fields)
    else:
        try:
            schema = make_schema(make_adapter(hint), "serialization")
        except _HINT_FAULTS:
            schema = {}
    if text:
        schema["description"] = text
    elif isinstance(schema.get("description"), str):
        text = schema["description"]
    return OutputPort(name, port_type(schema), schema, text)


def _object_schema(title: str, fields: Sequence[OutputPort]) -> Schema:
    definitions: Schema = {}
    properties: Schema = {}
    for port in fields:
        of = dict(port.schema)
        definitions |= of.pop("$defs", {})
        properties[port.name] = of
    schema: Schema = {"type": "object", "title": title, "properties": properties}
    return {**schema, "$defs": definitions} if definitions else schema
