"""The steps of a run one by one, folded from its events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from engine.flow.presenter import is_small
from engine.model.events import (
    STOPPED,
    ChildStarted,
    FailureTakenOver,
    RunEvent,
    StepCancelled,
    StepCompleted,
    StepDue,
    StepFailed,
    StepParked,
    StepQueued,
    StepRetrying,
    StepSkipped,
    StepStarted,
    StepTakenOver,
    StepUnsure,
)
from engine.model.run import StepRecord, to_datetime
from engine.model.status import StepStatus

_Attempt = (
    StepStarted
    | StepCompleted
    | StepFailed
    | StepRetrying
    | StepDue
    | StepParked
    | ChildStarted
    | StepQueued
    | StepUnsure
    | StepCancelled
)


class StepList:
    """The steps of one run, built event by event: every attempt, in the order in which they began.

    A node that was skipped is there each time it was. An attempt that began again after a crash is one record, with its
    latest start. With ``only_small``, results that are too large for a list are left out.
    """

    def __init__(self, *, only_small: bool = False) -> None:
        self._only_small = only_small
        self._records: dict[object, StepRecord] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[StepRecord]:
        return iter(self._records.values())

    def add(self, event: RunEvent) -> None:
        """Take in the run's next event."""
        match event:
            case StepSkipped():
                self._records[len(self._records)] = StepRecord(
                    event.node, 0, 0, None, StepStatus.SKIPPED, completed_at=to_datetime(event.at)
                )
            case _ if isinstance(event, _Attempt):
                key = (event.node, event.visit, event.attempt, event.item)
                before = self._records.get(key) or StepRecord(*key, StepStatus.PENDING)
                after = _after(before, event)
                if isinstance(event, StepTakenOver | FailureTakenOver):
                    after = _taken_over(after, event)
                if self._only_small and isinstance(event, StepCompleted) and not is_small(event.result):
                    after = replace(after, result=None, result_omitted=True)
                self._records[key] = after
            case _:
                pass


def list_steps(events: Iterable[RunEvent]) -> list[StepRecord]:
    """The steps that these events of a run tell of."""
    steps = StepList()
    for event in events:
        steps.add(event)
    return list(steps)


def _taken_over(step: StepRecord, event: StepTakenOver | FailureTakenOver) -> StepRecord:
    """With the times at which it really ran."""
    return replace(
        step,
        started_at=to_datetime(event.recorded_at - event.duration_us),
        completed_at=to_datetime(event.recorded_at),
        taken_from=event.origin,
    )


def _after(step: StepRecord, event: _Attempt) -> StepRecord:
    at = to_datetime(event.at)
    match event:
        case StepStarted():
            return replace(step, status=StepStatus.RUNNING, started_at=at)
        case StepCompleted():
            return replace(
                step,
                status=StepStatus.COMPLETED,
                completed_at=at,
                duration_s=event.duration_us / 1e6,
                result=event.result,
                cached_from=event.cached_from,
            )
        case StepFailed():
            return replace(
                step,
                status=StepStatus.CANCELLED if event.error_type == STOPPED else StepStatus.FAILED,
                completed_at=at,
                duration_s=event.duration_us / 1e6,
                error=event.error,
                error_type=event.error_type,
            )
        case StepRetrying() | StepParked():
            due_at = None if event.due is None else to_datetime(event.due)
            return replace(step, status=StepStatus.WAITING, due_at=due_at)
        case ChildStarted():
            due_at = None if event.due is None else to_datetime(event.due)
            return replace(step, status=StepStatus.WAITING, due_at=due_at, child_run_id=event.child_run_id)
        case StepUnsure() | StepQueued():
            return replace(step, status=StepStatus.WAITING)
        case StepDue():
            return replace(step, status=StepStatus.PENDING)
        case StepCancelled():
            return replace(step, status=StepStatus.CANCELLED, completed_at=at)
