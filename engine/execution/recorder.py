"""What has been decided and is not told yet: written to the journal in one transaction, and then told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from engine.execution.live_run import LiveRun
from engine.failpoints import failpoint
from engine.model.events import JournalEntry, RunEvent
from engine.storage.database import explain, is_storage_error
from engine.storage.journal import Batch, StateManager
from engine.storage.kept_results import NewResult

log = logging.getLogger(__name__)

Subscriber = Callable[[Sequence[JournalEntry]], None]

_PAUSE_S = 1.0
_RELAXED_S = 0.05
"""So much of a relaxed run's work a crash can cost."""
_MOST_WAITING = 1_000
_reach_commit = failpoint("before-commit")
_pass_commit = failpoint("after-commit")
_reach_tell = failpoint("before-tell")


class CannotGoOn(Exception):
    """The engine has to end with work unrecorded; nothing of it was announced."""


@dataclass(slots=True)
class Commits:
    """How many commits there were, and how long they took in all: written with the turn, read by anybody."""

    count: int = 0
    seconds: float = 0.0


class Recorder:
    """Numbers what is decided, commits it, tells those who subscribed. With the engine's turn, ``subscribe`` aside.

    ``problem`` says why nothing can be written just now, and what to do; ``stand_still(problem)`` is called then, again
    and again until it can.
    """

    def __init__(
        self,
        store: StateManager,
        stopped: threading.Event,
        stand_still: Callable[[str], None],
        call_later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._store = store
        self._stopped = stopped
        self._stand_still = stand_still
        self.problem: str | None = None
        self.commits = Commits()
        self.committed_seq = store.last_seq()
        self.next_seq = self.committed_seq + 1
        self._call_later = call_later
        self._urgent = False
        self._waits = False  # for the moment after which it is urgent
        self._entries: list[JournalEntry] = []
        self._changed: dict[str, LiveRun] = {}
        self._results: dict[str, NewResult] = {}
        self._subscribers: list[Subscriber] = []

    def add(self, run_id: str, fact: RunEvent) -> None:
        """Take in a fact, to be committed with the next ``commit``."""
        self._entries.append(JournalEntry(self.next_seq, run_id, fact))
        self.next_seq += 1

    def urge(self, live: LiveRun, facts: Sequence[RunEvent]) -> None:
        """Have these facts of a run committed before anything follows from them, unless the run is relaxed."""
        self._urgent = self._urgent or live.is_urgent(facts)

    def mark_changed(self, live: LiveRun) -> None:
        """The run's row is to be written too."""
        self._changed[live.state.run_id] = live

    def keep(self, new: NewResult) -> None:
        """Have a result kept, in the commit that records its step: the completion that was added last."""
        self._results[new.key] = new

    def commit(self, *, at_once: bool) -> bool:
        """Commit all there is; or, where nothing is urgent, leave it for a moment. Whether all is committed.

        Raises:
            CannotGoOn: it was to stop meanwhile.
        """
        if not (self._urgent or at_once or len(self._entries) >= _MOST_WAITING):
            if self._entries and not self._waits:
                self._waits = True
                self._call_later(_RELAXED_S, self._stop_waiting)
            return not self._entries
        self._urgent = False
        if self._entries:
            self._write_all()
        return True

    def _stop_waiting(self) -> None:
        self._waits, self._urgent = False, True

    def _write_all(self) -> None:
        """One transaction. If the disk does not take it, wait and try again: nothing goes on."""
        batch = Batch(self._entries)
        for live in self._changed.values():
            if live.stored:
                batch.changed_runs.append(live.changed_row())
            else:
                batch.new_runs.append(live.row())
        if self._results:
            batch.new_results = list(self._results.values())
            self._results = {}
        _reach_commit()
        while (problem := self._write(batch)) is not None:
            if self.problem is None:
                log.warning("%s; work stands still until then", problem)
            self.problem = problem
            self._stand_still(problem)
            if self._stopped.wait(_PAUSE_S):
                raise CannotGoOn("it was closed while the journal could not be written")
        if self.problem is not None:
            log.warning("the journal can be written again; work goes on")
            self.problem = None
        for live in self._changed.values():
            live.stored = True
        self._changed.clear()
        self.committed_seq = self.next_seq - 1
        _pass_commit()

    def _write(self, batch: Batch) -> str | None:
        """Commit it; else why the disk does not take it."""
        began = perf_counter()
        try:
            self._store.append(batch)
        except Exception as error:
            if not is_storage_error(error):
                raise
            return explain(error, self._store.database.path)
        self.commits.count += 1
        self.commits.seconds += perf_counter() - began
        return None

    def tell(self) -> None:
        """Hand what was committed to the subscribers."""
        entries, self._entries = self._entries, []
        if entries:
            _reach_tell()
            for subscriber in self._subscribers:
                try:
                    subscriber(entries)
                except Exception:
                    log.exception("a subscriber failed")

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Be told; what is returned ends it. Any thread."""
        self._subscribers = [*self._subscribers, subscriber]

        def unsubscribe() -> None:
            self._subscribers = [other for other in self._subscribers if other is not subscriber]

        return unsubscribe
