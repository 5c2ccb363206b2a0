"""Deleting runs while the engine works: those that somebody asks for, and those that are no longer to be kept.

A run is taken out of the history on the loader's thread, after the engine's thread has let go of it: whoever reads a
run to let it go on does so there too, so neither can happen in the middle of the other. The rest, which may take long, is
done on a thread of its own, in small transactions with pauses between them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from engine.errors import DatabaseError, ServiceUnavailable
from engine.execution.attempts.attempt import now_us
from engine.execution.conductor import Conductor
from engine.execution.loader import Loader, done
from engine.storage.journal import StateManager
from engine.storage.kept_results import KeptResults
from engine.storage.removal import RunRemover

log = logging.getLogger(__name__)

_FIRST_S = 2.0
_PAUSE_S = 60.0
_REST = 3.0
"""Between two transactions, so many times as long as the one before took."""
_BATCH = 100
_DAY_US = 86_400_000_000


class DeletedRuns(NamedTuple):
    """What became of runs that were to be deleted, by id. ``deleted`` has their child runs, too."""

    deleted: tuple[str, ...]
    unfinished: tuple[str, ...]
    """They, or child runs of theirs, have not ended; or their parent, with which they go, was not named."""
    not_found: tuple[str, ...]


class Retention:
    """Deletes runs. Any thread may call any method; those that return a ``Future`` never wait."""

    def __init__(
        self,
        store: StateManager,
        conductor: Conductor,
        loader: Loader,
        days: float,
        runs: int,
        results: int,
    ) -> None:
        self._store = store
        self._conductor = conductor
        self._loader = loader
        self._remover = RunRemover(store.database)
        self._kept = KeptResults(store.database)
        self._days, self._runs, self._results = days, runs, results
        self._subscribers: list[Callable[[Sequence[str]], None]] = []
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to delete what is not to be kept, soon, and from then on every minute."""
        with self._lock:
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._work, name="engine-retention", daemon=True)
                self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """End the thread; whether it ended in time. What is left goes on at the next start."""
        with self._lock:
            self._closed.set()
            self._woken.set()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def subscribe(self, callback: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        """Have the ids of deleted runs handed to ``callback``, on whatever thread; returns what ends it."""
        with self._lock:
            self._subscribers = [*self._subscribers, callback]

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers = [other for other in self._subscribers if other is not callback]

        return unsubscribe

    def delete(self, run_ids: Sequence[str]) -> Future[DeletedRuns]:
        """Delete these ended runs for good. One that cannot be deleted keeps none of the others."""
        wanted = list(dict.fromkeys(run_ids))

        def look() -> Future[DeletedRuns]:
            gone: set[str] = set()
            for start in range(0, len(wanted), _BATCH):
                gone.update(self._doom(wanted[start : start + _BATCH]))
            left = [run_id for run_id in wanted if run_id not in gone]
            known = {run_id for run_id in left if self._store.find_run(run_id) is not None}
            return done(
                DeletedRuns(
                    tuple(sorted(gone)),
                    tuple(run_id for run_id in left if run_id in known),
                    tuple(run_id for run_id in left if run_id not in known),
                )
            )

        return self._loader.run(look)

    def prune(self, days: float | None = None, runs: int | None = None) -> int:
        """Delete runs that ended more than so many days ago, and all but the newest so many; how many are gone.

        What is not given is as configured; 0 deletes none by that rule. It waits until they are out of the history.

        Raises:
            DatabaseError: the disk is full, say; what is deleted is deleted whole.
            ServiceUnavailable: the engine is closed, or cannot write.
        """
        days, runs = self._days if days is None else days, self._runs if runs is None else runs
        before_us = now_us() - int(days * _DAY_US) if days else None
        count, last = 0, None
        while candidates := self._remover.find_removable(before_us, runs or None, last):
            count += len(self.delete([candidate.run_id for candidate in candidates]).result().deleted)
            last = candidates[-1]
        return count

    def clear_results(self, tool: str | None) -> int:
        """Forget kept results, all or those of one tool; how many there were. It waits for the database."""
        return self._kept.drop(tool)

    # On the loader's thread -------------------------------------------------------------------------------------

    def _doom(self, run_ids: Sequence[str]) -> list[str]:
        free = self._conductor.post_call(lambda: self._conductor.release(run_ids)).result()
        gone = self._remover.doom(free)
        if gone:
            # Child runs went with theirs. An engine that closes meanwhile keeps nothing either.
            self._conductor.post_call(lambda: self._conductor.release(gone)).exception()
            for subscriber in self._subscribers:
                subscriber(gone)
            self.start()
            self._woken.set()
        return gone

    # On the thread of its own -------------------------------------------------------------------------------------

    def _work(self) -> None:
        pause_s, prune_at = _FIRST_S, time.monotonic() + _FIRST_S
        while not self._closed.is_set():
            self._woken.wait(max(0.0, min(pause_s, prune_at - time.monotonic())))
            self._woken.clear()
            try:
                if time.monotonic() >= prune_at:
                    prune_at = time.monotonic() + _PAUSE_S
                    self.prune()
                    self._prune_results()
                    self._store.database.shorten_log()
                self._sweep()
            except (DatabaseError, ServiceUnavailable) as error:
                log.info("deleting old runs has to wait: %s", error)
            except Exception:
                log.exception("internal error while old runs were deleted; it is tried again later")
            pause_s = _PAUSE_S

    def _prune_results(self) -> None:
        """Forget kept results that are too old or too many."""
        if self._days:
            self._kept.drop_before(now_us() - int(self._days * _DAY_US))
        if self._results:
            self._kept.drop_all_but(self._results)

    def _sweep(self) -> None:
        more = True
        while more and not self._closed.is_set():
            began = time.monotonic()
            more = self._remover.sweep()
            if more:
                self._closed.wait(_REST * (time.monotonic() - began))
