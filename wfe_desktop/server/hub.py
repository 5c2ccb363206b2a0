"""From the engine's journal to every WebSocket client, in order, without waiting for any of them.

The engine tells each committed batch on its own thread; that callback only puts it into an inbox and wakes the
loop once, however many batches gather meanwhile. The loop hands the events to the clients' bounded queues: a
client that reads too slowly is dropped, but none is dropped because this side was slow to send.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

from engine.errors import WorkflowError
from engine.flow.presenter import present
from engine.model.events import JournalEntry, RunAccepted, StepProgress
from engine.model.run import RunSummary
from wfe_desktop.server.jsonio import encode_json

log = logging.getLogger(__name__)

ENTRIES_A_TURN: Final = 500
MAX_INBOX: Final = 200_000
MAX_GRAPHS_KNOWN: Final = 20_000
HOLD_S: Final = 0.002
LOOK_UP_AGAIN_S: Final = 1.0
STEP_PROGRESS: Final = "step_progress"


class Journal(Protocol):
    """The part of the engine that tells what happened."""

    def subscribe(self, callback: Callable[[Sequence[JournalEntry]], None], /) -> Callable[[], None]: ...

    def read_events(
        self, since: int = 0, run_id: str | None = None, graph_id: str | None = None, limit: int = 1000
    ) -> list[JournalEntry]: ...

    def subscribe_progress(self, callback: Callable[[StepProgress], None], /) -> Callable[[], None]: ...

    def subscribe_deleted(self, callback: Callable[[Sequence[str]], None], /) -> Callable[[], None]: ...


class Frame:
    """An event on its way to clients; made out and encoded once, and only if somebody wants it."""

    __slots__ = ("_encoded", "_entry", "_message", "graph_id", "run_id", "seq")

    def __init__(self, entry: JournalEntry, graph_id: str = "") -> None:
        self._entry = entry
        self._message: dict[str, Any] | None = None
        self._encoded: bytes | None = None
        self.seq = entry.seq
        self.run_id = entry.run_id
        self.graph_id = graph_id

    @property
    def event_type(self) -> str:
        """As clients know it."""
        return str(self._make()["event_type"])

    @property
    def encoded(self) -> bytes:
        """The event as JSON, in the form of the WebSocket."""
        if self._encoded is None:
            self._encoded = encode_json(self._make())
        return self._encoded

    def _make(self) -> dict[str, Any]:
        if self._message is None:
            self._message = event_message(self._entry)
        return self._message


def event_message(entry: JournalEntry) -> dict[str, Any]:
    """An event as WebSocket clients get it: that of the logs, with node and message inside ``data``."""
    event = present(entry)
    data = dict(event.data)
    if event.node_id is not None:
        data.setdefault("node_id", event.node_id)
    data.setdefault("message", event.message)
    return {
        "event_type": event.event_type,
        "run_id": event.run_id,
        "timestamp": event.timestamp,
        "seq": event.seq,
        "data": data,
    }


def own_message(event_type: str, run_id: str | None = None, data: Any = None, **more: Any) -> bytes:
    """What is no event of the journal, and has no ``seq``, in the same form as JSON."""
    message = {
        "event_type": event_type,
        "run_id": run_id,
        "timestamp": datetime.now(UTC),
        "seq": None,
        "data": data or {},
        **more,
    }
    return encode_json(message)


def progress_message(said: StepProgress) -> bytes:
    """How far a step is, as WebSocket clients get it."""
    data = {
        "node_id": said.node,
        "visit": said.visit,
        "attempt": said.attempt,
        "item": said.item,
        "done": said.done,
        "total": said.total,
        "message": said.message,
    }
    return own_message(STEP_PROGRESS, said.run_id, data)


class Progress(NamedTuple):
    """How far a step is, as it goes to clients."""

    run_id: str
    graph_id: str
    encoded: bytes


class Client(Protocol):
    """Who is told what happens. For the loop's thread."""

    @property
    def needs_time(self) -> bool:
        """Whether it has not come to sending on what it has."""

    def take(self, frames: list[Frame]) -> None:
        """New events, in order."""

    def take_progress(self, told: Sequence[Progress]) -> None:
        """How far steps are, once each."""

    def take_deleted(self, run_ids: Sequence[str]) -> None:
        """These runs are gone; their events were handed out before."""


