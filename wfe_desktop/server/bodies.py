"""Reading what a request brings along: bounded in size and time, JSON only, checked against its model."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

import pydantic
from aiohttp import hdrs, web

from engine.flow.strict_json import parse_json
from engine.model.problem import Problem, Severity
from wfe_desktop.server.failures import HttpError, problems_of, refusal

MAX_BODY_BYTES: Final = 10 * 2**20
BODY_DEADLINE_S: Final = 5.0
_JSON_TYPES: Final = frozenset({"application/json"})

Model = TypeVar("Model", bound=pydantic.BaseModel)


async def read_json_body(request: web.Request, *, deadline_s: float = BODY_DEADLINE_S) -> bytes:
    """The request's body, which is declared to be JSON; nobody has looked into it yet.

    Raises:
        HttpError: 408 it came too slowly, 413 too large, 415 not declared as JSON.
    """
    content_types = request.headers.getall(hdrs.CONTENT_TYPE, [])
    if len(content_types) != 1 or request.content_type not in _JSON_TYPES:
        raise HttpError(415, "send the body as application/json", closes=True)
    if (request.charset or "utf-8").lower() not in {"utf-8", "utf8"}:
        raise HttpError(415, "send the body as UTF-8", closes=True)
    return await read_body(request, deadline_s=deadline_s)


async def check_no_body(request: web.Request) -> None:
    """Refuses a body where none is taken; an empty JSON object passes, some clients always send one.

    Raises:
        HttpError: 413 or 415, as for read_json_body; ValidationError: there is something in it.
    """
    if not request.body_exists:
        return
    if request.content_type not in _JSON_TYPES:
        raise HttpError(415, "this address takes no body, or an empty JSON object", closes=True)
    body = await read_body(request)
    if body and parse_json(body) != {}:
        raise refusal([Problem(Severity.ERROR, "unexpected-body", "this address takes no body")])


async def read_body(request: web.Request, *, deadline_s: float = BODY_DEADLINE_S) -> bytes:
    """The bytes of the body, never more than MAX_BODY_BYTES of them in memory.

    Raises:
        HttpError: 408, 413, or 415 for a compressed body.
    """
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise HttpError(415, "send the body uncompressed", closes=True)
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_large()
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(deadline_s):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                chunks.append(chunk)
    except TimeoutError:
        raise HttpError(408, f"the body did not arrive within {deadline_s:g} s", closes=True) from None
    except web.RequestPayloadError:
        raise HttpError(400, "the body is cut short or broken", closes=True) from None
    return b"".join(chunks)


def check_model(model: type[Model], data: Any) -> Model:
    """``data`` as the model.

    Raises:
        ValidationError: with every fault found.
    """
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        raise refusal(problems_of(error)) from None


def read_query(request: web.Request, model: type[Model]) -> Model:
    """The query string as the model; unknown names and repeated ones are refused.

    Raises:
        ValidationError: with every fault found.
    """
    problems = [
        Problem(Severity.ERROR, "repeated-parameter", "this is given more than once", field=name)
        for name in dict.fromkeys(request.query)
        if len(request.query.getall(name)) > 1
    ]
    try:
        checked = model.model_validate(dict(request.query))
    except pydantic.ValidationError as error:
        raise refusal([*problems, *problems_of(error)]) from None
    if problems:
        raise refusal(problems)
    return checked


def check_no_query(request: web.Request) -> None:
    """Refuses a query string where none is taken.

    Raises:
        ValidationError: naming each parameter.
    """
    if request.query:
        raise refusal(
            [
                Problem(Severity.ERROR, "extra-forbidden", "unknown parameter", field=name)
                for name in dict.fromkeys(request.query)
            ]
        )


def _too_large() -> HttpError:
    return HttpError(413, f"a body may have {MAX_BODY_BYTES} bytes at most", closes=True)
