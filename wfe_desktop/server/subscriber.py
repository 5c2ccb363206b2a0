"""One WebSocket client: what it subscribed to, what it has still to be sent, and how far behind it may fall."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

from engine.errors import WorkflowError
from engine.model.events import JournalEntry
from wfe_desktop.server.hub import Frame, Hub, Progress, own_message
from wfe_desktop.server.threads import DatabaseThreads

log = logging.getLogger(__name__)

ALL_RUNS: Final = "*"
GRAPH_KEY: Final = "graph:"
RUNS_DELETED: Final = "runs_deleted"
MAX_QUEUED: Final = 10_000
MAX_PENDING: Final = 4_000
MAX_BATCH: Final = 1_000
HISTORY_PAGE: Final = 1_000
MESSAGES_A_SEND: Final = 250
MAX_BEFORE_PROGRESS: Final = 100
"""So many messages may be queued for a client that is still told how far steps are."""

TRY_AGAIN_LATER: Final = 1013
INTERNAL_ERROR: Final = 1011

Frames: TypeAlias = list[Frame]


@dataclass(slots=True)
class _Subscription:
    """``floor``: everything up to this seq was sent or was not asked for. While it is not live, history is being
    read and what happens meanwhile is kept in ``pending``; ``lost`` is the last seq that no longer fitted. ``types`` are the
    event types that are wanted; None: all. ``gone`` are deleted runs that are told of when history was.
    ``progress``: how far steps are is wanted too.
    """

    key: str
    floor: int
    live: bool
    types: frozenset[str] | None = None
    progress: bool = False
    pending: deque[Frame] = field(default_factory=lambda: deque(maxlen=MAX_PENDING))
    lost: int = 0
    gone: list[str] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    @property
    def graph_id(self) -> str | None:
        return self.key.removeprefix(GRAPH_KEY) if self.key.startswith(GRAPH_KEY) else None

    @property
    def run_id(self) -> str | None:
        return None if self.key == ALL_RUNS or self.key.startswith(GRAPH_KEY) else self.key

    def wants(self, frame: Frame) -> bool:
        return frame.seq > self.floor and (self.types is None or frame.event_type in self.types)

    def those_deleted(self, run_ids: Sequence[str]) -> Sequence[str]:
        """Those of the runs whose deletion is its matter. Nobody knows any more of which graph they were."""
        if self.types is not None and RUNS_DELETED not in self.types:
            return ()
        return run_ids if self.run_id is None else [each for each in run_ids if each == self.run_id]

    def keep(self, frame: Frame) -> None:
        if len(self.pending) == MAX_PENDING:
            self.lost = self.pending[0].seq
        self.pending.append(frame)


class Subscriber:
    """A client's subscriptions and its bounded queue. For the loop's thread.

    ``send`` writes text frames and waits while the socket is full; ``close`` ends the connection with a code.
    """

    def __init__(
        self,
        hub: Hub,
        database: DatabaseThreads,
        send: Callable[[Sequence[bytes]], Awaitable[None]],
        close: Callable[[int, str], Awaitable[None]],
    ) -> None:
        self._hub = hub
        self._database = database
        self._send = send
        self._close = close
        self._batch_s: float | None = None
        self._subscriptions: dict[str, _Subscription] = {}
        self._queue: deque[Frames | bytes] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._sending = False
        self._dropped = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.sent = 0

    @property
    def keys(self) -> list[str]:
        """The run ids subscribed to, ``graph:`` and the id of a graph, and ``*`` for all."""
        return list(self._subscriptions)

    @property
    def queued(self) -> int:
        """How many messages have still to be sent."""
        return self._queued

    @property
    def needs_time(self) -> bool:
        """Whether much is queued and not because the client reads slowly: this side has not come to sending it."""
        return self._queued > MAX_QUEUED * 3 // 4 and not self._sending

    def start(self) -> None:
        """Begins to send."""
        self._hub.clients.add(self)
        self._begin(self._write())

    async def stop(self) -> None:
        """Ends everything that runs for this client."""
        self._hub.clients.discard(self)
        self._forget_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def say(self, message: bytes) -> None:
        """Queues a message of its own, which is never put into an array with events."""
        self._enqueue(message)

    def subscribe(
        self,
        key: str,
        since: int | None,
        batch_ms: int | None,
        types: Collection[str] | None = None,
        *,
        progress: bool = False,
    ) -> None:
        """Events from now on, or from after ``since``: of a run, of a graph (``graph:`` and its id), or of all (``*``).

        Replaces an earlier one of the key. ``types``: of these types only. ``progress``: also how far steps are, now.
        """
        self.unsubscribe(key)
        self._batch_s = batch_ms / 1000 if batch_ms else None
        floor = self._hub.dispatched if since is None else since
        wanted = frozenset(types) if types else None
        subscription = _Subscription(key, floor, since is None, wanted, progress)
        self._subscriptions[key] = subscription
        if subscription.graph_id is not None:
            self._hub.graph_watchers += 1
        self._hub.progress_watchers += progress
        if not subscription.live:
            self._begin(self._catch_up(subscription), subscription)

    def unsubscribe(self, key: str) -> bool:
        """Ends a subscription; False where there was none."""
        subscription = self._subscriptions.pop(key, None)
        if subscription is None:
            return False
        if subscription.graph_id is not None:
            self._hub.graph_watchers -= 1
        self._hub.progress_watchers -= subscription.progress
        if subscription.task is not None:
            subscription.task.cancel()
        return True

    def _forget_all(self) -> None:
        for key in self.keys:
            self.unsubscribe(key)

    def take(self, frames: Frames) -> None:
        """New events of the journal, in order; queues those that are wanted."""
        if not self._subscriptions:
            return
        every = self._subscriptions.get(ALL_RUNS)
        is_simple = every is not None and every.live and every.types is None
        if every and is_simple and len(self._subscriptions) == 1 and every.floor < frames[0].seq:
            self._enqueue(frames)
            return
        wanted = []
        for frame in frames:
            matching = [each for each in self._matching(frame) if each.wants(frame)]
            if any(each.live for each in matching):
                wanted.append(frame)
            else:
                for each in matching:
                    each.keep(frame)
        if wanted:
            self._enqueue(wanted)

    def take_progress(self, told: Sequence[Progress]) -> None:
        """How far steps are; left out where there is history to send first, or the client is behind."""
        for each in told:
            wanted = any(found.progress and found.live for found in self._matching(each))
            if wanted and self._queued <= MAX_BEFORE_PROGRESS:
                self.say(each.encoded)

    def take_deleted(self, run_ids: Sequence[str]) -> None:
        """These runs are gone; says so to who wants to know, after what was to be said of them before."""
        told: set[str] = set()
        for each in self._subscriptions.values():
            found = each.those_deleted(run_ids)
            if each.live:
                told.update(found)
            else:
                each.gone += found
        self._say_deleted([run_id for run_id in run_ids if run_id in told])

    def _say_deleted(self, run_ids: Sequence[str]) -> None:
        if run_ids:
            self.say(own_message(RUNS_DELETED, None, {"run_ids": run_ids}))

    def _matching(self, frame: Frame | Progress) -> Iterator[_Subscription]:
        """The subscriptions whose matter it is."""
        for key in (frame.run_id, GRAPH_KEY + frame.graph_id, ALL_RUNS):
            if (found := self._subscriptions.get(key)) is not None:
                yield found

    def _enqueue(self, item: Frames | bytes) -> None:
        """A message, or events, which stay together as they are: many clients queue the same list."""
        if self._dropped or not item:
            return
        self._queue.append(item)
        self._queued += _count(item)
        if self._queued > MAX_QUEUED:
            self._drop()
            return
        if self._queued > MAX_QUEUED // 2:
            self._room.clear()
        self._wake.set()

    def _drop(self) -> None:
        """Gives the client up: it reads more slowly than things happen. It may come back and resume."""
        self._dropped = True
        self._queue.clear()
        self._queued = 0
        self._hub.dropped += 1
        for task in self._tasks:
            task.cancel()
        self._forget_all()
        self._begin(self._close(TRY_AGAIN_LATER, "too slow: resume from your last seq"))

    # ------------------------------------------------------------------------------------------------- sending

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                if self._batch_s is not None and self._next_events() is not None:
                    # At the same moments as others, so that they share arrays.
                    now = asyncio.get_running_loop().time()
                    await asyncio.sleep(self._batch_s - now % self._batch_s)
                    await self._send_arrays()
                else:
                    await self._send_singly()
                if self._queued <= MAX_QUEUED // 2:
                    self._room.set()

    def _next_events(self) -> Frames | None:
        """Events, where they are what is to be sent next."""
        item = self._queue[0] if self._queue else b""
        return None if isinstance(item, bytes) else item

    async def _send_singly(self) -> None:
        """What is queued, each in a frame of its own, many frames at once; up to an event that goes into an array."""
        messages: list[bytes] = []
        while self._queue and len(messages) < MESSAGES_A_SEND:
            if self._batch_s is not None and self._next_events() is not None:
                break
            item = self._queue.popleft()
            messages += [item] if isinstance(item, bytes) else [frame.encoded for frame in item]
        await self._send_now(messages, len(messages))

    async def _send_arrays(self) -> None:
        while self._next_events() is not None:
            batch: list[Frames] = []
            count = 0
            while (frames := self._next_events()) is not None:
                if batch and count + len(frames) > MAX_BATCH:
                    break
                self._queue.popleft()
                batch.append(frames)
                count += len(frames)
            await self._send_now([self._join(batch, count)], count)

    def _join(self, batch: Sequence[Frames], count: int) -> bytes:
        """The events as an array. One without gaps is the same for whoever has its first and last event."""
        ends = (batch[0][0].seq, batch[-1][-1].seq)
        if self._hub.last_array[0] == ends and ends[1] - ends[0] + 1 == count:
            return self._hub.last_array[1]
        array = b"[" + b",".join([frame.encoded for frames in batch for frame in frames]) + b"]"
        if ends[1] - ends[0] + 1 == count:
            self._hub.last_array = (ends, array)
        return array

    async def _send_now(self, messages: Sequence[bytes], count: int) -> None:
        """Sends what ``count`` of what was queued has become; until it is taken, it counts as queued."""
        self._sending = True  # seen by others only while the socket is full: else this does not yield
        await self._send(messages)
        self._sending = False
        self._queued -= count
        self.sent += len(messages)
        await asyncio.sleep(0)  # a send that need not wait does not yield

    # ------------------------------------------------------------------------------------------------- history

    async def _catch_up(self, subscription: _Subscription) -> None:
        """Sends the journal from ``floor`` on, page by page as fast as the client reads, then goes live.

        A page that is not full holds everything committed when it was read, so at least everything that had been
        handed out before (``handed``). What came later is in ``pending``, unless more came than that holds: then
        the journal is read on.
        """
        read = partial(
            self._hub.journal.read_events,
            run_id=subscription.run_id,
            graph_id=subscription.graph_id,
            limit=HISTORY_PAGE,
        )
        position = subscription.floor
        while True:
            handed = self._hub.dispatched
            entries = await self._database.run(read, since=position)
            await self._room.wait()
            frames = [Frame(entry, await self._find_graph(subscription, entry)) for entry in entries]
            self._enqueue([frame for frame in frames if self._is_owed(subscription, frame)])
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
                self._say_deleted(subscription.gone)
                subscription.gone = []
                return

    async def _find_graph(self, subscription: _Subscription, entry: JournalEntry) -> str:
        """The entry's graph, where it matters: another subscription of this client may be to it."""
        if subscription.graph_id is not None:
            return subscription.graph_id
        others = any(each.graph_id is not None for each in self._subscriptions.values())
        return await self._hub.find_graph_of(entry) if others else ""

    def _is_owed(self, subscription: _Subscription, frame: Frame) -> bool:
        """Whether an event of the past is wanted, and no other subscription of this client sends it anyway."""
        others = (each for each in self._matching(frame) if each is not subscription)
        return subscription.wants(frame) and not any(other.live and other.wants(frame) for other in others)

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


def _count(item: Frames | bytes) -> int:
    return 1 if isinstance(item, bytes) else len(item)
