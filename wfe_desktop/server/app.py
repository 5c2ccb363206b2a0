"""The application: routes, what every request goes through, and the start and end of a server."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from aiohttp import WSCloseCode, web

from engine.execution.secrets import keep_secret
from engine.execution.services import Services
from wfe_desktop.server import (
    deletion_routes,
    docs_routes,
    fork_routes,
    graph_routes,
    layout_routes,
    run_routes,
    system_routes,
    waiting_routes,
)
from wfe_desktop.server.connections import connection_factory, connection_of
from wfe_desktop.server.context import ServerContext
from wfe_desktop.server.failures import HttpError, to_http_error
from wfe_desktop.server.hub import Hub
from wfe_desktop.server.limits import HOLD_S, Limits
from wfe_desktop.server.openapi import PREFIX
from wfe_desktop.server.page import front_page, pages
from wfe_desktop.server.peers import OwnerFinder, choose_finder
from wfe_desktop.server.routing import ROUTES, Handler, Route
from wfe_desktop.server.security import (
    ANSWER_HEADERS,
    Guard,
    StartRefused,
    bracketed,
    check_binding,
    is_address,
    is_loopback,
    own_names,
    token_of,
)
from wfe_desktop.server.threads import DatabaseThreads, in_new_thread
from wfe_desktop.server.tokens import load_user_token, user_token_file
from wfe_desktop.server.websocket import websocket

PREFIXES: Final = ("", PREFIX)
PORTS_TRIED: Final = 100
SHUTDOWN_GRACE_S: Final = 2.0
KEEPALIVE_S: Final = 30.0
LINGER_S: Final = 1.0
BACKLOG: Final = 128
ACCEPTED_A_TURN: Final = 8
"""Connections that are taken in one turn of the loop; the window's is next."""

RETRY_AFTER: Final = {"Retry-After": "5"}

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]

GUARD: Final = web.AppKey("guard", Guard)
CONTEXT: Final = web.AppKey("context", ServerContext)
LIMITS: Final = web.AppKey("limits", Limits)
PAGES: Final[web.AppKey[set[Any]]] = web.AppKey("pages", set)
"""The handlers of what is given without a token: pages and their files, the same for everybody and without data."""

log = logging.getLogger(__name__)


def routes() -> list[Route]:
    """Every documented route, without prefix."""
    tables = (
        run_routes.table,  # before the graphs: /graph/{graph_id}/versions is like /graph/state/{run_id}
        waiting_routes.table,
        fork_routes.table,
        deletion_routes.table,
        graph_routes.table,
        layout_routes.table,
        run_routes.history,
        system_routes.tools,
        system_routes.table,
        docs_routes.table,
    )
    return [route for table in tables for route in table.routes]


def create_app(services: Services, *, needs_token: bool) -> web.Application:
    """The application around an open engine; ``app[GUARD]`` and ``app[LIMITS]`` must be set before it is started.

    The server's own parts begin with the application's start-up and end with its clean-up. ``needs_token``: nobody
    comes in without one.
    """
    app = web.Application(middlewares=[_answer_errors, _check_request])
    app.on_response_prepare.append(_add_headers)
    database = DatabaseThreads()

    async def find_graph(run_id: str) -> str | None:
        run = await database.run(services.states.find_run, run_id)
        return None if run is None else run.graph_id

    context = ServerContext(
        services,
        database,
        Hub(services.engine, find_graph),
        asyncio.Event(),
        needs_token=needs_token,
    )
    app[CONTEXT] = context
    app[ROUTES] = table = tuple(routes())
    app[PAGES] = open_to_all = set()
    for prefix in PREFIXES:
        for route in table:
            add = app.router.add_get if route.method == "GET" else partial(app.router.add_route, route.method)
            handler = partial(_page_or_json, route.handler) if route.path == "/" else route.handler
            add(prefix + _pattern(route, table), partial(handler, context))
        for path in ("/ws", "/ws/monitor"):
            app.router.add_route("GET", prefix + path, partial(websocket, context))
        for page in (*pages, *docs_routes.pages):
            page_handler = partial(page.handler, context)
            open_to_all.add(page_handler)
            app.router.add_get(prefix + page.path, page_handler)
    app.on_startup.append(_open)
    app.on_shutdown.append(_close_connections)
    app.on_cleanup.append(_close)
    return app


