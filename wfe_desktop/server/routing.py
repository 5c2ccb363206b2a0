"""The table of routes: each a typed handler with its models, from which the documentation can be generated.

A handler is ``async def handler(call, body)``: it translates, submits and answers. It computes nothing, never
waits on the loop for the database, and knows nothing of the window.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, TypeVar

import pydantic
from aiohttp import web

from engine.flow.strict_json import parse_json
from wfe_desktop.server.bodies import check_model, check_no_body, check_no_query, read_json_body, read_query
from wfe_desktop.server.context import ServerContext

SMALL_BODY_BYTES: Final = 32 * 1024

Body = TypeVar("Body", bound=pydantic.BaseModel)
Query = TypeVar("Query", bound=pydantic.BaseModel)
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Call(Generic[Query]):
    """A request that passed every check."""

    server: ServerContext
    request: web.Request
    query: Query

    def path(self, name: str) -> str:
        """The part of the path that goes by this name, decoded."""
        return self.request.match_info[name]


class NoQuery(pydantic.BaseModel):
    """The address takes no query parameters."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler gives back: a value of the type its route declares for the status."""

    value: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Text:
    """An answer that is no JSON. ``content_type`` is the whole header."""

    body: bytes
    content_type: str


Handler = Callable[[ServerContext, web.Request], Awaitable[web.StreamResponse]]
Plain = Callable[[Call[Query]], Awaitable[Answer]]
WithBody = Callable[[Call[Query], Made], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Notes:
    """What the documentation cannot tell from the types.

    ``example`` is a body, ``query`` are parameters: pasted, they work. ``GRAPH_ID``, ``RUN_ID`` and ``NODE_ID`` in them
    stand for what is there. ``headers`` are those a request may have, ``answer_headers`` those of a good answer, which is of
    the type ``media``.
    """

    example: Any = None
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    media: str = "application/json"


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table. ``answers``: by status, the type of the body; None for an empty one.

    ``errors`` are the statuses of its own errors, besides those any request may meet. ``name`` is its handler's, and
    ``description`` what that says about itself.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    answers: Mapping[int, Any]
    body: Any = None
    query: type[pydantic.BaseModel] = NoQuery
    errors: tuple[int, ...] = ()
    notes: Notes = Notes()
    name: str = ""
    description: str = ""
    tag: str = ""


ROUTES: Final[web.AppKey[tuple[Route, ...]]] = web.AppKey("routes", tuple)
"""Where the application keeps all its routes."""


class RouteTable:
    """Collects routes where their handlers are written. ``tag`` is the heading they stand under."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.routes: list[Route] = []

    def _add(self, route: Route, handle: Callable[..., object]) -> None:
        description = inspect.cleandoc(handle.__doc__ or "")
        self.routes.append(replace(route, name=handle.__name__, description=description, tag=self.tag))

    def plain(
        self,
        method: str,
        path: str,
        summary: str,
        *,
        answers: Mapping[int, Any],
        query: type[Query],
        errors: tuple[int, ...] = (),
        notes: Notes = Notes(),
    ) -> Callable[[Plain[Query]], Plain[Query]]:
        """A route that takes no body."""
        writer = _Writer(answers)

        def add(handle: Plain[Query]) -> Plain[Query]:
            async def handler(server: ServerContext, request: web.Request) -> web.StreamResponse:
                checked = _query(request, query)
                await check_no_body(request)
                return writer.write(await handle(Call(server, request, checked)))

            self._add(Route(method, path, summary, handler, answers, None, query, errors, notes), handle)
            return handle

        return add

    def with_body(
        self,
        method: str,
        path: str,
        summary: str,
        *,
        body: type[Body],
        answers: Mapping[int, Any],
        errors: tuple[int, ...] = (),
        notes: Notes = Notes(),
    ) -> Callable[[WithBody[NoQuery, Body]], WithBody[NoQuery, Body]]:
        """A route that takes a JSON object of this model."""

        def make(data: Any) -> Body:
            return check_model(body, data)

        return self.with_json(
            method, path, summary, make=make, body=body, answers=answers, errors=errors, notes=notes
        )

    def with_json(
        self,
        method: str,
        path: str,
        summary: str,
        *,
        make: Callable[[Any], Made],
        body: Any,
        answers: Mapping[int, Any],
        errors: tuple[int, ...] = (),
        notes: Notes = Notes(),
    ) -> Callable[[WithBody[NoQuery, Made]], WithBody[NoQuery, Made]]:
        """A route that takes JSON which ``make`` turns into what the handler is given; ``body`` documents it."""
        writer = _Writer(answers)

        def add(handle: WithBody[NoQuery, Made]) -> WithBody[NoQuery, Made]:
            async def handler(server: ServerContext, request: web.Request) -> web.StreamResponse:
                checked = _query(request, NoQuery)
                content = await read_json_body(request)
                if len(content) <= SMALL_BODY_BYTES:
                    made = make(parse_json(content))
                else:  # too long for the loop of a window
                    made = await server.database.run(lambda: make(parse_json(content)))
                return writer.write(await handle(Call(server, request, checked), made))

            self._add(Route(method, path, summary, handler, answers, body, NoQuery, errors, notes), handle)
            return handle

        return add


def page_headers(call: Call[Any], total: int, limit: int, offset: int) -> dict[str, str]:
    """The headers of an answer that is a bare list: how many there are in all, and where the next page is."""
    headers = {"X-Total-Count": str(total)}
    if offset + limit < total:
        following = call.request.rel_url.update_query(limit=limit, offset=offset + limit)
        headers["Link"] = f'<{following}>; rel="next"'
    return headers


PAGE_HEADERS: Final = {
    "X-Total-Count": "How many there are in all.",
    "Link": "The next page, where there is one.",
}


class _Writer:
    """Turns answers into responses by the types that the route declares."""

    def __init__(self, answers: Mapping[int, Any]) -> None:
        self._answers = answers
        self._adapters: dict[int, pydantic.TypeAdapter[Any]] = {}  # made when they are first needed

    def write(self, answer: Answer) -> web.Response:
        if isinstance(answer.value, Text):
            headers = {**answer.headers, "Content-Type": answer.value.content_type}
            return web.Response(status=answer.status, body=answer.value.body, headers=headers)
        kind = self._answers.get(answer.status)
        if kind is None:
            return web.Response(status=answer.status, headers=answer.headers)
        if answer.status not in self._adapters:
            self._adapters[answer.status] = pydantic.TypeAdapter(kind)
        return web.Response(
            status=answer.status,
            body=self._adapters[answer.status].dump_json(answer.value, by_alias=True)
            + b"\n",  # for terminals
            content_type="application/json",
            headers=answer.headers,
        )


def _query(request: web.Request, model: type[Query]) -> Query:
    if model is NoQuery:
        check_no_query(request)
        return model()
    return read_query(request, model)
