"""The OpenAPI 3.1 document, made from the table of routes and the models in it."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, TypeAdapter

from wfe_desktop.server.failures import ERROR_NAMES
from wfe_desktop.server.routing import Route

PREFIX: Final = "/api/v1"
_REFERENCE: Final = "#/components/schemas/{model}"
_ANY_ERRORS: Final = (400, 401, 403, 413, 415, 421, 429, 500, 503)
_BODY_ERRORS: Final = (408,)
_ERROR_TEXTS: Final = {
    400: "The request or the graph is wrong; `details.problems` has everything that is, each with its place.",
    401: "A token is needed and the right one was not sent, once: it is, unless the program of the same user asks.",
    403: "The request comes from a page of another origin.",
    404: "There is nothing of this id or name.",
    408: "The body did not arrive in time.",
    409: "It does not go with what is there already; `details` says with what.",
    412: "Somebody else changed it meanwhile; `details.version` is the newest version, and the header ETag too.",
    413: "The body is too large.",
    415: "The body is not declared as JSON, or compressed.",
    421: "The Host header is not one of the server's names.",
    429: "Too many requests a second, or wrong tokens; try again after Retry-After seconds.",
    500: "A fault of ours; `details.reference` is the number under which the log has it.",
    501: "This needs a part of the program that is not installed; the message says which.",
    503: "The engine is closing, or the database cannot be used; try again after Retry-After seconds.",
}
_ABOUT: Final = """Draw a workflow of Python functions, run it, watch it.

Bodies are JSON (`application/json`), read strictly: unknown fields, keys given twice, NaN, integers beyond 64 bits and
nesting beyond 64 levels are refused by name. Lists take `limit` and `offset`; times are ISO 8601, without an offset UTC.

Events as they happen come over the WebSocket at `/ws`: send `{"action": "subscribe", "run_id": "*", "since": 0}`.
"""
_JSON_VALUE: Final[dict[str, Any]] = {
    "description": "Any JSON, with integers within 64 bits.",
    "anyOf": [
        {"type": "null"},
        {"type": "boolean"},
        {"type": "string"},
        {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
        {"type": "number", "minimum": -sys.float_info.max, "maximum": sys.float_info.max},
        {"type": "array", "items": {"$ref": "#/components/schemas/JsonValue"}},
        {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/JsonValue"}},
    ],
}


class ErrorDetail(BaseModel):
    model_config = ConfigDict(extra="forbid")

    error: str
    message: str
    details: dict[str, Any]


class ErrorBody(BaseModel):
    """What every error looks like."""

    model_config = ConfigDict(extra="forbid")

    detail: ErrorDetail


@dataclass(frozen=True, slots=True)
class Shown:
    """What stands in the examples, so that they work: ids of what is there, and the server's address."""

    address: str
    graph_id: str = "GRAPH_ID"
    run_id: str = "RUN_ID"
    node_ids: tuple[str, ...] = ()
    tool: str = "math_operation"
    needs_token: bool = False

    def fill(self, example: Any) -> Any:
        """The example with these in place of its placeholders."""
        match example:
            case "GRAPH_ID":
                return self.graph_id
            case "RUN_ID":
                return self.run_id
            case "NODE_ID":
                return self.node_ids[0] if self.node_ids else example
            case ["NODE_ID"]:
                return list(self.node_ids)
            case dict():
                return {key: self.fill(value) for key, value in example.items()}
            case list():
                return [self.fill(value) for value in example]
            case _:
                return example

    def of_path(self, name: str) -> str:
        """An example for a part of the path."""
        return {"graph_id": self.graph_id, "run_id": self.run_id, "name": self.tool}[name]


def make_document(routes: Iterable[Route], version: str, shown: Shown) -> dict[str, Any]:
    """The document. It takes some ten milliseconds: not for the event loop."""
    routes = list(routes)
    schemas, definitions = _schemas(routes)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Agent Workflow Engine",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}, {"url": PREFIX}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": {},
        "components": {"schemas": definitions, "responses": {}},
    }
    document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"bearer": []}] if shown.needs_token else [{}, {"bearer": []}]
    for route in routes:
        operation = _operation(route, schemas, shown)
        document["paths"].setdefault(route.path, {})[route.method.lower()] = operation
    used = {status for route in routes for status in _errors(route)}
    for status in sorted(used):
        document["components"]["responses"][_error_key(status)] = _error_response(status)
    return document


# ------------------------------------------------------------------------------------------------------ schemas

_Key = tuple[str, str | int]


def _schemas(routes: list[Route]) -> tuple[dict[_Key, dict[str, Any]], dict[str, Any]]:
    """A schema for each body and answer, and the components they refer to."""
    inputs: list[tuple[_Key, Literal["validation", "serialization"], TypeAdapter[Any]]] = [
        (("", "error"), "serialization", TypeAdapter(ErrorBody))
    ]
    for route in routes:
        if route.body is not None:
            inputs.append(((route.name, "body"), "validation", TypeAdapter(route.body)))
        inputs += [
            ((route.name, status), "serialization", TypeAdapter(kind))
            for status, kind in route.answers.items()
            if kind is not None
        ]
    found, rest = TypeAdapter.json_schemas(inputs, ref_template=_REFERENCE)
    schemas = {key: schema for (key, _), schema in found.items()}
    definitions: dict[str, Any] = rest.get("$defs", {})
    bodies = [schema for (_, what), schema in schemas.items() if what == "body"]
    for schema in (*bodies, *_referred(bodies, definitions)):
        _bound_any(schema)
    definitions["JsonValue"] = _JSON_VALUE
    return schemas, dict(sorted(definitions.items()))


