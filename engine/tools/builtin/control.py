"""Control: steps that decide, wait, stop or set."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, NoReturn

from pydantic import Field

from engine.errors import StepError
from engine.model.outcome import RunWorkflow
from engine.tools.context import ToolContext
from engine.tools.decorator import tool

_CATEGORY = "Control"
_log = logging.getLogger("engine.tools.log")

_LONGEST_DELAY_S = 86_400.0
_TICK_S = 0.1


class Gate(NamedTuple):
    """The verdict of a quality gate.

    Attributes:
        passed: Whether nothing is amiss.
        score: The score that was judged.
        reasons: What is amiss, a sentence each.
        report: The report as it came, for the steps after the gate.
    """

    passed: bool
    score: float
    reasons: list[str]
    report: dict[str, Any]


@tool(name="quality_gate", category=_CATEGORY)
def quality_gate(
    report: dict[str, Any],
    threshold: Annotated[float, Field(ge=0, le=100)] = 70,
    score_key: str = "score",
    limits: dict[str, float] | None = None,
) -> Gate:
    """Judge a report: its score must reach the threshold, and no number may be above its limit. Does not fail the step.

    Args:
        report: A report with a score, such as that of code.analyze.
        threshold: The score to reach, 0 to 100.
        score_key: Where the score is in the report.
        limits: The most that other numbers of the report may be, by name; a list counts by its length.
    """
    score = _number_of(report, score_key)
    reasons = [] if score >= threshold else [f"The score is {score:g}; {threshold:g} is required."]
    for name, most in (limits or {}).items():
        found = _number_of(report, name)
        if found > most:
            reasons.append(f"{name} is {found:g}; at most {most:g} is allowed.")
    return Gate(not reasons, score, reasons, report)


def _number_of(report: dict[str, Any], name: str) -> float:
    value = report.get(name)
    if isinstance(value, list):
        return len(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    known = ", ".join(key for key, of in report.items() if isinstance(of, int | float | list))
    raise LookupError(f'The report has no number "{name}"; it has: {known or "none"}.')


class FailedOnPurpose(StepError):
    """What the tool "fail" raises."""

    code = "FailedOnPurpose"


@tool(name="pass_through", category=_CATEGORY)
def pass_through(value: Any = None) -> Any:
    """Hand a value on as it is. A place to join or split branches.

    Args:
        value: Anything.
    """
    return value


@tool(name="merge", category=_CATEGORY)
def merge(values: list[Any] | None = None, **kwargs: Any) -> dict[str, Any]:
    """Merge results of several branches into one object.

    Args:
        values: Objects whose keys are taken over, the later ones winning.
        kwargs: Named values; each becomes a key of its own.
    """
    merged: dict[str, Any] = {}
    for index, value in enumerate(values or []):
        if not isinstance(value, dict):
            raise TypeError(f"Item {index} of values is not an object; give it a name of its own instead.")
        merged |= value
    return merged | kwargs


@tool(name="set_state", category=_CATEGORY, label="Set state")
def set_state(state: dict[str, Any], values: dict[str, Any] | None = None, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG001
    """Set keys of the state. Every parameter beyond values becomes a key.

    Args:
        state: The state of the run.
        values: Values by state key.
        kwargs: More values by state key; they win over values.
    """
    return {**(values or {}), **kwargs}


@tool(name="fail", category=_CATEGORY)
def fail(message: str = "The workflow was told to fail here.") -> NoReturn:
    """Fail the step with a message. Without an error edge, the run fails.

    Args:
        message: What to say.
    """
    raise FailedOnPurpose(message)


@tool(name="delay", category=_CATEGORY)
async def delay(
    seconds: Annotated[float, Field(ge=0, le=_LONGEST_DELAY_S)],
    context: ToolContext | None = None,
    value: Any = None,
) -> Any:
    """Wait, then hand the value on. Ends early when the run is cancelled; holds no worker.

    Args:
        seconds: How long, in seconds.
        context: The step.
        value: What to hand on.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0:
        if context is not None:
            context.check_cancelled()
        await asyncio.sleep(min(left, _TICK_S))
    return value


@tool(name="log", category=_CATEGORY, label="Log message")
def log_message(
    message: str,
    level: Literal["debug", "info", "warning", "error"] = "info",
    context: ToolContext | None = None,
) -> str:
    """Write a line to the program's log, and hand it on.

    Args:
        message: What to write.
        level: How much it matters.
        context: The step.
    """
    where = f"run {context.run_id}, node {context.node_id}: " if context is not None else ""
    # One line without escape codes, so that nobody can forge another.
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in message).split())
    _log.log(logging.getLevelNamesMapping()[level.upper()], "%s%s", where, text)
    return message


@tool(name="run_workflow", category=_CATEGORY, label="Run workflow")
async def run_workflow(
    graph: Annotated[str, Field(json_schema_extra={"format": "workflow"})],
    initial_state: dict[str, Any] | None = None,
    **kwargs: Any,
) -> dict[str, Any] | RunWorkflow:
    """Run a stored workflow as a run of its own, and hand its final state on. Waiting for it holds no worker.

    Args:
        graph: The workflow: its id, or its name where only one has it. Its newest version is run.
        initial_state: The state it starts with.
        kwargs: More keys of that state; they win over initial_state.
    """
    return RunWorkflow(graph, {**(initial_state or {}), **kwargs})


TOOLS: tuple[Callable[..., Any], ...] = (
    quality_gate,
    set_state,
    pass_through,
    merge,
    delay,
    log_message,
    fail,
    run_workflow,
)
