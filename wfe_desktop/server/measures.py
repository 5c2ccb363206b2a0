"""What is counted of runs and steps while the server is up: from the events that are committed, away from the engine's path."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from engine.model.events import (
    STOPPED,
    JournalEntry,
    RunAccepted,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunRetried,
    RunStarted,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepRetrying,
    StepSkipped,
)
from engine.model.run import RunSummary, to_microseconds

STEP_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
RUN_BOUNDS_S: Final = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
    1800,
    3600,
    86400,
)
MAX_RUNS_TIMED: Final = 20_000
_ENDS: Final = {RunCompleted: "completed", RunFailed: "failed", RunCancelled: "cancelled"}
_OUTCOMES: Final = {StepSkipped: "skipped", StepCancelled: "cancelled", StepRetrying: "retried"}


class Histogram:
    """How often something took up to so long. ``counts`` has one place for each bound, and one for what was longer."""

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self.bounds_s = tuple(bounds_s)
        self.counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one more."""
        self.counts[bisect_left(self.bounds_s, seconds)] += 1
        self.sum_s += seconds

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)


class Measures:
    """Counts since the server's start. For the loop's thread.

    Steps of ``for_each`` count, and so does each of their items. A run that is retried ends again.
    """

    def __init__(self) -> None:
        self.runs_accepted = 0
        self.runs_ended = Counter(dict.fromkeys(_ENDS.values(), 0))
        self.steps_ended = Counter(dict.fromkeys(("completed", "failed", *_OUTCOMES.values()), 0))
        self.run_durations = Histogram(RUN_BOUNDS_S)
        self.step_durations = Histogram(STEP_BOUNDS_S)
        self._started_us: dict[str, int] = {}

    def know_started(self, runs: Iterable[RunSummary]) -> None:
        """Runs that began before the server did."""
        for run in runs:
            if run.started_at is not None:
                self._started_us.setdefault(run.run_id, to_microseconds(run.started_at))

    def take(self, entries: Sequence[JournalEntry]) -> None:
        """Count what happened."""
        for _, run_id, event in entries:
            kind = type(event)  # what a fork took over is of a kind of its own, and was counted when it ran
            if kind is StepCompleted or kind is StepFailed:
                assert isinstance(event, StepCompleted | StepFailed)
                stopped = isinstance(event, StepFailed) and event.error_type == STOPPED
                outcome = "cancelled" if stopped else "completed" if kind is StepCompleted else "failed"
                self.steps_ended[outcome] += 1
                self.step_durations.observe(event.duration_us / 1e6)
            elif kind in _OUTCOMES:
                self.steps_ended[_OUTCOMES[kind]] += 1
            elif kind is RunAccepted:
                self.runs_accepted += 1
            elif kind is RunStarted or kind is RunRetried:
                while len(self._started_us) >= MAX_RUNS_TIMED:
                    del self._started_us[next(iter(self._started_us))]
                self._started_us[run_id] = event.at
            elif kind in _ENDS:
                self.runs_ended[_ENDS[kind]] += 1
                started_us = self._started_us.pop(run_id, None)
                if started_us is not None:
                    self.run_durations.observe((event.at - started_us) / 1e6)
