"""Watching the engine: what happens as it happens, and how much is going on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from engine.execution.conductor import Conductor
from engine.execution.following import follow_journal
from engine.execution.history import RunHistory
from engine.execution.recorder import Subscriber
from engine.flow.presenter import present
from engine.model.events import StepProgress
from engine.model.run import EventRecord
from engine.storage.journal import StateManager


class EngineWatch(RunHistory):
    """The part of the engine that tells. Any thread may call any method; none but ``iter_events`` waits."""

    def __init__(self, states: StateManager, conductor: Conductor, workers: int) -> None:
        super().__init__(states)
        self._conductor = conductor
        self._workers = workers

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Have each batch of committed entries handed to ``callback``, in ``seq`` order; returns what ends it.

        It is called by one thread at a time, the engine's or a worker's, and must only put them aside; the entries must not
        be changed.
        """
        return self._conductor.subscribe(callback)

    def subscribe_progress(self, callback: Callable[[StepProgress], None]) -> Callable[[], None]:
        """Have what tools say of their progress handed to ``callback``; returns what ends it.

        At most ten times a second for a step. It is called on the step's thread and must only put it aside. Progress is
        not among the events: it is not stored, and has no ``seq``.
        """
        return self._conductor.subscribe_progress(callback)

    def iter_events(
        self, since: int = 0, run_id: str | None = None, timeout: float | None = None
    ) -> Iterator[EventRecord]:
        """The events after ``since`` as they are recorded, oldest first, without gap or repeat; of one run if given.

        Waits for the next one; ends when none has come for ``timeout`` seconds, or when the iterator is closed.
        """
        for entry in follow_journal(self.states, self.subscribe, since, run_id, timeout):
            yield present(entry)

    @property
    def last_seq(self) -> int:
        """The ``seq`` of the newest event."""
        return self._conductor.last_seq

    @property
    def running_steps(self) -> int:
        """How many steps are running or queued for a worker."""
        return self._conductor.running_steps

    @property
    def abandoned_steps(self) -> int:
        """How many threads are still busy with a step that was given up: it timed out, or its run has ended."""
        return self._conductor.abandoned_steps

    @property
    def active_runs(self) -> int:
        """How many runs have not ended."""
        return self._conductor.active_runs

    @property
    def worker_count(self) -> int:
        """How many threads may run tools."""
        return self._workers
