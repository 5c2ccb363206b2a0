"""Raw JSON to a graph, with every fault as a sentence that names the node, edge or field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

import pydantic
from pydantic_core import ErrorDetails

from engine.flow.validation_findings import shorten, show_value
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition, RetryPolicy
from engine.model.problem import Problem, Severity

_MAX_PROBLEMS: Final = 200

_WANTED: Final[Mapping[str, str]] = {
    "string": "text",
    "dict": "an object",
    "model": "an object",
    "list": "a list",
    "tuple": "a list",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
}


def parse_graph(data: object) -> tuple[GraphDefinition | None, list[Problem]]:
    """The graph that ``data`` (as parsed from JSON) describes, or None and all that is wrong with its form.

    Only the form is checked: fields and their types. What the graph means is for ``validate_graph``.
    """
    if isinstance(data, GraphDefinition):
        return data, []
    try:
        return GraphDefinition.model_validate(data), []
    except pydantic.ValidationError as error:
        faults = _merge_alternatives(error.errors(include_url=False))
    except RecursionError:
        return None, [Problem(Severity.ERROR, "too-deep", "the workflow is nested too deeply")]
    problems = [_to_problem(data, place, details) for place, details in list(faults.items())[:_MAX_PROBLEMS]]
    if len(faults) > _MAX_PROBLEMS:
        message = f"and {len(faults) - _MAX_PROBLEMS} more faults of this kind"
        problems.append(Problem(Severity.ERROR, "more-problems", message))
    return None, problems


def _merge_alternatives(errors: Sequence[ErrorDetails]) -> dict[tuple[int | str, ...], list[ErrorDetails]]:
    """The errors by place. Pydantic reports each alternative of a union on its own; they become one."""
    faults: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    for details in errors:
        place = details["loc"]
        if len(place) >= 4 and place[0] == "nodes" and place[2] == "join":
            place = place[:3]
        faults.setdefault(place, []).append(details)
    return faults


def _to_problem(data: object, place: tuple[int | str, ...], details: list[ErrorDetails]) -> Problem:
    where, node_id, edge, fields, known = "the workflow", None, None, place, GraphDefinition.model_fields
    match place:
        case ("nodes", int() as number, *rest):
            item = _look_up(data, ("nodes", number))
            node_id = _text_in(item, "id")
            where = f'node "{shorten(node_id)}"' if node_id else f"node {number + 1}"
            fields, known = tuple(rest), NodeDefinition.model_fields
            if len(fields) > 1 and fields[0] == "retry":
                known = RetryPolicy.model_fields
        case ("edges", int() as number, *rest):
            item, edge = _look_up(data, ("edges", number)), number
            start, end = _text_in(item, "from_node"), _text_in(item, "to_node")
            where = f"edge {number + 1}" + (f" ({shorten(start)} -> {shorten(end)})" if start and end else "")
            fields, known = tuple(rest), EdgeDefinition.model_fields
    if node_id is None and edge is None:
        field = ".".join(map(str, place)) or None  # nothing else says which node it is
    else:
        field = ".".join(map(str, fields)) or None
    code, text = _explain(details, fields, known, _look_up(data, place))
    return Problem(Severity.ERROR, code, f"{where} {text}", node_id=node_id, edge=edge, field=field)


def _explain(
    details: list[ErrorDetails], fields: tuple[int | str, ...], known: Mapping[str, Any], value: object
) -> tuple[str, str]:
    """The problem's code, and its sentence after the name of the thing."""
    first, name = details[0], _name_field(fields)
    kind, limits = first["type"], first.get("ctx", {})
    if len(details) > 1:
        return (
            "wrong-value",
            f'needs "all", "any" or a whole number from 1 to 10,000 as {name}, not {show_value(value)}',
        )
    if kind == "missing":
        return "missing-field", f"has no {name}"
    if kind == "extra_forbidden":
        close = get_close_matches(str(fields[-1])[:100], [key for key in known if key != "ui"], 1, 0.5)
        hint = f'; did you mean "{close[0]}"?' if close else f"; there are {', '.join(known)}"
        return "unknown-field", f"has an unknown field {name}{hint}"
    if kind == "string_too_short":
        return "wrong-value", f"has an empty {name}" if fields else "is empty"
    if kind == "string_too_long":
        return "wrong-value", f"has too long a text as {name}: at most {limits['max_length']:,} characters"
    if kind == "string_pattern_mismatch":
        return "wrong-value", f"has line breaks or control characters in {name}"
    if kind == "literal_error":
        return (
            "wrong-value",
            f"needs {limits['expected'].replace(chr(39), chr(34))} as {name}, not {show_value(value)}",
        )
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = f"at least {limits['ge']:,}" if "ge" in limits else f"at most {limits['le']:,}"
        return "wrong-value", f"needs a number of {bound} as {name}, not {show_value(value)}"
    wanted = _WANTED.get(kind.split("_")[0])
    if wanted is None:
        return "wrong-value", f"has a wrong value as {name}: {first['msg']}"
    if not fields:
        return "wrong-type", f"must be {wanted}, not {show_value(value)}"
    return "wrong-type", f"needs {wanted} as {name}, not {show_value(value)}"


def _name_field(fields: tuple[int | str, ...]) -> str:
    """``"max_steps"``, ``"bindings.limit"``, ``"exit_conditions" (2)``."""
    *front, last = fields or ("value",)
    if isinstance(last, int):
        return f'"{".".join(map(str, front))}" ({last + 1})'
    return f'"{shorten(".".join(map(str, fields)))}"'


def _look_up(data: object, place: Sequence[int | str]) -> object:
    for part in place:
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data


def _text_in(item: object, key: str) -> str | None:
    value = item.get(key) if isinstance(item, Mapping) else getattr(item, key, None)
    return value if isinstance(value, str) and value else None