def _pattern(route: Route, routes: Sequence[Route]) -> str:
    """The route's path for aiohttp. What is an address of its own, such as ``/graph/run``, is no graph's id."""
    start, found, rest = route.path.partition("{graph_id}")
    if not found or rest:
        return route.path
    others = [
        re.escape(other.path.removeprefix(start))
        for other in routes
        if other.path.startswith(start)
        and "/" not in other.path.removeprefix(start)
        and "{" not in other.path
    ]
    return f"{start}{{graph_id:(?!(?:{'|'.join(others)})$)[^{{}}/]+}}"


async def _page_or_json(json: Handler, context: ServerContext, request: web.Request) -> web.StreamResponse:
    return await (front_page if system_routes.wants_page(request) else json)(context, request)


@web.middleware
async def _answer_errors(request: web.Request, handler: Next) -> web.StreamResponse:
    """Every error in the one form; nobody is told more about a fault of ours than its number."""
    counters = request.app[CONTEXT].counters
    counters.in_progress += 1
    try:
        response = await handler(request)
    except ConnectionError:
        raise  # the client is gone; aiohttp ends the connection quietly
    except Exception as error:  # noqa: BLE001 - to_http_error logs what nobody expected
        response = to_http_error(error).to_response()
    finally:
        counters.in_progress -= 1
    counters.by_status[response.status] += 1
    return response


@web.middleware
async def _check_request(request: web.Request, handler: Next) -> web.StreamResponse:
    """Before anything looks at what is asked for."""
    connection, limits = connection_of(request), request.app[LIMITS]
    if connection.is_surplus:
        raise HttpError(503, "the server has all the connections it takes", headers=RETRY_AFTER, closes=True)
    try:
        needs_token = not (connection.is_own or _is_page(request))
        request.app[GUARD].check(request, connection.peer, needs_token=needs_token)
    except HttpError as refusal:
        if limits.may_refuse_at_once():
            log.info("answered %d to %s: %s", refusal.status, connection.peer, refusal.message)
        else:
            await asyncio.sleep(HOLD_S)
        raise
    await limits.admit()
    return await handler(request)


def _is_page(request: web.Request) -> bool:
    asked = request.match_info.handler
    return asked in request.app[PAGES] or (
        getattr(asked, "func", None) is _page_or_json and system_routes.wants_page(request)
    )


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    del request
    for name, value in ANSWER_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = ANSWER_HEADERS["Server"]  # aiohttp has put its own there


async def _open(app: web.Application) -> None:
    context = app[CONTEXT]
    context.hub.on_entries = context.measures.take
    context.hub.start()
    states = context.services.states
    unfinished = await context.database.run(states.unfinished_runs)
    context.measures.know_started(unfinished)
    context.hub.know(unfinished)
    context.hub.start_after(await context.database.run(states.last_seq))


async def _close_connections(app: web.Application) -> None:
    """Handlers that wait give up, WebSocket clients are told to go."""
    context = app[CONTEXT]
    context.closing.set()
    going = [
        connection.close(WSCloseCode.GOING_AWAY, "the server is closing")
        for connection in context.connections
    ]
    await asyncio.gather(*going)


async def _close(app: web.Application) -> None:
    context = app[CONTEXT]
    context.hub.stop()
    await context.database.close()


# ------------------------------------------------------------------------------------------------ start and end


