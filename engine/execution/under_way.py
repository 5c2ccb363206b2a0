"""The attempts under way in all runs: made ready as steps start, and begun and stopped once that is committed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from engine.errors import StepError
from engine.execution.attempts.attempt import Attempt, fail_early, prepare
from engine.execution.attempts.executors import Executors
from engine.execution.live_run import LiveRun
from engine.execution.result_cache import ResultCache
from engine.model.events import (
    ChildStarted,
    ChildWanted,
    RunEvent,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepParked,
    StepStarted,
)

_End = StepCompleted | StepFailed | StepParked | ChildStarted | ChildWanted | StepCancelled


class AttemptsUnderWay:
    """What has been decided about attempts, until ``act``. With the turn only; ``count`` is for any thread."""

    def __init__(
        self,
        executors: Executors,
        cache: ResultCache,
        workspace: Path,
        max_result_bytes: int,
        post: Callable[[str, RunEvent], None],
    ) -> None:
        self.count = 0
        self._executors = executors
        self._cache = cache
        self._workspace = workspace
        self._max_result_bytes = max_result_bytes
        self._post = post
        self._starts: list[tuple[LiveRun, Attempt | StepFailed]] = []
        self._stops: list[Attempt] = []
        self._given_up: list[Attempt] = []

    def start(self, live: LiveRun, started: StepStarted) -> None:
        """Make the attempt ready; or note that it has failed before it began."""
        run = live.state
        node = run.plan.topology.index[started.node]
        if started.item is None and run.plan.for_each[node] is not None:
            return  # its items are the ones that are executed
        tool = live.tools[node]
        assert tool is not None, "a run with a missing tool is refused, or waits"
        try:
            log = self._executors.open_log(run.run_id, started)
            watch = self._executors.open_progress(run.run_id, started) if tool.takes_context else None
            attempt = prepare(run, node, tool, started, self._workspace, self._max_result_bytes, log, watch)
        except StepError as error:
            self._starts.append((live, fail_early(started, error)))
        else:
            live.attempts[started.node, started.item] = attempt
            self.count += 1
            self._starts.append((live, attempt))

    def end(self, live: LiveRun, fact: _End) -> None:
        """The attempt is over, or the step goes on without it; a cancelled one is given up."""
        attempt = live.attempts.pop((fact.node, fact.item), None)
        if attempt is not None:
            self.count -= 1
            if isinstance(fact, StepCancelled):
                self._given_up.append(attempt)
            elif attempt.cache_key and isinstance(fact, StepCompleted):
                self._cache.keep(attempt, fact)

    def stop(self, live: LiveRun) -> None:
        """Have all attempts of a run stopped."""
        self._stops.extend(live.attempts.values())

    def forget(self, live: LiveRun) -> None:
        """Expect nothing of a run any more."""
        self.count -= len(live.attempts)
        live.attempts.clear()

    def act(self, *, by_worker: bool) -> Attempt | None:
        """Begin and stop what was decided, now that it is committed; a worker is given the attempt it goes on with."""
        kept: Attempt | None = None
        starts, self._starts = self._starts, []
        for live, attempt in starts:
            if isinstance(attempt, StepFailed):
                self._post(live.state.run_id, attempt)
            elif live.attempts.get((attempt.started.node, attempt.started.item)) is attempt:
                if attempt.cache is not None and not attempt.cache_key:
                    self._cache.look_up(attempt, partial(self._start_later, live, attempt))
                    continue
                attempt.submitted = True
                if by_worker and kept is None and self._executors.is_for_thread(attempt):
                    kept = attempt
                else:
                    self._executors.submit(attempt)
            else:  # it has ended before it began
                attempt.drop()
        stops, self._stops = self._stops, []
        for attempt in stops:
            self._executors.stop(attempt)
        given_up, self._given_up = self._given_up, []
        for attempt in given_up:
            if attempt.submitted:
                self._executors.give_up(attempt)
            else:
                attempt.drop()
        return kept

    def _start_later(self, live: LiveRun, attempt: Attempt) -> None:
        self._starts.append((live, attempt))

    def close(self) -> None:
        """Look no results up any more."""
        self._cache.close()
