"""Events as users see them, in logs and on the WebSocket: one public event for each event of the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from engine.flow.values import copy_json
from engine.model.events import (
    STOPPED,
    BreakpointsSet,
    CancelRequested,
    ChildEnded,
    ChildIdled,
    ChildStarted,
    ChildWoken,
    FailureTakenOver,
    JournalEntry,
    LogWritten,
    ResourcesGranted,
    RunAccepted,
    RunCancelled,
    RunCompleted,
    RunContinued,
    RunEvent,
    RunFailed,
    RunForked,
    RunIdled,
    RunPaused,
    RunResumed,
    RunRetried,
    RunStarted,
    RunSuspended,
    RunWaiting,
    RunWoken,
    SignalReceived,
    StateEdited,
    StepAllowed,
    StepCancelled,
    StepCompleted,
    StepDecided,
    StepDue,
    StepFailed,
    StepParked,
    StepQueued,
    StepRetrying,
    StepsAbandoned,
    StepSkipped,
    StepStarted,
    StepTakenOver,
    StepUnsure,
)
from engine.model.run import EventRecord, to_datetime

_SMALL = 4_000
"""A result whose text is longer than this many characters is left out of events; the run's snapshot has it."""


def present(entry: JournalEntry) -> EventRecord:
    """The entry as an ``EventRecord``. Any thread; nothing in it is shared with the run."""
    event_type, node_id, message, data = _describe(entry.event)
    if node_id is not None:
        data = {"node_id": node_id, **data, "message": message}
    return EventRecord(
        entry.seq, to_datetime(entry.event.at), entry.run_id, event_type, node_id, message, data
    )


def _describe(event: RunEvent) -> tuple[str, str | None, str, dict[str, Any]]:
    match event:
        case RunAccepted():
            return _describe_accepted(event)
        case RunStarted():
            return "workflow_started", None, "Run started", {"status": "running"}
        case RunCompleted():
            why = f" (exit condition {event.exit_condition} holds)" if event.exit_condition else ""
            data = {"status": "completed", "exit_condition": event.exit_condition}
            return "workflow_completed", None, f"Run completed{why}", data
        case RunFailed():
            data = {"status": "failed", "error_message": event.error, "failed_node": event.node}
            return "execution_error", None, event.error, data
        case RunCancelled():
            return "workflow_cancelled", None, "Run cancelled", {"status": "cancelled"}
        case RunWaiting() | RunIdled():
            data = {"status": "waiting", "reason": event.reason}
            return "execution_status_update", None, f"Run waits: {event.reason}", data
        case RunPaused():
            where = f" before {event.node}" if event.node else ""
            return (
                "workflow_paused",
                None,
                f"Run paused{where}",
                {"status": "paused", "breakpoint": event.node},
            )
        case RunWoken():
            return "execution_status_update", None, "Run goes on", {"status": "running"}
        case RunResumed() | RunRetried() | RunContinued():
            return "workflow_resumed", None, _RESUMED[type(event)], {"status": "running"}
        case (
            LogWritten()
            | CancelRequested()
            | StepsAbandoned()
            | StepAllowed()
            | BreakpointsSet()
            | StateEdited()
            | RunForked()
            | RunSuspended()
        ):
            return _describe_note(event)
        case _:
            return _describe_step(event)


def _describe_accepted(event: RunAccepted) -> tuple[str, str | None, str, dict[str, Any]]:
    data: dict[str, Any] = {"status": "pending", "graph_id": event.graph_id}
    data["graph_version"], data["graph_name"] = event.graph_version, event.graph_name
    message = f'Run of "{event.graph_name}" accepted'
    if event.breakpoints:
        data["breakpoints"] = list(event.breakpoints)
    if event.parent_run_id is not None:
        data |= {"parent_run_id": event.parent_run_id, "parent_node_id": event.parent_node}
    if event.forked_from is not None:
        data["forked_from"] = event.forked_from
        message += f", forked from run {event.forked_from}"
    return "execution_status_update", None, message, data