class RunningServer:
    """A server that listens. ``address`` is its URL.

    ``token`` is what its pages ask for, also this user's own browser; None where that is recognised by its user.
    """

    def __init__(
        self, runner: web.AppRunner, listener: asyncio.Server, host: str, port: int, token: str | None
    ) -> None:
        self.token = token
        self._runner = runner
        self._listener = listener
        self.host = host
        self.port = port
        self.address = f"http://{bracketed(host)}:{port}"

    async def close(self) -> None:
        """Takes no more connections, tells those that are open, and ends within seconds."""
        self._listener.close()
        await self._runner.cleanup()


async def start_server(
    services: Services, host: str, port: int, *, explicit_port: bool = False
) -> RunningServer:
    """Listens at ``host`` and ``port`` (0: any free one) on the running loop.

    A taken port gives the next free one, unless it was asked for explicitly.

    Raises:
        StartRefused: the port is taken, the address is not this machine's, or other machines could
            reach it and no token is configured.
    """
    address = await _resolve(host)
    check_binding(address, services.config)
    bound = _bind(address, port, 1 if explicit_port or port == 0 else PORTS_TRIED)
    try:
        return await _serve(services, bound, host, address)
    except BaseException:
        bound.close()
        raise


async def _serve(services: Services, bound: socket.socket, host: str, address: str) -> RunningServer:
    port = int(bound.getsockname()[1])
    names = await in_new_thread(own_names, host, address)
    configured = token_of(services.config)
    find_owner = None if configured else await in_new_thread(_finder_for, address)
    token = configured or await in_new_thread(_user_token)
    if not (find_owner or token):
        raise StartRefused("nobody could be let in: set WFE_API_TOKEN to a secret of your own")
    if token:
        keep_secret(token)  # tools and log lines can come by it
    app = create_app(services, needs_token=find_owner is None)
    app[GUARD] = Guard(names, port, token)
    app[LIMITS] = limits = Limits(services.config, knows_owners=find_owner is not None)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_GRACE_S)
    try:
        await runner.setup()
        settings = {"access_log": None, "keepalive_timeout": KEEPALIVE_S, "lingering_time": LINGER_S}
        listener = await asyncio.get_running_loop().create_server(
            connection_factory(runner, limits, find_owner, **settings), sock=bound, backlog=ACCEPTED_A_TURN
        )
        bound.listen(BACKLOG)  # asyncio takes the one number for both
    except BaseException:
        await runner.cleanup()
        raise
    return RunningServer(runner, listener, address, port, None if find_owner else token)


def _finder_for(address: str) -> OwnerFinder | None:
    return choose_finder(address) if is_loopback(address) else None


def _user_token() -> str | None:
    path = user_token_file()
    try:
        return load_user_token(path)
    except OSError as error:
        log.warning("there is no token for those that this server does not recognise: %s: %s", path, error)
        return None


async def _resolve(host: str) -> str:
    """The one IP address to listen at: ``localhost`` may have two, and port 0 would differ between them."""
    if host == "localhost":
        return "127.0.0.1"
    if is_address(host):
        return host
    try:
        found = await in_new_thread(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    except OSError:
        raise StartRefused(f"{host} is not an address of this machine") from None
    return str(found[0][4][0])


def _bind(address: str, port: int, tries: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for candidate in range(port, min(port + tries, 65_536)):
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            if os.name == "posix":
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((address, candidate))
            bound.listen(BACKLOG)  # binding alone does not tell that somebody else listens there
        except OSError as error:
            bound.close()
            if error.errno == errno.EADDRINUSE:
                continue
            reason = os.strerror(error.errno or 0)
            raise StartRefused(f"cannot listen at {bracketed(address)}:{candidate}: {reason}") from None
        bound.settimeout(0)
        return bound
    if tries == 1:
        raise StartRefused(f"port {port} is taken; --port 0 takes any free one")
    raise StartRefused(f"the ports {port} to {port + tries - 1} are all taken; --port 0 takes any free one")
