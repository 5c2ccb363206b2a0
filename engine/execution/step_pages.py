"""The steps of runs, page by page: a run's journal is folded once, and from then on only what has come to it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from engine.flow.step_records import StepList
from engine.model.run import StepPage, StepRecord
from engine.storage.journal import StateManager

MOST_RUNS: Final = 16
MOST_STEPS: Final = 50_000
_ENTRIES_A_READ: Final = 1_000


@dataclass(slots=True)
class _Known:
    """``seq``: the last event that is in ``steps``."""

    steps: StepList = field(default_factory=lambda: StepList(only_small=True))
    seq: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock)


class StepPages:
    """The runs that were asked about last. Any thread; waits for the database.

    Results that are too large for a list are left out, so that what is kept is bounded.
    """

    def __init__(self, states: StateManager) -> None:
        self._states = states
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def read(
        self, run_id: str, wanted: Callable[[StepRecord], bool] | None, limit: int, offset: int
    ) -> StepPage:
        """A page of the run's steps, or of those that are ``wanted``."""
        with self._lock:
            known = self._known.setdefault(run_id, _Known())
            self._known.move_to_end(run_id)
        with known.turn:
            self._follow(run_id, known)
            if wanted is None:
                total = len(known.steps)
                steps = list(islice(known.steps, offset, offset + limit))
            else:
                found = [step for step in known.steps if wanted(step)]
                total, steps = len(found), found[offset : offset + limit]
        self._forget_the_oldest()
        return StepPage(steps, total, offset + len(steps) < total)

    def _follow(self, run_id: str, known: _Known) -> None:
        while True:
            entries = self._states.read_events(known.seq, run_id, limit=_ENTRIES_A_READ)
            for entry in entries:
                known.steps.add(entry.event)
                known.seq = entry.seq
            if len(entries) < _ENTRIES_A_READ:
                return

    def _forget_the_oldest(self) -> None:
        with self._lock:
            kept = sum(len(known.steps) for known in self._known.values())
            while len(self._known) > 1 and (len(self._known) > MOST_RUNS or kept > MOST_STEPS):
                _, oldest = self._known.popitem(last=False)
                kept -= len(oldest.steps)
