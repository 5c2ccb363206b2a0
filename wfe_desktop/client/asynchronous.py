"""``AsyncClient``: every request, and runs followed to their end over the WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Collection
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
from wfe_desktop.client.results import ENDS, Event, RunState
from wfe_desktop.client.run_calls import RunCalls
from wfe_desktop.client.server_calls import ServerCalls
from wfe_desktop.client.transport import Graph, given

ALL_RUNS: Final = "*"
SNAPSHOT: Final = "snapshot"
STEP_PROGRESS: Final = "step_progress"
GATHER_MS: Final = 10
HEARTBEAT_S: Final = 20.0
CLOSE_GRACE_S: Final = 1.0
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0


@dataclass(slots=True)
class _Followed:
    """Which events are followed, and how far: ``seq`` is None until the server has said where "from now on" begins.

    ``snapshot``: how things stand is still to be told first. The end of one run is looked for, whatever ``types`` are wanted.
    """

    run_id: str | None
    graph_id: str | None
    types: Collection[str] | None
    snapshot: bool
    progress: bool
    seq: int | None

    @property
    def asked_types(self) -> list[str] | None:
        """The types that the server is asked for."""
        if self.types is None:
            return None
        return sorted({*self.types, *(ENDS if self.run_id is not None else ())})

    def to_order(self) -> dict[str, Any]:
        """What is said to the server."""
        of_all = ALL_RUNS if self.graph_id is None else None
        return given(
            action="subscribe",
            run_id=self.run_id or of_all,
            graph_id=self.graph_id,
            types=self.asked_types,
            snapshot=self.snapshot or None,
            progress=self.progress or None,
            since=self.seq,
            batch_ms=GATHER_MS,
        )

    def wants(self, event: Event) -> bool:
        """Whether it is for who asked."""
        wanted = self.types
        return wanted is None or event.event_type in {*wanted, SNAPSHOT, STEP_PROGRESS}


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
        self,
        run_id: str | None = None,
        since: int | None = None,
        reconnect_s: float = 60.0,
        *,
        graph_id: str | None = None,
        types: Collection[str] | None = None,
        snapshot: bool = False,
        progress: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """Events as they happen, in order, without gap or repeat, whatever happens to the connection.

        Of one run, up to its end, and by itself from its beginning; or of all runs, or those of one graph, without end, and by
        itself from now on. ``since``: from after this ``seq``. ``types``: of these types only. ``snapshot``: in place of what
        was before, first one event of the type ``snapshot``, whose ``data`` is how the run stands, or else the ``runs`` that
        have not ended. ``progress``: among them events of the type ``step_progress``, which say in ``data`` how far running steps
        are; they are not stored, may be left out, and have the ``seq`` of the event before. A broken connection, or a server
        that was restarted, is connected to again for ``reconnect_s`` seconds.

        Raises:
            RunNotFound, GraphNotFound: there is none of this id.
            ValidationError: both a run and a graph are named, or ``since`` beside ``snapshot``.
            ConnectionFailed: the server could not be reached (again).
        """
        following = self.event_batches(
            run_id,
            since,
            reconnect_s,
            graph_id=graph_id,
            types=types,
            snapshot=snapshot,
            progress=progress,
        )
        async with aclosing(following) as batches:
            async for batch in batches:
                for event in batch:
                    yield event

    async def event_batches(
        self,
        run_id: str | None = None,
        since: int | None = None,
        reconnect_s: float = 60.0,
        *,
        graph_id: str | None = None,
        types: Collection[str] | None = None,
        snapshot: bool = False,
        progress: bool = False,
    ) -> AsyncGenerator[list[Event], None]:
        """As ``events``, in lists of those that came together: for many of them."""
        loop = asyncio.get_running_loop()
        begins_early = since is None and run_id is not None and not snapshot
        followed = _Followed(run_id, graph_id, types, snapshot, progress, 0 if begins_early else since)
        give_up: float | None = None  # the first connection is tried once
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                if not followed.snapshot and await self._is_over(followed):
                    return
                async with self._subscribed(followed) as socket:
                    give_up, pause_s = loop.time() + reconnect_s, FIRST_PAUSE_S
                    async for message in socket:
                        if message.type is not aiohttp.WSMsgType.TEXT:
                            break
                        batch = _events_in(message, followed)
                        if wanted := [event for event in batch if followed.wants(event)]:
                            yield wanted
                        give_up = loop.time() + reconnect_s
                        if batch and _may_end(batch[-1]) and await self._is_over(followed):
                            return
            except (ConnectionFailed, ServerTimedOut, ServiceUnavailable):
                if give_up is None or loop.time() + pause_s > give_up:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _is_over(self, followed: _Followed) -> bool:
        """Whether it is one run, that has ended, and all its events were seen."""
        if (run_id := followed.run_id) is None or not (
            await self.get_execution_status(run_id)
        ).status.is_final:
            return False
        return not await self.get_execution_logs(run_id, followed.seq, 1, followed.asked_types)

    @asynccontextmanager
    async def _subscribed(self, followed: _Followed) -> AsyncGenerator[aiohttp.ClientWebSocketResponse, None]:
        """A WebSocket that is sent the events that are still to come."""
        try:
            async with self._open_session().ws_connect(
                f"{self.address}/ws",
                heartbeat=HEARTBEAT_S,
                max_msg_size=0,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_GRACE_S),
            ) as socket:
                await socket.send_json(followed.to_order())
                yield socket
        except WorkflowError:
            raise  # of what was asked meanwhile
        except aiohttp.WSServerHandshakeError as error:
            raise make_error(error.status, error.message, None) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed(error) from error


def _may_end(event: Event) -> bool:
    return event.ends_run or event.event_type == SNAPSHOT


def _events_in(message: aiohttp.WSMessage, followed: _Followed) -> list[Event]:
    """The events of a frame, after which it is ``followed`` further on.

    Raises:
        WorkflowError: the server refuses what it was asked for.
    """
    told = json.loads(message.data)
    found: list[Event] = []
    for one in told if isinstance(told, list) else [told]:
        if one["event_type"] == SNAPSHOT:
            followed.snapshot = False
            found.append(_snapshot(one))
        elif one["seq"] is not None:
            found.append(_event(one))
        elif one["event_type"] == STEP_PROGRESS:
            found.append(_event({**one, "seq": followed.seq}))
        elif one["event_type"] == "error":
            raise make_error(400, "", {"detail": one["data"]})
        elif one["event_type"] == "subscription_confirmed" and followed.seq is None and not followed.snapshot:
            followed.seq = one["data"]["last_seq"]
    if found:
        followed.seq = found[-1].seq
    return found


def _snapshot(told: dict[str, Any]) -> Event:
    return Event(
        seq=told["seq"],
        timestamp=datetime.fromisoformat(told["timestamp"]),
        run_id=told["run_id"] or ALL_RUNS,
        event_type=SNAPSHOT,
        node_id=None,
        message="",
        data=told["data"],
    )


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