def _referred(schemas: Iterable[Any], definitions: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The components that these schemas need, directly or not."""
    names: dict[str, None] = {}
    waiting = list(schemas)
    while waiting:
        for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(waiting.pop())):
            if name not in names:
                names[name] = None
                waiting.append(definitions[name])
    return (definitions[name] for name in names)


def _bound_any(schema: Any) -> None:
    """Says in place what "anything" in a body means: JSON as this server reads it."""
    if isinstance(schema, list):
        for item in schema:
            _bound_any(item)
    if not isinstance(schema, dict):
        return
    if schema.get("additionalProperties") is True:
        schema["additionalProperties"] = {}
    for holder in (*(schema.get(key) for key in ("properties", "$defs")),):
        for child in (holder or {}).values():
            _bound_any(child)
    for key in ("additionalProperties", "items", "anyOf", "oneOf", "allOf", "prefixItems"):
        _bound_any(schema.get(key))
    if not schema.keys() - {"title", "description", "default"}:
        schema["$ref"] = "#/components/schemas/JsonValue"


# --------------------------------------------------------------------------------------------------- operations


def _operation(route: Route, schemas: Mapping[_Key, Any], shown: Shown) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": [route.tag],
        "operationId": route.name,
        "summary": route.summary,
        "description": f"{route.description}\n\n```sh\n{curl(route, shown)}\n```",
    }
    if parameters := [*_path_parameters(route, shown), *_query_parameters(route), *_header_parameters(route)]:
        operation["parameters"] = parameters
    if route.body is not None:
        content = {"schema": schemas[route.name, "body"], "example": shown.fill(route.notes.example)}
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    responses: dict[str, Any] = {}
    for status, kind in sorted(route.answers.items()):
        answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
        responses[str(status)] = answer
        if kind is not None:
            answer["content"] = {route.notes.media: {"schema": schemas[route.name, status]}}
        if route.notes.answer_headers and status < 300:
            answer["headers"] = {
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in route.notes.answer_headers.items()
            }
        if route.path == "/":
            answer["content"]["text/html"] = {"schema": {"type": "string"}}
    for status in _errors(route):
        responses[str(status)] = {"$ref": f"#/components/responses/{_error_key(status)}"}
    operation["responses"] = responses
    return operation


def _errors(route: Route) -> list[int]:
    body = _BODY_ERRORS if route.body is not None else ()
    return sorted({*_ANY_ERRORS, *body, *route.errors})


def _error_key(status: int) -> str:
    return ERROR_NAMES[status] if status != 404 else "NotFound"


def _error_response(status: int) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": _ERROR_TEXTS[status],
        "content": {"application/json": {"schema": {"$ref": _REFERENCE.format(model="ErrorBody")}}},
    }
    headers = {
        412: ("ETag", "string"),
        503: ("Retry-After", "integer"),
        429: ("Retry-After", "integer"),
        401: ("WWW-Authenticate", "string"),
    }
    if status in headers:
        name, kind = headers[status]
        response["headers"] = {name: {"schema": {"type": kind}}}
    return response


def path_names(route: Route) -> list[str]:
    """The names of the parts of the path that vary."""
    return re.findall(r"\{(\w+)\}", route.path)


def _path_parameters(route: Route, shown: Shown) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
            "example": shown.of_path(name),
        }
        for name in path_names(route)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    schema = route.query.model_json_schema(ref_template=_REFERENCE)
    definitions = schema.get("$defs", {})
    parameters = []
    for name, given in schema.get("properties", {}).items():
        field = dict(given)
        # In an address there is no null: what may be left out is left out.
        kinds = [kind for kind in field.pop("anyOf", []) if kind != {"type": "null"}]
        field |= kinds[0] if kinds else {}
        if "$ref" in field:
            field |= definitions[field.pop("$ref").rpartition("/")[2]]
        if field.get("default", ...) is None:
            del field["default"]
        field.pop("title", None)
        parameter = {"name": name, "in": "query", "required": False, "schema": field}
        if description := field.pop("description", None):
            parameter["description"] = description
        if name in route.notes.query:
            parameter["example"] = route.notes.query[name]
        parameters.append(parameter)
    return parameters


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in route.notes.headers.items()
    ]


def curl(route: Route, shown: Shown) -> str:
    """A line for a terminal that makes the request."""
    path = re.sub(r"\{(\w+)\}", lambda part: shown.of_path(part[1]), route.path)
    query = f"?{urlencode(route.notes.query)}" if route.notes.query else ""
    parts = ["curl -s"]
    if route.method != ("POST" if route.body is not None else "GET"):
        parts.append(f"-X {route.method}")
    parts.append(shlex.quote(f"{shown.address}{path}{query}"))
    if shown.needs_token:
        parts.append('-H "Authorization: Bearer $WFE_API_TOKEN"')
    if route.body is not None:
        body = json.dumps(shown.fill(route.notes.example), ensure_ascii=False)
        parts += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(body)}"]
    return " ".join(parts)
