"""Following the journal: what is recorded from a point on, and then what is recorded as it is, without gap or repeat."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from time import monotonic

from engine.model.events import JournalEntry
from engine.storage.journal import StateManager

Subscribe = Callable[[Callable[[Sequence[JournalEntry]], None]], Callable[[], None]]


def follow_journal(
    states: StateManager, subscribe: Subscribe, since: int, run_id: str | None, timeout_s: float | None
) -> Iterator[JournalEntry]:
    """Entries with a ``seq`` above ``since``, in order; ends when nothing has come for ``timeout_s``, if given.

    Subscribed first and read after, so that nothing falls between; what comes twice is left out by its ``seq``.
    """
    live: queue.SimpleQueue[Sequence[JournalEntry]] = queue.SimpleQueue()
    unsubscribe = subscribe(live.put)
    try:
        while entries := states.read_events(since, run_id):
            yield from entries
            since = entries[-1].seq
        deadline = None if timeout_s is None else monotonic() + timeout_s
        while True:
            try:
                batch = live.get(timeout=None if deadline is None else max(0.0, deadline - monotonic()))
            except queue.Empty:
                return
            for entry in batch:
                if entry.seq > since and run_id in (None, entry.run_id):
                    since = entry.seq
                    yield entry
                    deadline = None if timeout_s is None else monotonic() + timeout_s
    finally:
        unsubscribe()
