"""The steps of a run, as they are asked for and answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.flow.presenter import is_small
from engine.model.run import StepRecord
from engine.model.status import StepStatus
from wfe_desktop.server.payloads import AnswerBody, Id, PageQuery


class StepsQuery(PageQuery):
    """Which steps of a run."""

    node_id: Id | None = None
    status: StepStatus | None = None


class StepLine(AnswerBody):
    """One attempt of a step, or of an item of it (from 0). ``result_omitted``: the result is too large for a list."""

    node_id: str
    visit: int
    attempt: int
    item: int | None
    status: StepStatus
    started_at: datetime | None
    completed_at: datetime | None
    due_at: datetime | None
    duration_s: float | None
    error: str | None
    error_type: str | None
    result: Any
    result_omitted: bool

    @classmethod
    def of(cls, step: StepRecord) -> StepLine:
        shown = is_small(step.result)
        return cls.model_construct(
            node_id=step.node_id,
            visit=step.visit,
            attempt=step.attempt,
            item=step.item,
            status=step.status,
            started_at=step.started_at,
            completed_at=step.completed_at,
            due_at=step.due_at,
            duration_s=step.duration_s,
            error=step.error,
            error_type=step.error_type,
            result=step.result if shown else None,
            result_omitted=not shown,
        )


class RunSteps(AnswerBody):
    """The steps of a run, in the order in which they began."""

    run_id: str
    steps: list[StepLine]
    total_count: int
    has_more: bool
