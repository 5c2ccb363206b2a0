"""One WebSocket client: what it subscribed to, what it has still to be sent, and how far behind it may fall."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.errors import WorkflowError
from engine.model.events import JournalEntry
from wfe_desktop.server.hub import Frame, Hub
from wfe_desktop.server.threads import DatabaseThreads

log = logging.getLogger(__name__)

ALL_RUNS: Final = "*"
MAX_QUEUED: Final = 10_000
MAX_PENDING: Final = 4_000
MAX_BATCH: Final = 1_000
HISTORY_PAGE: Final = 1_000
SENDS_A_TURN: Final = 50

TRY_AGAIN_LATER: Final = 1013
INTERNAL_ERROR: Final = 1011


@dataclass(slots=True)
class _Subscription:
    """``floor``: everything up to this seq was sent or was not asked for. While it is not live, history is being
    read and what happens meanwhile is kept in ``pending``; ``lost`` is the last seq that no longer fitted.
    """

    key: str
    floor: int
    live: bool
    pending: deque[Frame] = field(default_factory=lambda: deque(maxlen=MAX_PENDING))
    lost: int = 0
    task: asyncio.Task[None] | None = None

    def keep(self, frame: Frame) -> None:
        if len(self.pending) == MAX_PENDING:
            self.lost = self.pending[0].seq
        self.pending.append(frame)


class Subscriber:
    """A client's subscriptions and its bounded queue. For the loop's thread.

    ``send`` writes one text frame and waits while the socket is full; ``close`` ends the connection with a code.
    """

    def __init__(
        self,
        hub: Hub,
        database: DatabaseThreads,
        send: Callable[[bytes], Awaitable[None]],
        close: Callable[[int, str], Awaitable[None]],
    ) -> None:
        self._hub = hub
        self._database = database
        self._send = send
        self._close = close
        self._batch_s: float | None = None
        self._subscriptions: dict[str, _Subscription] = {}
        self._queue: deque[Frame | bytes] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._sending = False
        self._dropped = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.sent = 0

    @property
    def keys(self) -> list[str]:
        """The run ids subscribed to, and ``*`` for all."""
        return list(self._subscriptions)

    @property
    def queued(self) -> int:
        """How many messages have still to be sent."""
        return len(self._queue)

    @property
    def needs_time(self) -> bool:
        """Whether much is queued and not because the client reads slowly: this side has not come to sending it."""
        return len(self._queue) > MAX_QUEUED * 3 // 4 and not self._sending

    def start(self) -> None:
        """Begins to send."""
        self._hub.clients.add(self)
        self._begin(self._write())

    async def stop(self) -> None:
        """Ends everything that runs for this client."""
        self._hub.clients.discard(self)
        self._subscriptions.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def say(self, message: bytes) -> None:
        """Queues a message of its own, which is never put into an array with events."""
        self._enqueue((message,))

    def subscribe(self, key: str, since: int | None, batch_ms: int | None) -> None:
        """Events of a run (or ``*``) from now on, or from after ``since``. Replaces an earlier one of the key."""
        self.unsubscribe(key)
        self._batch_s = batch_ms / 1000 if batch_ms else None
        subscription = _Subscription(key, self._hub.dispatched if since is None else since, since is None)
        self._subscriptions[key] = subscription
        if not subscription.live:
            self._begin(self._catch_up(subscription), subscription)

    def unsubscribe(self, key: str) -> bool:
        """Ends a subscription; False where there was none."""
        subscription = self._subscriptions.pop(key, None)
        if subscription is not None and subscription.task is not None:
            subscription.task.cancel()
        return subscription is not None

    def take(self, frames: Sequence[Frame]) -> None:
        """New events of the journal, in order; queues those that are wanted."""
        if not self._subscriptions:
            return
        every = self._subscriptions.get(ALL_RUNS)
        if every and every.live and len(self._subscriptions) == 1 and every.floor < frames[0].seq:
            self._enqueue(frames)
            return
        wanted = []
        for frame in frames:
            of_run = self._subscriptions.get(frame.run_id)
            matching = [each for each in (of_run, every) if each is not None and frame.seq > each.floor]
            if any(each.live for each in matching):
                wanted.append(frame)
            else:
                for each in matching:
                    each.keep(frame)
        if wanted:
            self._enqueue(wanted)

    def _enqueue(self, items: Iterable[Frame | bytes]) -> None:
        if self._dropped:
            return
        self._queue.extend(items)
        if len(self._queue) > MAX_QUEUED:
            self._drop()
            return
        if len(self._queue) > MAX_QUEUED // 2:
            self._room.clear()
        self._wake.set()

    def _drop(self) -> None:
        """Gives the client up: it reads more slowly than things happen. It may come back and resume."""
        self._dropped = True
        self._queue.clear()
        for task in self._tasks:
            task.cancel()
        self._subscriptions.clear()
        self._begin(self._close(TRY_AGAIN_LATER, "too slow: resume from your last seq"))

    # ------------------------------------------------------------------------------------------------- sending

    async def _write(self) -> None:
        sent = 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                if self._batch_s is not None and isinstance(self._queue[0], Frame):
                    await asyncio.sleep(self._batch_s)
                    await self._send_array()
                else:
                    item = self._queue.popleft()
                    await self._send_one(item.encoded if isinstance(item, Frame) else item)
                if len(self._queue) <= MAX_QUEUED // 2:
                    self._room.set()
                sent += 1
                if sent % SENDS_A_TURN == 0:
                    await asyncio.sleep(0)  # a send that need not wait does not yield

    async def _send_array(self) -> None:
        while self._queue and isinstance(self._queue[0], Frame):
            batch: list[bytes] = []
            while self._queue and len(batch) < MAX_BATCH and isinstance(frame := self._queue[0], Frame):
                batch.append(frame.encoded)
                self._queue.popleft()
            await self._send_one(b"[" + b",".join(batch) + b"]")
            await asyncio.sleep(0)

    async def _send_one(self, data: bytes) -> None:
        self._sending = True  # seen by others only while the socket is full: else this does not yield
        await self._send(data)
        self._sending = False
        self.sent += 1

    # ------------------------------------------------------------------------------------------------- history

    async def _catch_up(self, subscription: _Subscription) -> None:
        """Sends the journal from ``floor`` on, page by page as fast as the client reads, then goes live.

        A page that is not full holds everything committed when it was read, so at least everything that had been
        handed out before (``handed``). What came later is in ``pending``, unless more came than that holds: then
        the journal is read on.
        """
        run_id = None if subscription.key == ALL_RUNS else subscription.key
        position = subscription.floor
        while True:
            handed = self._hub.dispatched
            entries = await self._database.run(
                self._hub.journal.read_events, since=position, run_id=run_id, limit=HISTORY_PAGE
            )
            await self._room.wait()
            self._enqueue(
                [Frame(entry) for entry in entries if not self._is_live_elsewhere(subscription, entry)]
            )
            if entries:
                position = entries[-1].seq
            if len(entries) == HISTORY_PAGE:
                continue
            covered = max(position, handed)
            if covered >= subscription.lost:
                subscription.floor = covered
                subscription.live = True
                self._enqueue([frame for frame in subscription.pending if frame.seq > covered])
                subscription.pending.clear()
                return

    def _is_live_elsewhere(self, subscription: _Subscription, entry: JournalEntry) -> bool:
        """Whether another subscription of this client sends the event anyway."""
        return any(
            other.live and entry.seq > other.floor
            for other in (self._subscriptions.get(entry.run_id), self._subscriptions.get(ALL_RUNS))
            if other is not None and other is not subscription
        )

    # --------------------------------------------------------------------------------------------------- tasks

    def _begin(self, work: Awaitable[None], subscription: _Subscription | None = None) -> None:
        task = asyncio.ensure_future(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if subscription is not None:
            subscription.task = task

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except ConnectionError:
            pass  # the client is gone; the side that reads notices and stops everything
        except WorkflowError as error:
            await self._close(TRY_AGAIN_LATER, error.message[:100])
        except Exception:
            log.exception("a WebSocket client had to be given up")
            await self._close(INTERNAL_ERROR, "something went wrong here")