class Hub:
    """Hands the journal's events to its clients. Everything but the engine's callback is for the loop's thread.

    ``dispatched`` is the last seq handed out, ``delivered`` how many events were, ``dropped`` how many clients were given
    up. Which graph a run is of is known from its acceptance; ``find_graph`` is asked about older ones, as long as there
    are ``graph_watchers``. How far steps are is told as long as there are ``progress_watchers``.
    ``last_array`` is for clients whose arrays are the same.
    """

    def __init__(self, journal: Journal, find_graph: Callable[[str], Awaitable[str | None]]) -> None:
        self.journal = journal
        self.clients: set[Client] = set()
        self.graph_watchers = 0
        self.progress_watchers = 0
        self.dispatched = 0
        self.delivered = 0
        self.dropped = 0
        self.last_array: tuple[tuple[int, int], bytes] = ((0, 0), b"")
        self.on_entries: Callable[[Sequence[JournalEntry]], None] = lambda _: None
        self._find_graph = find_graph
        self._graphs: dict[str, str] = {}
        self._looking_up: asyncio.Task[None] | None = None
        self._inbox: deque[JournalEntry] = deque()
        self._deleted: deque[tuple[int, Sequence[str]]] = deque()
        self._progress: deque[StepProgress] = deque()
        self._telling = False
        self._woken = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsubscribe: list[Callable[[], None]] = []

    def start(self) -> None:
        """Begins to listen; call it on the loop that serves the clients."""
        self._loop = asyncio.get_running_loop()
        self._unsubscribe = [
            self.journal.subscribe(self._receive),
            self.journal.subscribe_deleted(self._receive_deleted),
            self.journal.subscribe_progress(self._receive_progress),
        ]

    def start_after(self, seq: int) -> None:
        """Events up to ``seq`` are history: they were committed before anybody was connected."""
        self.dispatched = max(self.dispatched, seq)

    def know(self, runs: Sequence[RunSummary]) -> None:
        """These were under way before: of which graphs they are."""
        for run in runs:
            self._remember(run.run_id, run.graph_id)

    def stop(self) -> None:
        """Stops listening. Clients are closed by who opened them."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        if self._looking_up is not None:
            self._looking_up.cancel()
        self._loop = None
        self._inbox.clear()

    def _receive(self, entries: Sequence[JournalEntry]) -> None:
        """On the engine's thread. Between reading ``_woken`` and setting it nothing can be lost: the loop clears
        it before it empties the inbox, and the entries are in the inbox already.
        """
        self._inbox.extend(entries)
        loop = self._loop
        if self._woken or loop is None:
            return
        self._woken = True
        try:
            loop.call_soon_threadsafe(self._dispatch)
        except RuntimeError:
            self._woken = False  # the loop is closed; so is the server

    def _receive_progress(self, said: StepProgress) -> None:
        """On the step's thread. It wakes the loop as ``_receive`` does."""
        loop = self._loop
        if not self.progress_watchers or loop is None:
            return
        self._progress.append(said)
        if self._telling:
            return
        self._telling = True
        try:
            loop.call_soon_threadsafe(self._tell_progress)
        except RuntimeError:
            self._telling = False  # the loop is closed; so is the server

    def _tell_progress(self) -> None:
        """The latest of each step: what gathered meanwhile is out of date."""
        self._telling = False
        latest: dict[tuple[str, str, int | None], StepProgress] = {}
        while self._progress:
            said = self._progress.popleft()
            latest[said.run_id, said.node, said.item] = said
        told = [
            Progress(said.run_id, self._graphs.get(said.run_id, ""), progress_message(said))
            for said in latest.values()
        ]
        for client in tuple(self.clients):
            client.take_progress(told)

    def _receive_deleted(self, run_ids: Sequence[str]) -> None:
        """On whatever thread deletes."""
        if (loop := self._loop) is not None:
            with suppress(RuntimeError):  # the loop is closed; so is the server
                loop.call_soon_threadsafe(self._take_deleted, run_ids)

    def _take_deleted(self, run_ids: Sequence[str]) -> None:
        """What the runs did is in the inbox by now, if it was not handed out: clients are told of that first."""
        self._deleted.append((self._inbox[-1].seq if self._inbox else 0, run_ids))
        self._tell_deleted()

    def _tell_deleted(self) -> None:
        while self._deleted and self._deleted[0][0] <= self.dispatched:
            _, run_ids = self._deleted.popleft()
            for client in tuple(self.clients):
                client.take_deleted(run_ids)

    def _dispatch(self) -> None:
        self._woken = False
        loop = self._loop
        if loop is None or self._looking_up is not None:
            return
        if len(self._inbox) < MAX_INBOX and any(client.needs_time for client in self.clients):
            self._again(lambda: loop.call_later(HOLD_S, self._dispatch))
            return
        if frames := self._take_frames():
            self.dispatched = max(self.dispatched, frames[-1].seq)
            self.delivered += len(frames)
            for client in tuple(self.clients):
                client.take(frames)
            self._tell_deleted()
        if self._inbox and self._looking_up is None:
            self._again(lambda: loop.call_soon(self._dispatch))  # others get their turn in between

    def _take_frames(self) -> list[Frame]:
        """The next events; up to one whose graph somebody wants to know and that has first to be looked up."""
        frames: list[Frame] = []
        taken: list[JournalEntry] = []
        while self._inbox and len(frames) < ENTRIES_A_TURN:
            entry = self._inbox[0]
            graph_id = self._know(entry)
            if graph_id is None and self.graph_watchers:
                self._looking_up = asyncio.ensure_future(self._look_up(entry))
                break
            frames.append(Frame(entry, graph_id or ""))
            taken.append(self._inbox.popleft())
        self.on_entries(taken)
        return frames

    def _know(self, entry: JournalEntry) -> str | None:
        """The graph of the entry's run, where that is known."""
        if isinstance(entry.event, RunAccepted):
            self._remember(entry.run_id, entry.event.graph_id)
        return self._graphs.get(entry.run_id)

    def _remember(self, run_id: str, graph_id: str) -> None:
        while len(self._graphs) >= MAX_GRAPHS_KNOWN:
            del self._graphs[next(iter(self._graphs))]
        self._graphs[run_id] = graph_id

    async def find_graph_of(self, entry: JournalEntry) -> str:
        """The graph of the entry's run; empty where there is none (it was deleted)."""
        if (known := self._know(entry)) is None:
            known = (await self._find_graph(entry.run_id)) or ""
            self._remember(entry.run_id, known)
        return known

    async def _look_up(self, entry: JournalEntry) -> None:
        try:
            await self.find_graph_of(entry)
        except WorkflowError as error:
            log.warning("the graph of run %s cannot be read; events wait for it: %s", entry.run_id, error)
            await asyncio.sleep(LOOK_UP_AGAIN_S)
        self._looking_up = None
        self._dispatch()

    def _again(self, schedule: Callable[[], object]) -> None:
        if not self._woken:
            self._woken = True
            schedule()
