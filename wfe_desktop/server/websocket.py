"""The WebSocket: messages in, and the life of a connection."""

from __future__ import annotations

import asyncio
import functools
import secrets
import struct
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

import orjson
import pydantic
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from pydantic_core import PydanticCustomError

from engine.errors import WorkflowError
from engine.flow.strict_json import parse_json
from engine.model.problem import Problem, Severity
from wfe_desktop.server.bodies import check_model
from wfe_desktop.server.connections import HttpConnection
from wfe_desktop.server.context import ServerContext
from wfe_desktop.server.failures import HttpError, internal_error, refusal, to_http_error
from wfe_desktop.server.hub import own_message
from wfe_desktop.server.payloads import Id, Request, RunLine, RunState, Seq
from wfe_desktop.server.subscriber import ALL_RUNS, GRAPH_KEY, Subscriber
from wfe_desktop.server.tokens import SUBPROTOCOL, subprotocols

MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_SUBSCRIPTIONS: Final = 1_000
PING_EVERY_S: Final = 20.0
CLOSE_GRACE_S: Final = 2.0
MAX_UNSENT_BYTES: Final = 64 * 1024
MAX_COPIED_BYTES: Final = 16 * 1024
_RUN: Final = pydantic.TypeAdapter(RunState)
_RUNS: Final = pydantic.TypeAdapter(list[RunLine])


class _Matter(Request):
    """Of which events: those of a run (``*``: of all runs), or those of the runs of a graph."""

    run_id: Id | None = None
    graph_id: Id | None = None

    @pydantic.model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.run_id is None) == (self.graph_id is None):
            raise PydanticCustomError("one_matter", "send either run_id or graph_id")
        return self

    @property
    def key(self) -> str:
        """As the subscriptions are known by."""
        return self.run_id if self.run_id is not None else f"{GRAPH_KEY}{self.graph_id}"


class Subscribe(_Matter):
    """Events from now on, or from after ``since``; with ``snapshot``, first how things stand now; with
    ``progress``, also how far running steps are.
    """

    action: Literal["subscribe"]
    since: Seq | None = None
    snapshot: bool = False
    types: list[Id] | None = pydantic.Field(default=None, min_length=1, max_length=50)
    batch_ms: int | None = pydantic.Field(default=None, ge=1, le=10_000)
    progress: bool = False

    @pydantic.model_validator(mode="after")
    def _begins_at_one_place(self) -> Self:
        if self.snapshot and self.since is not None:
            raise PydanticCustomError(
                "two_beginnings", "a snapshot takes the place of since: send one of them"
            )
        return self


class Unsubscribe(_Matter):
    """No more of these events."""

    action: Literal["unsubscribe"]


class Ping(Request):
    """Answered with ``pong``."""

    action: Literal["ping"]


class GetStatus(Request):
    """Answered with ``status_info``."""

    action: Literal["get_status"]


ACTIONS: Final[dict[str, type[Request]]] = {
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "ping": Ping,
    "get_status": GetStatus,
}


