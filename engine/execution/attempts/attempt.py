"""One try of a step: finding its arguments, calling the tool, and turning what came of it into an event.

``prepare`` runs on the engine thread and only looks up references; copying, coercing and calling happen on the worker.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

from engine.errors import ArgumentError, ResultError, StepError, StepTimedOut, WorkflowError
from engine.execution.attempts.output import Capture, StepLog
from engine.execution.attempts.result_size import check_size, shorten_error
from engine.execution.secrets import hide, hide_json, reveal_secret, were_revealed
from engine.failpoints import failpoint
from engine.flow.run_state import RunState
from engine.flow.secrets import fill_secrets
from engine.flow.state import Changes, StateView, find_changes
from engine.flow.validation_policies import why_not_cached
from engine.flow.values import copy_json, to_json
from engine.model.events import ChildWanted, StepCompleted, StepFailed, StepParked, StepStarted
from engine.model.graph import RESULT_PORT, CachePolicy, Isolation, NodeDefinition
from engine.model.outcome import EndRun, RunWorkflow, WaitForSignal, WaitUntil
from engine.model.run import to_microseconds
from engine.model.tool import Tool
from engine.tools.context import OnProgress, StepWasCancelled, ToolContext

_reach_tool = failpoint("before-tool")
_pass_tool = failpoint("after-tool")

_TOLD_BY_TOOLS = ("result", "changes", "end_reason", "message", "schema", "initial_state", "graph")
"""The fields of outcomes that hold what a tool returned."""


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


Outcome: TypeAlias = StepCompleted | StepFailed | StepParked | ChildWanted
"""What a worker reports."""

# Made once: a union is made anew each time it is written in a function.
_WAITS = (WaitUntil, WaitForSignal)
_SPECIAL = (*_WAITS, RunWorkflow, EndRun)


@dataclass(slots=True)
class Attempt:
    """All a worker needs. ``values`` and ``state`` refer to the run's own values: to be copied, never changed.

    ``place`` says where it runs, once that is decided; ``cpu_ns`` what it took of its thread's processor time.
    With ``cache``, a result that was kept is looked for before it is ``submitted``, by its ``cache_key``.
    ``on_over`` is called once it does not use anything any more, which may be long after it was given up.
    """

    started: StepStarted
    tool: Tool
    values: dict[str, Any]
    state: dict[str, Any] | None
    save_as: str | None
    context: ToolContext
    log: StepLog
    max_result_bytes: int
    isolation: Isolation = "auto"
    timeout_s: float | None = None
    cache: CachePolicy | None = None
    cache_key: str = ""
    submitted: bool = False
    place: str = ""
    began_ns: int = 0
    cpu_ns: int = 0
    ticket: list[None] = field(default_factory=[None].copy)
    on_over: Callable[[], object] | None = None
    secrets: tuple[str, ...] = ()
    """Parameters whose values refer to secrets."""

    @property
    def run_id(self) -> str:
        return self.context.run_id

    def cancel(self) -> None:
        """Ask the tool to stop. Any thread."""
        self.context.cancel()

    def over(self) -> None:
        """Its call has returned, or will never be made. Called before its end is reported. Any thread."""
        if self.on_over is not None:
            self.on_over()

    def drop(self) -> None:
        """It will not be begun, and nothing is expected of it. Any thread."""
        self.cancel()
        self.claim()
        self.log.close()
        self.over()

    def claim(self) -> bool:
        """Whether the caller is the one who says how the attempt ended: true for the first that asks. Any thread."""
        try:
            self.ticket.pop()
        except IndexError:
            return False
        return True


def prepare(
    run: RunState,
    node: int,
    tool: Tool,
    started: StepStarted,
    workspace: Path,
    max_result_bytes: int,
    log: StepLog | None = None,
    on_progress: OnProgress | None = None,
) -> Attempt:
    """The attempt, with the state and the results as they are now (section 3 of the semantics).

    Raises:
        StepError: a parameter has no value, or its expression cannot be evaluated.
    """
    definition = run.plan.graph.nodes[node]
    item = started.item
    values = find_values(run, node, definition, tool, item)
    secrets = run.plan.secrets[node]
    return Attempt(
        started=started,
        tool=tool,
        values=values,
        state=dict(run.state) if tool.takes_state else None,
        save_as=definition.save_as if item is None else None,
        context=ToolContext(
            run.run_id, started.node, started.visit, started.attempt, workspace, on_progress=on_progress
        ),
        log=log or StepLog(lambda *_: None),
        max_result_bytes=max_result_bytes,
        isolation=definition.isolation,
        timeout_s=definition.timeout_s,
        # Not those for which a wire or an expression supplied something else.
        secrets=secrets and tuple(name for name in secrets if values[name] is definition.parameters[name]),
        cache=definition.cache if definition.cache is None or why_not_cached(tool) is None else None,
    )


def find_values(
    run: RunState, node: int, definition: NodeDefinition, tool: Tool | None, item: int | None
) -> dict[str, Any]:
    """The arguments of a step that runs, by parameter: references to the run's own values.

    Raises:
        StepError: a parameter has no value, or its expression cannot be evaluated.
    """
    values = _find_wired(run, run.running[node if item is None else (node, item)].wires)
    for name, expression in run.plan.bindings[node]:
        if name not in values:
            try:
                values[name] = expression.evaluate(run.scope(node, item=item))
            except WorkflowError as error:
                raise ArgumentError(f'parameter "{name}" ({expression.text}): {error.message}') from error
    for name, value in definition.parameters.items():
        values.setdefault(name, value)
    for port in tool.inputs if tool is not None else ():
        if port.name not in values:
            if port.name in run.state:
                values[port.name] = run.state[port.name]
            elif port.required:
                raise ArgumentError(_explain_missing(run, port.name))
    return values


def _find_wired(run: RunState, wires: tuple[int, ...]) -> dict[str, Any]:
    """Values of the wires that were taken; of several for one parameter, the source that finished last."""
    values: dict[str, Any] = {}
    best: dict[str, int] = {}
    for edge in wires:
        source = run.plan.topology.source[edge]
        port, name = run.plan.ports[edge]
        if run.finish_order[source] > best.get(name, -1):
            best[name] = run.finish_order[source]
            values[name] = _read_port(run.results[source], port, run.plan.topology.node_ids[source], name)
    return values


def _read_port(result: Any, port: str, source: str, name: str) -> Any:
    if port == RESULT_PORT:
        return result
    if isinstance(result, Mapping) and port in result:
        return result[port]
    has = (
        f"it has {', '.join(sorted(result)) or 'no fields'}"
        if isinstance(result, Mapping)
        else "it is no object"
    )
    raise ArgumentError(f'parameter "{name}": the result of "{source}" has no field "{port}"; {has}')


def _explain_missing(run: RunState, name: str) -> str:
    keys = ", ".join(sorted(run.state)[:10]) or "none yet"
    return (
        f'parameter "{name}" has no value: wire something to it, give it a value or an expression, '
        f'or put a key "{name}" into the state (keys there: {keys})'
    )


def execute(attempt: Attempt) -> Outcome:
    """Call the tool on this thread. Never raises."""
    with Capture(attempt.log):
        cpu_ns = time.thread_time_ns()
        try:
            return _settle(attempt, attempt.tool.function(**begin(attempt)))
        except BaseException as error:  # noqa: BLE001 - whatever a tool does is its step's failure
            return fail(attempt, error)
        finally:
            attempt.cpu_ns = time.thread_time_ns() - cpu_ns


async def execute_async(attempt: Attempt) -> Outcome:
    """Await the tool on this event loop. Raises nothing, cancellation aside."""
    with Capture(attempt.log):
        try:
            return _settle(attempt, await attempt.tool.function(**begin(attempt)))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit too: it would end the loop of all others
            return fail(attempt, error)


def begin(attempt: Attempt) -> dict[str, Any]:
    """The tool's own copies of its arguments, of the types it asks for; the clock starts."""
    attempt.began_ns = time.perf_counter_ns()
    attempt.context.check_cancelled()
    tool = attempt.tool
    values = {name: copy_json(value) for name, value in attempt.values.items()}
    for name in attempt.secrets:
        values[name] = fill_secrets(values[name], reveal_secret)
    try:
        arguments = tool.coerce(values)
    except ArgumentError as error:
        raise _leave_out_secrets(error, attempt.secrets) from None
    if attempt.state is not None:
        arguments["state"] = StateView(attempt.state)
        attempt.values = arguments  # the view is needed again to find what changed
    if tool.takes_context:
        arguments["context"] = attempt.context
    _reach_tool()
    return arguments


