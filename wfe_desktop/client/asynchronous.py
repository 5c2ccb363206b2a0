"""``AsyncClient``: every request, and runs followed to their end over the WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aiohttp

from wfe_desktop.client.errors import (
    ConnectionFailed,
    ServerTimedOut,
    ServiceUnavailable,
    WorkflowError,
    make_error,
)
from wfe_desktop.client.graph_calls import GraphCalls
from wfe_desktop.client.results import Event, RunState
from wfe_desktop.client.run_calls import RunCalls
from wfe_desktop.client.server_calls import ServerCalls
from wfe_desktop.client.transport import Graph

ALL_RUNS: Final = "*"
GATHER_MS: Final = 10
HEARTBEAT_S: Final = 20.0
CLOSE_GRACE_S: Final = 1.0
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0


@dataclass(slots=True)
class _Place:
    """How far events were followed; None until the server has said where "from now on" begins."""

    seq: int | None


class AsyncClient(GraphCalls, RunCalls, ServerCalls):
    """A client for one event loop. ``async with AsyncClient() as client: ...``, or ``close`` it.

    Beside what each method says, all of them raise ``ConnectionFailed``, ``ServerTimedOut``, ``Unauthorized`` and
    the other errors of ``wfe_desktop.client``.
    """

    async def run_and_wait(
        self,
        graph: str | Graph,
        initial_state: dict[str, Any] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as `wait` of the engine
    ) -> RunState:
        """Run a stored graph (its id), or store and run this one; the run at its end, however it ended.

        Raises:
            TimeoutError: it had not ended after ``timeout`` seconds; it goes on.
            ValidationError, GraphNotFound: it cannot be run.
        """
        if isinstance(graph, str):
            run_id = await self.execute_workflow(graph, initial_state)
        else:
            run_id = (await self.execute_graph(graph, initial_state)).run_id
        return await self.wait(run_id, timeout)

    async def wait(
        self,
        run_id: str,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> RunState:
        """Wait until the run has ended, also across a restart of the server; ``timeout`` in seconds.

        Raises:
            RunNotFound: there is no such run.
            TimeoutError: it had not ended in time; it goes on.
        """
        try:
            async with asyncio.timeout(timeout):
                state = await self.get_execution_status(run_id)
                while not state.status.is_final:
                    async with aclosing(self.event_batches(run_id, state.seq)) as batches:
                        async for _ in batches:
                            pass
                    state = await self.get_execution_status(run_id)
                return state
        except ServerTimedOut:
            raise
        except TimeoutError:
            raise TimeoutError(f"run {run_id} had not ended after {timeout} s") from None

    async def events(
        self, run_id: str | None = None, since: int | None = None, reconnect_s: float = 60.0
    ) -> AsyncGenerator[Event, None]:
        """Events as they happen, in order, without gap or repeat, whatever happens to the connection.

        Of one run, up to its end, and by itself from its beginning; or of all runs, without end, and by itself from now
        on. ``since``: from after this ``seq``. A broken connection, or a server that was restarted, is connected to
        again for ``reconnect_s`` seconds.

        Raises:
            RunNotFound: there is no such run.
            ConnectionFailed: the server could not be reached (again).
        """
        async with aclosing(self.event_batches(run_id, since, reconnect_s)) as batches:
            async for batch in batches:
                for event in batch:
                    yield event

    async def event_batches(
        self, run_id: str | None = None, since: int | None = None, reconnect_s: float = 60.0
    ) -> AsyncGenerator[list[Event], None]:
        """As ``events``, in lists of those that came together: for many of them."""
        loop = asyncio.get_running_loop()
        place = _Place(0 if since is None and run_id is not None else since)
        give_up: float | None = None  # the first connection is tried once
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                if run_id is not None and await self._is_over(run_id, place):
                    return
                async with self._subscribed(run_id, place) as socket:
                    give_up, pause_s = loop.time() + reconnect_s, FIRST_PAUSE_S
                    async for message in socket:
                        if message.type is not aiohttp.WSMsgType.TEXT:
                            break
                        batch = _events_in(message, place)
                        if batch:
                            yield batch
                        give_up = loop.time() + reconnect_s
                        if (
                            run_id is not None
                            and batch
                            and batch[-1].ends_run
                            and await self._is_over(run_id, place)
                        ):
                            return
            except (ConnectionFailed, ServerTimedOut, ServiceUnavailable):
                if give_up is None or loop.time() + pause_s > give_up:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _is_over(self, run_id: str, place: _Place) -> bool:
        """Whether the run has ended, and all its events were seen."""
        state = await self.get_execution_status(run_id)
        return state.status.is_final and not await self.get_execution_logs(run_id, since=place.seq, limit=1)

    @asynccontextmanager
    async def _subscribed(
        self, run_id: str | None, place: _Place
    ) -> AsyncGenerator[aiohttp.ClientWebSocketResponse, None]:
        """A WebSocket that is sent the events from ``place`` on."""
        try:
            async with self._open_session().ws_connect(
                f"{self.address}/ws",
                heartbeat=HEARTBEAT_S,
                max_msg_size=0,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_GRACE_S),
            ) as socket:
                order = {"action": "subscribe", "run_id": run_id or ALL_RUNS, "batch_ms": GATHER_MS}
                await socket.send_json(order if place.seq is None else {**order, "since": place.seq})
                yield socket
        except WorkflowError:
            raise  # of what was asked meanwhile
        except aiohttp.WSServerHandshakeError as error:
            raise make_error(error.status, error.message, None) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed(error) from error


def _events_in(message: aiohttp.WSMessage, place: _Place) -> list[Event]:
    """The events of a frame, after which ``place`` is moved on.

    Raises:
        WorkflowError: the server refuses what it was asked for.
    """
    told = json.loads(message.data)
    found: list[Event] = []
    for one in told if isinstance(told, list) else [told]:
        if one["seq"] is not None:
            found.append(_event(one))
        elif one["event_type"] == "error":
            raise make_error(400, "", {"detail": one["data"]})
        elif one["event_type"] == "subscription_confirmed" and place.seq is None:
            place.seq = one["data"]["last_seq"]
    if found:
        place.seq = found[-1].seq
    return found


def _event(told: dict[str, Any]) -> Event:
    """The same event as in the logs; there, ``data`` repeats the message only beside a node."""
    data = told["data"]
    node_id = data.get("node_id")
    return Event(
        seq=told["seq"],
        timestamp=datetime.fromisoformat(told["timestamp"]),
        run_id=told["run_id"],
        event_type=told["event_type"],
        node_id=node_id,
        message=data.pop("message") if node_id is None else data["message"],
        data=data,
    )