_RESUMED: dict[type, str] = {
    RunResumed: "Run resumed",
    RunRetried: "Run goes on from where it failed",
    RunContinued: "Run goes on after a restart",
}


def _describe_note(
    event: LogWritten
    | CancelRequested
    | StepsAbandoned
    | StepAllowed
    | BreakpointsSet
    | StateEdited
    | RunForked
    | RunSuspended,
) -> tuple[str, str | None, str, dict[str, Any]]:
    data: dict[str, Any]
    match event:
        case LogWritten():
            data = {"level": event.level, "visit": event.visit, "attempt": event.attempt}
            if event.item is not None:
                data["item"] = event.item
            return "log", event.node, event.message, data
        case CancelRequested():
            return "log", None, "Cancel requested", {"level": "info"}
        case StepsAbandoned():
            return "log", None, "Steps that did not stop in time were abandoned", {"level": "warning"}
        case StepAllowed():
            return "log", None, "One step allowed", {"level": "info"}
        case BreakpointsSet():
            places = ", ".join(event.nodes) or "none"
            return "log", None, f"Breakpoints: {places}", {"level": "info", "breakpoints": list(event.nodes)}
        case StateEdited():
            keys = sorted([*event.changes, *event.removed])
            return "log", None, f"State edited: {', '.join(keys)}", {"level": "info", "state_keys": keys}
        case RunForked():
            where = "its start" if event.node is None else f"{event.node} (visit {event.visit})"
            data = {"level": "info", "fork_node": event.node, "fork_visit": event.visit}
            return "log", None, f"Runs by itself from {where} on", data
        case RunSuspended():
            return "log", None, "The program closes; the run goes on at the next start", {"level": "info"}


_StepEvent: TypeAlias = (
    StepStarted
    | StepCompleted
    | StepFailed
    | StepRetrying
    | StepDue
    | StepParked
    | SignalReceived
    | StepUnsure
    | StepDecided
    | StepQueued
    | ResourcesGranted
    | StepCancelled
)


def _describe_step(
    event: _StepEvent | ChildStarted | ChildIdled | ChildWoken | ChildEnded | StepSkipped,
) -> tuple[str, str | None, str, dict[str, Any]]:
    if isinstance(event, StepSkipped):
        return "node_execution", event.node, f"{event.node} skipped", {"execution_event": "skipped"}
    name = event.node if event.item is None else f"{event.node}[{event.item}]"
    kind, what, data = (
        _tell_child(event)
        if isinstance(event, ChildStarted | ChildIdled | ChildWoken | ChildEnded)
        else _tell_step(event)
    )
    message = f"{name} {what}"
    if event.attempt > 1:
        message += f" (visit {event.visit}, attempt {event.attempt})"
    elif event.visit > 1:
        message += f" (visit {event.visit})"
    data |= {"execution_event": kind, "visit": event.visit, "attempt": event.attempt}
    if event.item is not None:
        data["item"] = event.item
    if isinstance(event, StepTakenOver | FailureTakenOver):
        data["taken_from"] = event.origin
        message += f"; taken over from run {event.origin}"
    if isinstance(event, StepCompleted | StepFailed):
        data["duration_ms"] = event.duration_us / 1000
        data["edges_taken"], data["edges_skipped"] = list(event.taken), list(event.skipped)
    return "node_execution", event.node, message, data