def _leave_out_secrets(error: ArgumentError, secrets: tuple[str, ...]) -> ArgumentError:
    """The error without the values of these parameters: it may show the beginning of one, which is not recognised."""
    faults: dict[str, str] = error.details.get("parameters", {})
    if not faults.keys() & set(secrets):
        return error
    told = [
        f'parameter "{name}" does not take what its secret holds' if name in secrets else fault
        for name, fault in faults.items()
    ]
    message = "; ".join(told)
    return ArgumentError(message[:1].upper() + message[1:])


def finish(attempt: Attempt, returned: Any) -> StepCompleted | StepParked | ChildWanted:
    """What the tool returned, as an event.

    Raises:
        ResultError: it cannot be kept.
    """
    _pass_tool()
    special = isinstance(returned, _SPECIAL)
    if attempt.state is None:
        result, changes, removed = Changes(None if special else to_json(returned), {}, ())
    else:
        given = None if special else returned
        result, changes, removed = find_changes(attempt.state, attempt.values["state"], given)
    started = attempt.started
    if isinstance(returned, _WAITS):
        return _park(started, returned, changes, removed)
    if isinstance(returned, RunWorkflow):
        return _want_child(started, returned, changes, removed)
    if attempt.save_as is not None and not special:
        changes = {**changes, attempt.save_as: result}
    completed = StepCompleted(
        now_us(),
        started.node,
        started.visit,
        started.attempt,
        result,
        changes,
        removed,
        _duration_us(attempt),
        item=started.item,
    )
    if isinstance(returned, EndRun):
        completed.end_status, completed.end_reason = returned.status, returned.reason
    return completed


