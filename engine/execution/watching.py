"""Watching the engine: what happens as it happens, and how much is going on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Final

from engine.config import AppConfig
from engine.errors import NotFoundError, RunNotFound
from engine.execution.conductor import Conductor
from engine.execution.following import follow_journal
from engine.execution.history import RunHistory
from engine.execution.preparing import PreparedGraphs
from engine.execution.recorder import Commits, Subscriber
from engine.execution.step_inputs import Key as StepKey
from engine.execution.step_inputs import find_inputs, key_of
from engine.flow.presenter import present
from engine.model.events import StepProgress
from engine.model.run import EventRecord, ResourceUsage, StepInputs, StepRecord
from engine.storage.graphs import GraphManager
from engine.storage.journal import StateManager
from engine.tools.registry import ToolRegistry

_ALL: Final = 2**31


class EngineWatch(RunHistory):
    """The part of the engine that tells. Any thread may call any method; those about steps or resources, and ``iter_events``,
    wait.
    """

    def __init__(
        self,
        states: StateManager,
        graphs: GraphManager,
        tools: ToolRegistry,
        conductor: Conductor,
        config: AppConfig,
    ) -> None:
        super().__init__(states)
        self.graphs = graphs
        self.tools = tools
        self._prepared = PreparedGraphs(graphs, config.resources)
        self._conductor = conductor
        self._workers = config.workers

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Have each batch of committed entries handed to ``callback``, in ``seq`` order; returns what ends it.

        It is called by one thread at a time, the engine's or a worker's, and must only put them aside; the entries must not
        be changed.
        """
        return self._conductor.subscribe(callback)

    def subscribe_progress(self, callback: Callable[[StepProgress], None]) -> Callable[[], None]:
        """Have what tools say of their progress handed to ``callback``; returns what ends it.

        At most ten times a second for a step. It is called on the step's thread and must only put it aside. Progress is
        not among the events: it is not stored, and has no ``seq``.
        """
        return self._conductor.subscribe_progress(callback)

    def iter_events(
        self, since: int = 0, run_id: str | None = None, timeout: float | None = None
    ) -> Iterator[EventRecord]:
        """The events after ``since`` as they are recorded, oldest first, without gap or repeat; of one run if given.

        Waits for the next one; ends when none has come for ``timeout`` seconds, or when the iterator is closed.
        """
        for entry in follow_journal(self.states, self.subscribe, since, run_id, timeout):
            yield present(entry)

    @property
    def last_seq(self) -> int:
        """The ``seq`` of the newest event."""
        return self._conductor.last_seq

    @property
    def storage_problem(self) -> str | None:
        """Why nothing can be recorded just now, so that all work stands still, and what to do; None where all is well."""
        return self._conductor.storage_problem

    @property
    def commits(self) -> Commits:
        """How many commits the journal has had since the engine was opened, and how long they took."""
        return self._conductor.commits

    @property
    def running_steps(self) -> int:
        """How many steps are running or queued for a worker."""
        return self._conductor.running_steps

    @property
    def abandoned_steps(self) -> int:
        """How many threads are still busy with a step that was given up: it timed out, or its run has ended."""
        return self._conductor.abandoned_steps

    @property
    def active_runs(self) -> int:
        """How many runs have not ended."""
        return self._conductor.active_runs

    def get_resources(self) -> dict[str, ResourceUsage]:
        """How each of the configured resources stands: its limit, what is in use, and how many steps wait for it."""
        return self.request_resources().result()

    def request_resources(self) -> Future[dict[str, ResourceUsage]]:
        """As ``get_resources``, without waiting."""
        return self._conductor.post_call(self._conductor.tokens.usage)

    @property
    def worker_count(self) -> int:
        """How many threads may run tools."""
        return self._workers

    def get_step_inputs(
        self,
        run_id: str,
        node_id: str,
        visit: int | None = None,
        attempt: int | None = None,
        item: int | None = None,
    ) -> StepInputs:
        """What a step was given: of the node's latest visit and its latest attempt, where not said otherwise.

        It is not recorded but found again: the run is followed from its beginning up to the step's start.

        Raises:
            RunNotFound: there is no such run.
            NotFoundError: the run has not come to this step.
        """
        steps = [
            step
            for step in self.query_execution_steps(run_id, node_id, None, visit, limit=_ALL).steps
            if step.started_at is not None and step.item == item and attempt in (None, step.attempt)
        ]
        if steps and (found := self.find_step_inputs(run_id, steps[-1:])):
            return found[key_of(steps[-1])]
        which = "".join(
            f" ({name} {value})"
            for name, value in (("visit", visit), ("attempt", attempt), ("item", item))
            if value is not None
        )
        raise NotFoundError(f'the run has not come to a step of "{node_id}"{which}', {"node_id": node_id})

    def find_step_inputs(self, run_id: str, steps: Sequence[StepRecord]) -> dict[StepKey, StepInputs]:
        """What each of these steps of the run was given, those that have started, in one go: by ``key_of``.

        Raises:
            RunNotFound: there is no such run.
        """
        about = self.states.get_run(run_id)
        plan = self._prepared.get(about.graph_id, about.graph_version).plan
        events = (entry.event for entry in self.states.iter_events(run_id))
        own = [key_of(step) for step in steps if step.taken_from is None]
        found = find_inputs(run_id, plan, events, self.tools.list_tools(), own)
        for origin in {step.taken_from for step in steps if step.taken_from is not None}:
            taken = [step for step in steps if step.taken_from == origin]
            found.update(self._find_where_they_ran(origin, taken))
        return found

    def _find_where_they_ran(
        self, origin: str, taken: Sequence[StepRecord]
    ) -> Iterator[tuple[StepKey, StepInputs]]:
        """A fork counts the attempts of what it took over anew: it is the last one of then."""
        try:
            there = self.query_execution_steps(origin, limit=_ALL).steps
        except RunNotFound:  # it was deleted since
            return
        last = {(step.node_id, step.visit, step.item): step for step in there if step.taken_from is None}
        ran = [(step, last.get((step.node_id, step.visit, step.item))) for step in taken]
        found = self.find_step_inputs(origin, [step for _, step in ran if step is not None])
        for step, then in ran:
            if then is not None and key_of(then) in found:
                yield key_of(step), replace(found[key_of(then)], attempt=step.attempt)
