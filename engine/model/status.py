"""Where a run and a step can stand, and which changes there are. The table is checked against docs/runs.md."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run stands. ``completed``, ``failed`` and ``cancelled`` are final."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    __hash__ = str.__hash__  # as that of the text it equals; Enum's own is slow besides

    @property
    def is_final(self) -> bool:
        return self in _FINAL


class StepStatus(StrEnum):
    """Where a node's current step stands."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    __hash__ = str.__hash__


for _member in (*RunStatus, *StepStatus):
    # Up to Python 3.11 a member is looked up by a function, which costs half a microsecond a time.
    type.__setattr__(type(_member), _member.name, _member)

_FINAL = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})

TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.PENDING: frozenset(
        {RunStatus.RUNNING, RunStatus.WAITING, RunStatus.FAILED, RunStatus.CANCELLED}
    ),
    RunStatus.RUNNING: frozenset({RunStatus.PAUSED, RunStatus.WAITING, *_FINAL}),
    RunStatus.PAUSED: frozenset({RunStatus.RUNNING, RunStatus.WAITING, *_FINAL}),
    RunStatus.WAITING: frozenset({RunStatus.RUNNING, RunStatus.PAUSED, *_FINAL}),
    RunStatus.COMPLETED: frozenset(),
    RunStatus.FAILED: frozenset({RunStatus.RUNNING}),  # by a retry from where it failed
    RunStatus.CANCELLED: frozenset(),
}
"""From each status, the statuses that may follow."""
