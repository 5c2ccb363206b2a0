"""Runs that have ended and may still be asked about: kept in memory as long as there is room."""

from __future__ import annotations

from collections import OrderedDict

from engine.execution.live_run import LiveRun

_ROOM = 20_000
"""So many nodes and steps may they have in all; some 20 MB. The newest one is kept however large it is."""


class RecentRuns:
    """By id, those that were added last. ``get`` is for any thread, the rest for one at a time."""

    def __init__(self, room: int = _ROOM) -> None:
        self._room = room
        self._runs: OrderedDict[str, tuple[LiveRun, int]] = OrderedDict()

    def add(self, live: LiveRun) -> None:
        """Keep the run, and let go of the oldest ones where it gets too narrow."""
        self.drop(live.state.run_id)
        size = len(live.state.plan.graph.nodes) + len(live.state.path)
        self._runs[live.state.run_id] = live, size
        self._room -= size
        while self._room < 0 and len(self._runs) > 1:
            self._room += self._runs.popitem(last=False)[1][1]

    def get(self, run_id: str) -> LiveRun | None:
        """The run, where it is kept."""
        kept = self._runs.get(run_id)
        return None if kept is None else kept[0]

    def drop(self, run_id: str) -> None:
        """Let go of the run."""
        kept = self._runs.pop(run_id, None)
        if kept is not None:
            self._room += kept[1]
