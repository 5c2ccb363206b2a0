"""The WebSocket: messages in, and the life of a connection."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal

import pydantic
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from engine.errors import RunNotFound, WorkflowError
from engine.flow.strict_json import parse_json
from engine.model.problem import Problem, Severity
from wfe_desktop.server.bodies import check_model
from wfe_desktop.server.context import ServerContext
from wfe_desktop.server.failures import HttpError, internal_error, refusal, to_http_error
from wfe_desktop.server.jsonio import encode_json
from wfe_desktop.server.payloads import Id, Request, Seq
from wfe_desktop.server.subscriber import ALL_RUNS, Subscriber
from wfe_desktop.server.tokens import SUBPROTOCOL, subprotocols

MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_CLIENTS: Final = 200
MAX_SUBSCRIPTIONS: Final = 1_000
PING_EVERY_S: Final = 20.0
CLOSE_GRACE_S: Final = 2.0


class Subscribe(Request):
    """Events of one run, or of all (``*``), from now on or from after ``since``."""

    action: Literal["subscribe"]
    run_id: Id
    since: Seq | None = None
    batch_ms: int | None = pydantic.Field(default=None, ge=1, le=10_000)


class Unsubscribe(Request):
    """No more events of this run (or of ``*``)."""

    action: Literal["unsubscribe"]
    run_id: Id


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
        self, server: ServerContext, socket: web.WebSocketResponse, transport: asyncio.Transport | None
    ) -> None:
        self.id = secrets.token_hex(8)
        self.connected_at = datetime.now(UTC)
        self._server = server
        self._socket = socket
        self._transport = transport
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

    async def _send(self, data: bytes) -> None:
        await self._socket.send_frame(data, WSMsgType.TEXT)

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
            case Subscribe(run_id=run_id, since=since, batch_ms=batch_ms):
                await self._check_subscribe(run_id)
                self._say(
                    "subscription_confirmed",
                    run_id,
                    {"since": since, "batch_ms": batch_ms, "last_seq": self._server.hub.dispatched},
                )
                self._client.subscribe(run_id, since, batch_ms)
            case Unsubscribe(run_id=run_id):
                self._say("unsubscribed", run_id, {"was_subscribed": self._client.unsubscribe(run_id)})
            case Ping():
                self._say("pong")
            case _:
                self._say("status_info", None, self._status())

    async def _check_subscribe(self, run_id: str) -> None:
        if len(self._client.keys) >= MAX_SUBSCRIPTIONS and run_id not in self._client.keys:
            raise WorkflowError(f"a connection holds at most {MAX_SUBSCRIPTIONS} subscriptions; use *")
        if run_id == ALL_RUNS:
            return
        engine = self._server.services.engine
        if not await self._server.database.run(engine.read_events, run_id=run_id, limit=1):
            raise RunNotFound(f"no run has the id '{run_id}'", {"run_id": run_id})

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

    def _say(
        self, event_type: str, run_id: str | None = None, data: dict[str, Any] | None = None, **more: Any
    ) -> None:
        message = {
            "event_type": event_type,
            "run_id": run_id,
            "timestamp": datetime.now(UTC),
            "seq": None,
            "data": data or {},
            **more,
        }
        self._client.say(encode_json(message))


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
    if server.closing.is_set() or len(server.hub.clients) >= MAX_CLIENTS:
        raise HttpError(503, "no more connections are taken now", headers={"Retry-After": "5"}, closes=True)
    offers = subprotocols(request)
    if (
        offers and SUBPROTOCOL not in offers
    ):  # aiohttp would write a warning with all of them, and the token is one
        raise HttpError(400, f"the subprotocol of this address is {SUBPROTOCOL}")
    transport = request.transport
    await socket.prepare(request)
    connection = Connection(server, socket, transport)
    server.connections.add(connection)
    try:
        await connection.serve()
    except Exception as error:  # noqa: BLE001 - an answer in HTTP is no longer possible
        internal_error(error)
        await connection.close(WSCloseCode.INTERNAL_ERROR, "something went wrong here")
    finally:
        server.connections.discard(connection)
    return socket


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
