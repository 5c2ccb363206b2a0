"""Runs whose steps run other graphs, and those runs: each is told what the other's fate means for it.

What follows for one from what happened to the other is decided in the same batch, so it is recorded in the same commit. No
power cut comes between a step and its child, or between a child's end and the step that waited for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from engine.execution.attempts.attempt import fail_early, now_us
from engine.execution.live_run import LiveRun
from engine.model.events import (
    CancelRequested,
    ChildEnded,
    ChildIdled,
    ChildStarted,
    ChildWanted,
    ChildWoken,
    RunAccepted,
    RunContinued,
    RunEvent,
    RunFailed,
    RunIdled,
    RunPaused,
    RunResumed,
    RunWaiting,
    RunWoken,
    StepAllowed,
    StepCancelled,
    StepFailed,
)
from engine.model.run import RunSummary
from engine.tools.context import StepWasCancelled


class Child(NamedTuple):
    """A run that a step asked for, ready to be accepted."""

    started: ChildStarted
    live: LiveRun
    accepted: RunAccepted


class Opened(NamedTuple):
    """What has become of a step's wish. No child: the program closes; the step will ask again."""

    wanted: ChildWanted
    child: Child | None


class Families:
    """Who is whose child among the live runs, and what that makes follow. For the engine's thread."""

    def __init__(
        self,
        runs: dict[str, LiveRun],
        take_in: Callable[[LiveRun, RunEvent], bool],
        end_attempt: Callable[[LiveRun, ChildWanted], None],
    ) -> None:
        self._runs = runs
        self._take_in = take_in
        self._end_attempt = end_attempt
        self._following: deque[tuple[LiveRun, RunEvent]] = deque()

    def start(self, parent: LiveRun, opened: Opened) -> None:
        """Have a step run the child it asked for, and accept that run.

        Where the program closes, the step is left without a recorded end: it asks again after the restart.
        """
        wanted, child = opened
        if child is None or parent.state.suspended:
            self._end_attempt(parent, wanted)
        elif parent.state.cancelling:
            stopped = StepWasCancelled(f'The step "{wanted.node}" was cancelled.')
            self._take_in(parent, fail_early(wanted, stopped))
        elif self._take_in(parent, child.started):
            live, started = child.live, child.started
            parent.children[started.node, started.item] = started
            live.origin = started
            child.accepted.paused = parent.state.paused
            self._runs[live.state.run_id] = live
            self._take_in(live, child.accepted)

    def allow_step(self, run_id: str) -> bool:
        """Let a paused run start one step; where it has none to start, a run that its steps run."""
        live = self._runs.get(run_id)
        if live is None or not live.state.paused:
            return False
        if self._take_in(live, StepAllowed(now_us())):
            return True
        return any(self.allow_step(child.child_run_id) for child in live.children.values())

    def join(self, lives: Iterable[LiveRun]) -> None:
        """Find the children of runs that were read from the journal, once all of them are live."""
        for live in lives:
            steps = (step.child for step in live.state.running.values() if step.child is not None)
            live.children = {(started.node, started.item): started for started in steps}
            for started in live.children.values():
                child = self._runs.get(started.child_run_id)
                if child is not None:
                    child.origin = started

    def follow(self, live: LiveRun, events: Iterable[RunEvent]) -> None:
        """Note what these events of a run mean for its children and its parent."""
        error = None
        for fact in events:
            match fact:
                case ChildEnded():
                    live.children.pop((fact.node, fact.item), None)
                case StepFailed() | StepCancelled():
                    started = live.children.pop((fact.node, fact.item), None)
                    if started is not None:  # the step is over without its child
                        self._tell(started, CancelRequested(fact.at))
                case CancelRequested():
                    self._tell_all(live, CancelRequested(fact.at))
                case RunResumed():
                    self._tell_all(live, RunResumed(fact.at))
                    self._tell_parent(live, fact)
                case RunPaused():
                    self._tell_all(live, RunPaused(fact.at))
                case RunIdled() | RunWaiting() | RunWoken() | RunContinued():
                    self._tell_parent(live, fact)
                case RunFailed():
                    error = fact.error
                case _:
                    pass
        state = live.state
        if state.status.is_final:
            at = state.completed_at or 0
            self._tell_all(live, CancelRequested(at))
            self._end_with(live, at, error)

    def settle(self) -> None:
        """Have decided all that follows, for as many generations as it takes."""
        while self._following:
            self._take_in(*self._following.popleft())

    def _tell(self, child: ChildStarted, event: RunEvent) -> None:
        live = self._runs.get(child.child_run_id)
        if live is not None:
            self._following.append((live, event))

    def _tell_all(self, live: LiveRun, event: RunEvent) -> None:
        for child in live.children.values():
            self._tell(child, event)

    def _tell_parent(
        self, live: LiveRun, fact: RunIdled | RunWaiting | RunWoken | RunResumed | RunContinued
    ) -> None:
        """The run waits, or goes on."""
        origin, parent = live.origin, self._runs.get(live.about.parent_run_id or "")
        if origin is None or parent is None:
            return
        place, run_id = (fact.at, origin.node, origin.visit, origin.attempt), live.state.run_id
        event: ChildIdled | ChildWoken = ChildWoken(*place, run_id, origin.item)
        if isinstance(fact, RunIdled | RunWaiting):
            event = ChildIdled(*place, run_id, fact.reason, origin.item)
        self._following.append((parent, event))

    def _end_with(self, live: LiveRun, at: int, error: str | None) -> None:
        """The run has ended, and with it the step that ran it."""
        origin, parent = live.origin, self._runs.get(live.about.parent_run_id or "")
        if origin is None or parent is None:
            return
        live.origin = None
        state = live.state
        ended = ChildEnded(
            at=at,
            node=origin.node,
            visit=origin.visit,
            attempt=origin.attempt,
            child_run_id=state.run_id,
            status=state.status.value,
            result=dict(state.state) if state.status == "completed" else None,
            error=error,
            item=origin.item,
        )
        self._following.append((parent, ended))


def group_families(runs: Iterable[RunSummary]) -> list[list[RunSummary]]:
    """The runs, each with those among them that are its children, and theirs; families as their first runs came."""
    by_id = {run.run_id: run for run in runs}
    families: dict[str, list[RunSummary]] = {}
    for run in by_id.values():
        root = run
        while (parent := by_id.get(root.parent_run_id or "")) is not None:
            root = parent
        families.setdefault(root.run_id, []).append(run)
    return list(families.values())
