"""From the engine's journal to every WebSocket client, in order, without waiting for any of them.

The engine tells each committed batch on its own thread; that callback only puts it into an inbox and wakes the
loop once, however many batches gather meanwhile. The loop hands the events to the clients' bounded queues: a
client that reads too slowly is dropped, but none is dropped because this side was slow to send.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from engine.flow.presenter import present
from engine.model.events import JournalEntry
from wfe_desktop.server.jsonio import encode_json

ENTRIES_A_TURN: Final = 500
MAX_INBOX: Final = 200_000
HOLD_S: Final = 0.002


class Journal(Protocol):
    """The part of the engine that tells what happened."""

    def subscribe(self, callback: Callable[[Sequence[JournalEntry]], None], /) -> Callable[[], None]: ...

    def read_events(
        self, since: int = 0, run_id: str | None = None, graph_id: str | None = None, limit: int = 1000
    ) -> list[JournalEntry]: ...


class Frame:
    """An event on its way to clients; encoded once, and only if somebody wants it."""

    __slots__ = ("_encoded", "_entry", "run_id", "seq")

    def __init__(self, entry: JournalEntry) -> None:
        self._entry = entry
        self._encoded: bytes | None = None
        self.seq = entry.seq
        self.run_id = entry.run_id

    @property
    def encoded(self) -> bytes:
        """The event as JSON, in the form of the WebSocket."""
        if self._encoded is None:
            self._encoded = encode_json(event_message(self._entry))
        return self._encoded


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


class Client(Protocol):
    """Who is told what happens. For the loop's thread."""

    @property
    def needs_time(self) -> bool:
        """Whether it has not come to sending on what it has."""

    def take(self, frames: Sequence[Frame]) -> None:
        """New events, in order."""


class Hub:
    """Hands the journal's events to its clients. Everything but the engine's callback is for the loop's thread.

    ``dispatched`` is the last seq handed out, ``delivered`` how many events were.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.clients: set[Client] = set()
        self.dispatched = 0
        self.delivered = 0
        self._inbox: deque[JournalEntry] = deque()
        self._woken = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Begins to listen; call it on the loop that serves the clients."""
        self._loop = asyncio.get_running_loop()
        self._unsubscribe = self.journal.subscribe(self._receive)

    def start_after(self, seq: int) -> None:
        """Events up to ``seq`` are history: they were committed before anybody was connected."""
        self.dispatched = max(self.dispatched, seq)

    def stop(self) -> None:
        """Stops listening. Clients are closed by who opened them."""
        if self._unsubscribe is not None:
            self._unsubscribe()
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

    def _dispatch(self) -> None:
        self._woken = False
        loop = self._loop
        if loop is None:
            return
        if len(self._inbox) < MAX_INBOX and any(client.needs_time for client in self.clients):
            self._again(lambda: loop.call_later(HOLD_S, self._dispatch))
            return
        frames = [Frame(self._inbox.popleft()) for _ in range(min(ENTRIES_A_TURN, len(self._inbox)))]
        if not frames:
            return
        self.dispatched = max(self.dispatched, frames[-1].seq)
        self.delivered += len(frames)
        for client in tuple(self.clients):
            client.take(frames)
        if self._inbox:
            self._again(lambda: loop.call_soon(self._dispatch))  # others get their turn in between

    def _again(self, schedule: Callable[[], object]) -> None:
        if not self._woken:
            self._woken = True
            schedule()