def _tell_step(event: _StepEvent) -> tuple[str, str, dict[str, Any]]:
    """The ``execution_event``, what happened in words, and what is particular to it."""
    match event:
        case StepStarted():
            return "started", "started", {}
        case StepCancelled():
            return "cancelled", "cancelled", {}
        case StepRetrying():
            due = {"due_at": to_datetime(event.due).isoformat()}
            return "retrying", f"is tried again in {(event.due - event.at) / 1e6:.3g} s", due
        case StepDue():
            return "waiting", "is due", {}
        case StepParked() | StepQueued() | ResourcesGranted():
            return _tell_wait(event)
        case SignalReceived():
            return "waiting", "has its signal", {}
        case StepUnsure():
            return "waiting", "was interrupted and waits for a decision", {"needs_decision": True}
        case StepDecided():
            return "waiting", f"is decided: {event.choice}", {"choice": event.choice}
        case StepCompleted():
            return _tell_completion(event)
        case StepFailed():
            data: dict[str, Any] = {
                "error": event.error,
                "error_type": event.error_type,
                "handled": event.handled,
            }
            if event.error_type == STOPPED:
                return "cancelled", "stopped", data
            return "failed", f"failed: {event.error}", data


def _tell_completion(event: StepCompleted) -> tuple[str, str, dict[str, Any]]:
    data: dict[str, Any] = {"state_keys": sorted([*event.changes, *event.removed])}
    small = is_small(event.result)
    data |= {"result": copy_json(event.result)} if small else {"result_omitted": True}
    if event.cached_from is None:
        return "completed", f"completed in {_milliseconds(event)} ms", data
    data["cached_from"] = event.cached_from
    return "completed", f"completed with the kept result of run {event.cached_from}", data


def _tell_wait(event: StepParked | StepQueued | ResourcesGranted) -> tuple[str, str, dict[str, Any]]:
    if isinstance(event, ResourcesGranted):
        return "waiting", "has its resources", {}
    if isinstance(event, StepQueued):
        wanted = describe_resources(event.resources)
        return "waiting", f"waits for {wanted}", {"resources": dict(event.resources)}
    if event.signal is None:
        due = to_datetime(event.due or event.at).isoformat()
        return "waiting", f"waits until {due}", {"due_at": due}
    data = {"signal": event.signal, "schema": event.schema, "question": event.message}
    return "waiting", f'waits for the signal "{event.signal}"', data


def _tell_child(
    event: ChildStarted | ChildIdled | ChildWoken | ChildEnded,
) -> tuple[str, str, dict[str, Any]]:
    data: dict[str, Any] = {"child_run_id": event.child_run_id}
    if isinstance(event, ChildStarted):
        data |= {"child_graph_id": event.graph_id, "child_graph_name": event.graph_name}
        if event.due is not None:
            data["due_at"] = to_datetime(event.due).isoformat()
        return "waiting", f'runs "{event.graph_name}" as run {event.child_run_id}', data
    if isinstance(event, ChildIdled):
        return "waiting", f"has its run {event.child_run_id} waiting: {event.reason}", data
    if isinstance(event, ChildWoken):
        return "waiting", f"has its run {event.child_run_id} going on", data
    ends = {"completed": "completed", "failed": "failed", "cancelled": "was cancelled"}
    data["child_status"] = event.status
    return "waiting", f"has its run {event.child_run_id}, which {ends[event.status]}", data


def describe_resources(resources: Mapping[str, int]) -> str:
    """Tokens in words: ``gpu x 1, db x 2``."""
    return ", ".join(f"{name} \u00d7 {count}" for name, count in resources.items())


def _milliseconds(event: StepCompleted) -> str:
    return (
        f"{event.duration_us / 1000:.3g}"
        if event.duration_us < 100_000
        else f"{event.duration_us / 1000:.0f}"
    )


def is_small(value: Any) -> bool:
    """Whether the value's text is about ``_SMALL`` characters at most; looks at no more of it than that."""
    stack, left = [value], _SMALL
    while stack and left > 0:
        item = stack.pop()
        if isinstance(item, str):
            left -= len(item) + 2
        elif isinstance(item, dict):
            left -= 2 + sum(len(key) + 4 for key in list(item)[:left])
            stack.extend(item.values())
        elif isinstance(item, list):
            left -= 2 + len(item)
            if left > 0:
                stack.extend(item)
        else:
            left -= 6
    return left > 0