class Connection:
    """A client's side of the protocol: what it says, and what it is answered."""

    def __init__(
        self,
        server: ServerContext,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        connection: HttpConnection,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.connected_at = datetime.now(UTC)
        self._server = server
        self._socket = socket
        self._transport = transport
        self._connection = connection
        self._client = Subscriber(server.hub, server.database, self._send, self.close)

    @property
    def client(self) -> Subscriber:
        """What is sent to the client."""
        return self._client

    async def serve(self) -> None:
        """Until the client goes or is closed."""
        self._client.start()
        self._say("connection_established", connection_id=self.id)
        try:
            async for message in self._socket:
                await self._connection.limits.take_turn()  # many may have come at once
                if not await self._receive(message):
                    return
        finally:
            await self._client.stop()

    async def close(self, code: int, reason: str) -> None:
        """Ends the connection. A client that does not even take the close frame is cut off after a grace time."""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(2 * CLOSE_GRACE_S):
                await self._socket.close(code=code, message=reason.encode()[:120], drain=False)
        if self._transport is not None and self._transport.get_write_buffer_size():
            self._transport.abort()

    async def _send(self, messages: Sequence[bytes]) -> None:
        """Whole frames, and all of them in one write: aiohttp would make a system call of each."""
        transport = self._transport
        if self._socket.closed or transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        if len(messages) == 1 and len(messages[0]) > MAX_COPIED_BYTES:
            transport.write(text_header(len(messages[0])))
            transport.write(messages[0])
        else:
            transport.write(b"".join([part for data in messages for part in (text_header(len(data)), data)]))
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            await self._connection.drained()

    async def _receive(self, message: WSMessage) -> bool:
        if message.type is WSMsgType.BINARY:
            await self.close(WSCloseCode.UNSUPPORTED_DATA, "text frames only")
            return False
        if message.type is not WSMsgType.TEXT:
            return False
        try:
            await self._obey(_parse(message.data))
        except Exception as error:  # noqa: BLE001 - to_http_error logs what nobody expected
            self._complain(to_http_error(error))
        return True

    async def _obey(self, request: Request) -> None:
        match request:
            case Subscribe():
                await self._subscribe(request)
            case Unsubscribe(run_id=run_id, graph_id=graph_id):
                was = self._client.unsubscribe(request.key)
                about = {} if graph_id is None else {"graph_id": graph_id}
                self._say("unsubscribed", run_id, {"was_subscribed": was, **about})
            case Ping():
                self._say("pong")
            case _:
                self._say("status_info", None, self._status())

    async def _subscribe(self, asked: Subscribe) -> None:
        await self._check_subscribe(asked)
        since = asked.since
        snapshot: bytes | None = None
        if asked.snapshot:
            since, snapshot = await self._take_snapshot(asked)
        about: dict[str, Any] = {
            "since": asked.since,
            "batch_ms": asked.batch_ms,
            "last_seq": self._server.hub.dispatched,
            **({} if asked.graph_id is None else {"graph_id": asked.graph_id}),
            **({} if asked.types is None else {"types": asked.types}),
            **({"progress": True} if asked.progress else {}),
        }
        self._say("subscription_confirmed", asked.run_id, about)
        if snapshot is not None:
            self._say("snapshot", asked.run_id, orjson.Fragment(snapshot), seq=since)
        self._client.subscribe(asked.key, since, asked.batch_ms, asked.types, progress=asked.progress)

    async def _check_subscribe(self, asked: Subscribe) -> None:
        if len(self._client.keys) >= MAX_SUBSCRIPTIONS and asked.key not in self._client.keys:
            raise WorkflowError(f"a connection holds at most {MAX_SUBSCRIPTIONS} subscriptions; use *")
        services, database = self._server.services, self._server.database
        if asked.graph_id is not None:  # one that was deleted has runs all the same
            await database.run(services.graphs.get_graph, asked.graph_id, 1)
        elif asked.run_id is not None and asked.run_id != ALL_RUNS:
            await database.run(services.states.get_run, asked.run_id)

    async def _take_snapshot(self, asked: Subscribe) -> tuple[int, bytes]:
        """How things stand, as JSON, and the last event that is in it: what comes after that is still to be told."""
        services, database = self._server.services, self._server.database
        if asked.run_id is not None and asked.run_id != ALL_RUNS:
            run = await asyncio.wrap_future(services.engine.request_status(asked.run_id))
            return run.seq, await database.run(lambda: _RUN.dump_json(RunState.of(run)))
        seq = self._server.hub.dispatched

        def read() -> bytes:
            runs = [RunLine.of(run) for run in services.states.unfinished_runs(asked.graph_id)]
            return b'{"runs":' + _RUNS.dump_json(runs) + b"}"

        return seq, await database.run(read)

    def _status(self) -> dict[str, Any]:
        engine = self._server.services.engine
        return {
            "connection_id": self.id,
            "subscriptions": self._client.keys,
            "connections": len(self._server.hub.clients),
            "active_runs": engine.active_runs,
            "running_steps": engine.running_steps,
            "workers": engine.worker_count,
            "last_seq": self._server.hub.dispatched,
            "uptime_s": self._server.uptime_s,
        }

    def _complain(self, error: HttpError) -> None:
        self._say("error", None, {"error": error.error, "message": error.message, "details": error.details})

    def _say(self, event_type: str, run_id: str | None = None, data: Any = None, **more: Any) -> None:
        self._client.say(own_message(event_type, run_id, data, **more))


async def websocket(server: ServerContext, request: web.Request) -> web.WebSocketResponse:
    """Upgrades the request and serves the client; every check on the request has been made."""
    offers = subprotocols(request)
    if (
        offers and SUBPROTOCOL not in offers
    ):  # aiohttp would log a warning with all of them, and the token is one
        raise HttpError(400, f"the subprotocol of this address is {SUBPROTOCOL}")
    socket = web.WebSocketResponse(
        heartbeat=PING_EVERY_S,
        max_msg_size=MAX_MESSAGE_BYTES,
        compress=False,
        timeout=CLOSE_GRACE_S,
        protocols=(SUBPROTOCOL,),
    )
    if not socket.can_prepare(request).ok:
        raise HttpError(
            426,
            "this address speaks WebSocket",
            headers={"Upgrade": "websocket", "Connection": "Upgrade"},
        )
    if server.closing.is_set() or len(server.hub.clients) >= server.services.config.max_websockets:
        raise HttpError(503, "no more connections are taken now", headers={"Retry-After": "5"}, closes=True)
    transport, protocol = request.transport, request.protocol
    assert isinstance(protocol, HttpConnection)
    await socket.prepare(request)
    connection = Connection(server, socket, transport, protocol)
    server.connections.add(connection)
    try:
        await connection.serve()
    except Exception as error:  # noqa: BLE001 - an answer in HTTP is no longer possible
        internal_error(error)
        await connection.close(WSCloseCode.INTERNAL_ERROR, "something went wrong here")
    finally:
        server.connections.discard(connection)
    return socket


@functools.lru_cache(4096)
def text_header(size_bytes: int) -> bytes:
    """What stands before the content of a whole text frame from a server (RFC 6455, 5.2)."""
    if size_bytes < 126:
        return struct.pack("!BB", 0x81, size_bytes)
    if size_bytes < 2**16:
        return struct.pack("!BBH", 0x81, 126, size_bytes)
    return struct.pack("!BBQ", 0x81, 127, size_bytes)


def _parse(text: str) -> Request:
    data = parse_json(text)
    if not isinstance(data, dict):
        raise refusal([Problem(Severity.ERROR, "not-an-object", "a message is a JSON object")])
    action = data.get("action")
    model = ACTIONS.get(action) if isinstance(action, str) else None
    if model is None:
        message = f"action must be one of {', '.join(ACTIONS)}"
        raise refusal([Problem(Severity.ERROR, "unknown-action", message, field="action")])
    return check_model(model, data)
