"""``ExecutionEngine``: runs workflows. The face of the engine for Python, the window and the server alike."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Literal, TypeVar

from engine.config import AppConfig
from engine.errors import RunNotFound, ServiceUnavailable, StepError, ValidationError, WorkflowError
from engine.execution.attempts.attempt import fail_early, now_us
from engine.execution.child_opener import ChildOpener
from engine.execution.conductor import Conductor
from engine.execution.families import Opened, group_families
from engine.execution.forking import Fork, ForkingEngine
from engine.execution.keys import Asked, RunKeys, make_request
from engine.execution.live_run import LiveRun
from engine.execution.loader import Loader, chain, done
from engine.execution.preparing import (
    bind_tools,
    check_json,
    check_signal,
    find_lack,
    new_run_id,
    open_run,
    sort_out_interrupted,
)
from engine.execution.retention import DeletedRuns, Retention
from engine.execution.snapshots import own_copy, take_snapshot
from engine.execution.watching import EngineWatch
from engine.flow.decide import fold
from engine.flow.run_state import RunState
from engine.model.events import (
    BreakpointsSet,
    ChildWanted,
    RunAccepted,
    RunContinued,
    RunEvent,
    RunPaused,
    RunResumed,
    RunRetried,
    RunWaiting,
    SignalReceived,
    StepDecided,
)
from engine.model.graph import Durability
from engine.model.run import RunSnapshot, RunSummary
from engine.model.status import RunStatus
from engine.model.tool import Tool
from engine.storage.graphs import GraphManager
from engine.storage.journal import StateManager
from engine.tools.registry import ToolRegistry

log = logging.getLogger(__name__)

T = TypeVar("T")


class ExecutionEngine(ForkingEngine, EngineWatch):
    """Runs workflows, and tells about them.

    Any thread may call any method. Those that return a ``Future`` never wait; the others wait for the database, and
    are not for a thread that must not (a window's). Runs of an earlier program go on at the first use, or at ``recover``.
    """

    def __init__(
        self,
        *,
        graph_manager: GraphManager,
        state_manager: StateManager,
        tool_registry: ToolRegistry,
        config: AppConfig | None = None,
    ) -> None:
        self.config = config or AppConfig()
        conductor = Conductor(state_manager, self.config, self._open_child)
        super().__init__(state_manager, graph_manager, tool_registry, conductor, self.config)
        self._loader = Loader()
        self._opener = ChildOpener(graph_manager, self._prepared, tool_registry, self.config.max_depth)
        self._keys = RunKeys(state_manager)
        days, runs = self.config.retention_days, self.config.retention_runs
        results = self.config.retention_results
        self._retention = Retention(state_manager, conductor, self._loader, days, runs, results)
        self._recovering = threading.RLock()
        self._recovered = False
        self._closed = False
        self._at_exit = weakref.finalize(self, _close, self._conductor, self._loader, self._retention, 5.0)

    # Running --------------------------------------------------------------------------------------------------

    def execute_workflow(
        self,
        graph_id: str,
        initial_state: dict[str, Any] | None = None,
        breakpoints: Sequence[str] = (),
        *,
        graph_version: int | None = None,
        idempotency_key: str | None = None,
        durability: Durability | None = None,
    ) -> str:
        """Start a run of a graph's newest version, or the one given, and return its id, once the run is durable.

        It pauses before the first of the nodes in ``breakpoints`` that is due. With ``durability="relaxed"`` (left out:
        as ``AppConfig.durability`` says) steps go on before what they build on is committed, which takes a twentieth of
        a second at most: a crash costs so much work, which is then done again. A request that comes again with the same
        ``idempotency_key`` (after a crash of either side, say) is answered with the run that it made, for ever.

        Raises:
            GraphNotFound: there is no such graph.
            ValidationError: the initial state is not a JSON object, or the key is none.
            ConflictError: another request came with this key before.
            ServiceUnavailable: the engine is closed.
        """
        level = durability or self.config.durability
        asked = make_request(graph_id, graph_version, initial_state, breakpoints, level)
        return self._request(asked, idempotency_key).result()

    def submit_workflow(
        self,
        graph_id: str,
        initial_state: dict[str, Any] | None = None,
        breakpoints: Sequence[str] = (),
        *,
        graph_version: int | None = None,
        idempotency_key: str | None = None,
        durability: Durability | None = None,
    ) -> Future[str]:
        """As ``execute_workflow``, without waiting: a future of the run's id."""
        level = durability or self.config.durability
        ask = partial(make_request, graph_id, graph_version, initial_state, breakpoints, level)
        return self._loader.run(lambda: self._request(ask(), idempotency_key))

    def cancel_execution(self, run_id: str) -> bool:
        """Cancel a run; whether there was anything to cancel. Returns before running steps have stopped."""
        return self.request_cancel(run_id).result()

    def request_cancel(self, run_id: str) -> Future[bool]:
        """As ``cancel_execution``, without waiting. The future fails with ``RunNotFound`` where there is no such run."""
        return self._ask(run_id, lambda: self._conductor.cancel(run_id))

    def cancel_executions(
        self, graph_id: str | None = None, status: RunStatus | str | None = None
    ) -> list[str]:
        """Cancel all runs that have not ended, of this graph and at this status where given; those it did."""
        self._ensure_recovered()
        found = [run.run_id for run in self.states.unfinished_runs(graph_id, status)]
        asked = [(run_id, self.request_cancel(run_id)) for run_id in found]
        return [run_id for run_id, future in asked if future.result()]

    def pause(self, run_id: str) -> Future[bool]:
        """Let a run start nothing new; running steps finish. The future says whether it was running."""
        return self._ask(run_id, lambda: self._conductor.command(run_id, RunPaused(now_us())))

    def resume(self, run_id: str) -> Future[bool]:
        """Let a paused run go on. The future says whether it was paused."""
        return self._ask(run_id, lambda: self._conductor.command(run_id, RunResumed(now_us())))

    def step(self, run_id: str) -> Future[bool]:
        """Let a paused run start one step more, or one of a run that its steps run. The future says whether there was one."""
        return self._ask(run_id, lambda: self._conductor.families.allow_step(run_id))

    def set_breakpoints(self, run_id: str, nodes: Sequence[str]) -> Future[bool]:
        """Have a run pause before these nodes start, in place of those set before."""
        return self._ask(
            run_id, lambda: self._conductor.command(run_id, BreakpointsSet(now_us(), tuple(nodes)))
        )

    def retry(self, run_id: str, breakpoints: Sequence[str] | None = None) -> Future[bool]:
        """Let a failed run go on from where it failed. The future says whether it had failed.

        ``breakpoints`` take the place of those set before; what failed itself starts in any case.
        It fails with ``ValidationError`` where a tool that the run needs is missing.
        """

        def load() -> Future[bool]:
            self._ensure_recovered()
            about = self.states.get_run(run_id)
            if about.status is not RunStatus.FAILED or about.started_at is None:
                return done(value=False)
            run = self._load_run(about)
            catalog = self.tools.list_tools()
            problems = self._prepared.find_obstacles(run.plan.graph, catalog)
            if problems:
                raise ValidationError(f"the run cannot go on: {problems[0].message}", problems)
            live = LiveRun(run, about, bind_tools(run.plan, catalog))
            return self._conductor.post_call(lambda: go_on(live))

        def go_on(live: LiveRun) -> bool:
            adopted = bool(self._conductor.adopt([(live, RunRetried(now_us()))]))
            if adopted and breakpoints is not None:  # before any step is acted upon
                self._conductor.command(run_id, BreakpointsSet(now_us(), tuple(breakpoints)))
            return adopted

        return self._loader.run(load)

    def signal(self, run_id: str, name: str, value: Any = None, node_id: str | None = None) -> Future[bool]:
        """Give a run the signal that a step of it waits for; the value becomes the step's result.

        The future says whether a step was waiting for it; it fails with ``ValidationError`` where the value does not
        meet the step's schema. Of several such steps the first one gets it, or that of ``node_id``.
        """
        kept = check_json(value, "the signal's value")

        def look_up() -> Future[bool]:
            self._ensure_recovered()
            self.states.get_run(run_id)
            for node, item, step in self._conductor.post_call(
                lambda: self._conductor.find_waiting(run_id)
            ).result():
                is_meant = node_id is None or node == node_id
                if is_meant and step.parked is not None and step.parked.signal == name:
                    check_signal(kept, step.parked.schema, name)
                    event = SignalReceived(now_us(), node, step.visit, step.attempt, kept, item)
                    return self._command(run_id, event)
            return done(value=False)

        return self._loader.run(look_up)

    def decide_step(
        self, run_id: str, node_id: str, choice: Literal["rerun", "result", "fail"], result: Any = None
    ) -> Future[bool]:
        """Decide about a step that a crash interrupted and that must not simply run again (``effects: once``).

        The future says whether there was such a step. Items of ``for_each`` are decided together.
        """
        if choice not in ("rerun", "result", "fail"):
            raise ValidationError(f'a decision is "rerun", "result" or "fail", not {choice!r}')
        kept = check_json(result, "the result")

        def decide_all() -> bool:
            waiting = [
                found
                for found in self._conductor.find_waiting(run_id)
                if found[0] == node_id and found[2].unsure
            ]
            for node, item, step in waiting:
                decided = StepDecided(now_us(), node, step.visit, step.attempt, choice, kept, item)
                self._conductor.command(run_id, decided)
            return bool(waiting)

        return self._ask(run_id, decide_all)

    def _command(self, run_id: str, event: RunEvent) -> Future[bool]:
        return self._conductor.post_call(lambda: self._conductor.command(run_id, event))

    def _ask(self, run_id: str, command: Callable[[], bool]) -> Future[bool]:
        def look_up() -> Future[bool]:
            self._ensure_recovered()
            self.states.get_run(run_id)
            return self._conductor.post_call(command)

        return self._loader.run(look_up)

    # Looking --------------------------------------------------------------------------------------------------

    def get_execution_status(self, run_id: str) -> RunSnapshot:
        """The run as it stands now. The caller may keep and change what it is given.

        Raises:
            RunNotFound: there is no such run.
        """
        return own_copy(self.request_status(run_id).result())

    def request_status(self, run_id: str) -> Future[RunSnapshot]:
        """As ``get_execution_status``, without waiting; the snapshot's values are shared and must not be changed."""
        answer: Future[RunSnapshot] = Future()
        found = self._conductor.post_call(lambda: self._conductor.find_snapshot(run_id))

        def use(looked: Future[RunSnapshot | None]) -> None:
            error = looked.exception()
            if error is not None and self.storage_problem is None:
                answer.set_exception(error)
            elif error is not None:  # the engine's thread waits for the disk: the run as it is recorded
                chain(self._loader.run(lambda: done(self._load_snapshot(run_id))), answer)
            elif (snapshot := looked.result()) is not None:
                answer.set_result(snapshot)
            else:
                chain(self._loader.run(lambda: done(self._load_snapshot(run_id))), answer)

        found.add_done_callback(use)
        return answer

    def wait(self, run_id: str, timeout: float | None = None) -> RunSnapshot:
        """Wait until the run has ended; ``timeout`` in seconds.

        Raises:
            RunNotFound: there is no such run.
            TimeoutError: it had not ended in time; it goes on.
        """
        try:
            return own_copy(self.when_finished(run_id).result(timeout))
        except TimeoutError:
            raise TimeoutError(f"run {run_id} had not ended after {timeout} s") from None

    def when_finished(self, run_id: str) -> Future[RunSnapshot]:
        """A future of the run as it ended; its values are shared and must not be changed."""
        answer: Future[RunSnapshot] = Future()
        if not self._conductor.add_waiter(run_id, answer):
            chain(self._loader.run(lambda: self._find_ended(run_id, answer)), answer)
        return answer

    # Deleting -------------------------------------------------------------------------------------------------

    def delete_runs(self, run_ids: Sequence[str]) -> DeletedRuns:
        """Delete ended runs for good, each with its child runs; what became of each."""
        return self.request_deletion(run_ids).result()

    def request_deletion(self, run_ids: Sequence[str]) -> Future[DeletedRuns]:
        """As ``delete_runs``, without waiting."""
        return self._retention.delete(run_ids)

    def prune_runs(self, days: float | None = None, runs: int | None = None) -> int:
        """Delete runs that ended more than so many days ago, and all but the newest so many; how many are gone.

        What is left out is as configured (``retention_days``, ``retention_runs``); 0 deletes none by that rule.
        """
        return self._retention.prune(days, runs)

    def clear_cache(self, tool: str | None = None) -> int:
        """Forget the results that are kept for use again, all or those of one tool; how many there were."""
        return self._retention.clear_results(tool)

    def subscribe_deleted(self, callback: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        """Have the ids of deleted runs handed to ``callback``; returns what ends it. It must only put them aside."""
        return self._retention.subscribe(callback)

    # Beginning and end ----------------------------------------------------------------------------------------

    def recover(self) -> int:
        """Let runs that an earlier program left unfinished go on; how many did.

        A run whose tools are not all registered waits, and says so; call this again when they are.
        """
        with self._recovering:
            self._recovered = True
            self._retention.start()
            families = group_families(self.states.unfinished_runs())
            return sum(self._recover(family) for family in families)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Let running steps finish for this long, then stop. Unfinished runs go on at the next start.

        Returns whether all threads have ended; a tool that does not return keeps its thread.
        """
        self._closed = True
        self._at_exit.detach()
        return _close(self._conductor, self._loader, self._retention, timeout_s)

    # ----------------------------------------------------------------------------------------------------------

    def _ensure_recovered(self) -> None:
        if not self._recovered:
            with self._recovering:
                if not self._recovered:
                    self.recover()

    def _request(self, asked: Asked, key: str | None) -> Future[str]:
        if self._closed:
            raise ServiceUnavailable("the engine is closed")
        self._ensure_recovered()
        if key is None:
            return self._accept(asked)
        return self._keys.accept(key, asked, lambda: self._accept(asked, key))

    def _accept(self, asked: Asked, key: str | None = None) -> Future[str]:
        version = asked.graph_version or self.graphs.get_summary(asked.graph_id).version
        prepared = self._prepared.get(asked.graph_id, version)
        catalog = self.tools.list_tools()
        event = RunAccepted(
            now_us(),
            asked.graph_id,
            version,
            prepared.plan.graph.name,
            asked.initial_state,
            breakpoints=asked.breakpoints,
            idempotency_key=key,
            durability=asked.durability,
        )
        live = open_run(prepared, catalog, event)
        return self._conductor.post_call(lambda: self._conductor.accept(live, event))

    def _accept_fork(self, make: Callable[[str, dict[str, Tool]], Fork]) -> Future[str]:
        live, events = make(new_run_id(), self.tools.list_tools())
        return self._conductor.post_call(lambda: self._conductor.accept_fork(live, events))

    def _load_run(self, about: RunSummary) -> RunState:
        """The run as the journal tells it."""
        plan = self._prepared.get(about.graph_id, about.graph_version).plan
        entries = self.states.read_events(0, about.run_id, limit=None)
        return fold(about.run_id, plan, (entry.event for entry in entries))

    def _load_snapshot(self, run_id: str) -> RunSnapshot:
        about = self.states.get_run(run_id)
        run = self._load_run(about)
        live = LiveRun(run, about, (), stored=True)
        if run.status.is_final:
            self._conductor.post_call(lambda: self._conductor.remember(live))
        return take_snapshot(run, about, self.last_seq)

    def _find_ended(self, run_id: str, waiting: Future[RunSnapshot]) -> Future[RunSnapshot]:
        self._ensure_recovered()
        about = self.states.get_run(run_id)
        if about.status.is_final:
            return done(self._load_snapshot(run_id))
        if self._conductor.add_waiter(run_id, waiting):
            return Future()  # the waiter answers
        about = self.states.get_run(run_id)
        if about.status.is_final:  # it ended in between
            return done(self._load_snapshot(run_id))
        raise RunNotFound(f'run "{run_id}" is not being executed by this program', {"run_id": run_id})

    def _recover(self, family: Sequence[RunSummary]) -> int:
        """Have runs that run one another go on, all at once; how many did."""
        members: list[tuple[LiveRun, RunWaiting | RunContinued]] = []
        for about in family:
            snapshot = self._conductor.post_call(
                partial(self._conductor.find_snapshot, about.run_id)
            ).result()
            if snapshot is not None and snapshot.status is not RunStatus.WAITING:
                continue
            run = self._load_run(about)
            catalog = self.tools.list_tools()
            reason = find_lack(run.plan.graph, catalog, self.config.resources)
            live = LiveRun(run, about, bind_tools(run.plan, catalog))
            if reason is None:
                members.append((live, RunContinued(now_us(), *sort_out_interrupted(live))))
                continue
            if run.waiting_for != reason or about.status is not RunStatus.WAITING:
                members.append((live, RunWaiting(now_us(), reason)))
        if not members:
            return 0
        adopted = self._conductor.post_call(lambda: self._conductor.adopt(members)).result()
        return adopted and sum(isinstance(event, RunContinued) for _, event in members)

    def _open_child(self, parent: LiveRun, wanted: ChildWanted) -> None:
        """Have the loader make the run ready that a step asks for."""
        run_id = parent.state.run_id

        def open_child() -> Future[None]:
            child = self._opener.open(parent, wanted, now_us())
            self._conductor.post(run_id, Opened(wanted, child))
            return done(None)

        def look(opened: Future[None]) -> None:
            match opened.exception():
                case None:
                    pass
                case ServiceUnavailable():
                    self._conductor.post(run_id, Opened(wanted, None))
                case WorkflowError() as error:
                    self._conductor.post(run_id, fail_early(wanted, error))
                case error:
                    log.error("internal error in starting a child of run %s", run_id, exc_info=error)
                    fault = StepError(f"{type(error).__name__}: {error}; the log has the details")
                    self._conductor.post(run_id, fail_early(wanted, fault))

        self._loader.run(open_child).add_done_callback(look)


def _close(conductor: Conductor, loader: Loader, retention: Retention, timeout_s: float) -> bool:
    loader.refuse()
    ended = conductor.close(timeout_s)
    loader.close()
    return retention.close(1.0) and ended
