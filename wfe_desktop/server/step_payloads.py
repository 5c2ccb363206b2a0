"""The steps of a run, as they are asked for and answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from engine.flow.presenter import is_small
from engine.model.run import StepInputs, StepRecord
from engine.model.status import StepStatus
from wfe_desktop.server.payloads import MAX_SEQ, AnswerBody, Flag, Id, PageQuery


class StepsQuery(PageQuery):
    """Which steps of a run."""

    node_id: Id | None = None
    status: StepStatus | None = None
    visit: int | None = Field(default=None, ge=1, le=MAX_SEQ)
    inputs: Flag = Field(
        default=False,
        description="With what each step was given; the run is followed up to there, so this costs more.",
    )


class StepInputsOut(AnswerBody):
    """What a step was given as it started: ``arguments`` by parameter, as they were found.

    ``state`` is there for a tool that takes the state, ``items`` for a step with ``for_each``, ``error`` where there was
    nothing to be given.
    """

    arguments: dict[str, Any]
    state: dict[str, Any] | None
    items: list[Any] | None
    error: str | None

    @classmethod
    def of(cls, given: StepInputs) -> StepInputsOut:
        return cls.model_construct(
            arguments=given.arguments, state=given.state, items=given.items, error=given.error
        )

    @property
    def is_small(self) -> bool:
        """Whether it may stand in a list."""
        return is_small([self.arguments, self.state, self.items])


class StepLine(AnswerBody):
    """One attempt of a step, or of an item of it (from 0). ``result_omitted``, ``inputs_omitted``: too large for a list.

    ``inputs`` are there where they were asked for and the step has started. ``taken_from`` is the run from which a fork has it,
    ``child_run_id`` the run of another graph that it started, ``cached_from`` the one whose kept result was used in place
    of a call.
    """

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
    inputs: StepInputsOut | None
    inputs_omitted: bool
    taken_from: str | None
    child_run_id: str | None
    cached_from: str | None

    @classmethod
    def of(cls, step: StepRecord, given: StepInputs | None = None, *, in_full: bool = False) -> StepLine:
        """``in_full``: it stands alone, so that nothing is left out."""
        inputs = None if given is None else StepInputsOut.of(given)
        too_large = inputs is not None and not in_full and not inputs.is_small
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
            result=step.result,
            result_omitted=step.result_omitted,
            inputs=None if too_large else inputs,
            inputs_omitted=too_large,
            taken_from=step.taken_from,
            child_run_id=step.child_run_id,
            cached_from=step.cached_from,
        )


class RunSteps(AnswerBody):
    """The steps of a run, in the order in which they began."""

    run_id: str
    steps: list[StepLine]
    total_count: int
    has_more: bool