def _settle(attempt: Attempt, returned: Any) -> Outcome:
    """What the tool returned, as an event that may be kept."""
    outcome = finish(attempt, returned)
    is_state_tool = attempt.state is not None
    check_size(attempt.tool.name, outcome, attempt.max_result_bytes, is_state_tool=is_state_tool)
    return _hide_in(attempt, outcome)


def _hide_in(attempt: Attempt, outcome: Outcome) -> Outcome:
    """The outcome without the value of any secret. The run's log says where one was taken out."""
    if not were_revealed():
        return outcome
    for name in _TOLD_BY_TOOLS:
        value = getattr(outcome, name, None)
        if value:
            hidden = hide_json(value)
            if hidden is not value:
                setattr(outcome, name, hidden)
                attempt.log.record("warning", f"A secret was taken out of what the tool returned ({name}).")
    return outcome


def _park(
    started: StepStarted, wish: WaitUntil | WaitForSignal, changes: dict[str, Any], removed: tuple[str, ...]
) -> StepParked:
    parked = StepParked(now_us(), started.node, started.visit, started.attempt, item=started.item)
    parked.changes, parked.removed = changes, removed
    if isinstance(wish, WaitForSignal):
        parked.signal, parked.message = str(wish.name), str(wish.message)
        parked.schema = None if wish.schema is None else to_json(wish.schema, "the signal's schema")
        return parked
    parked.result = to_json(wish.result)
    if isinstance(wish.time, timedelta):
        parked.due = parked.at + wish.time // timedelta(microseconds=1)
    elif wish.time.tzinfo is None:
        raise ResultError(
            "WaitUntil needs a time with a time zone, such as datetime.now(UTC) + timedelta(hours=1)"
        )
    else:
        parked.due = to_microseconds(wish.time)
    return parked


def _want_child(
    started: StepStarted, wish: RunWorkflow, changes: dict[str, Any], removed: tuple[str, ...]
) -> ChildWanted:
    state = to_json(wish.initial_state or {}, "the initial state")
    if not isinstance(state, dict):
        raise ResultError(
            f"RunWorkflow needs an initial state with text keys, not {type(wish.initial_state).__name__}"
        )
    return ChildWanted(
        at=now_us(),
        node=started.node,
        visit=started.visit,
        attempt=started.attempt,
        graph=str(wish.graph),
        initial_state=state,
        changes=changes,
        removed=removed,
        item=started.item,
    )


def fail_early(step: StepStarted | ChildWanted, error: WorkflowError) -> StepFailed:
    """The failure of a step that could not begin, or not begin what it is to run."""
    return StepFailed(
        now_us(), step.node, step.visit, step.attempt, error.message, error.code, item=step.item
    )


def fail(attempt: Attempt, error: BaseException) -> StepFailed:
    """The step's failure, in words; with the part of the traceback that is the tool's own."""
    own = isinstance(error, WorkflowError)
    started = attempt.started
    return StepFailed(
        at=now_us(),
        node=started.node,
        visit=started.visit,
        attempt=started.attempt,
        error=shorten_error(hide(str(error) if own else _describe(error))),
        error_type=getattr(error, "code", type(error).__name__)
        if isinstance(error, StepError)
        else type(error).__name__,
        trace="" if own else shorten_error(hide(_tool_trace(error))),
        duration_us=_duration_us(attempt),
        item=started.item,
    )


def fail_timed_out(attempt: Attempt) -> StepFailed:
    """The failure of an attempt that took longer than it may."""
    return fail(attempt, StepTimedOut(f"timed out after {attempt.timeout_s:g} s"))


def fail_cancelled(attempt: Attempt) -> StepFailed:
    """The end of an attempt that was stopped because its run was cancelled."""
    return fail(attempt, StepWasCancelled(f'The step "{attempt.started.node}" was cancelled.'))


def _duration_us(attempt: Attempt) -> int:
    return (time.perf_counter_ns() - attempt.began_ns) // 1_000 if attempt.began_ns else 0


def _describe(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a tool's own exception class
        text = "(its message cannot be shown)"
    text = text.encode("utf-8", "replace").decode("utf-8")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _tool_trace(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    lines = "".join(traceback.format_list(frames[-20:]))
    return f"{lines}{_describe(error)}".encode("utf-8", "replace").decode("utf-8")
