"""Forks: the part of the engine that makes a new run of what an older one has recorded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Literal, NamedTuple, TypeAlias

from engine.errors import ValidationError
from engine.execution.attempts.attempt import now_us
from engine.execution.keys import AskedFork, RunKeys, hash_state
from engine.execution.live_run import LiveRun
from engine.execution.loader import Loader
from engine.execution.preparing import PreparedGraphs, bind_tools, check_json, make_live
from engine.flow.forking import Origin, begin_taking_over, find_origin, go_on
from engine.model.events import RunAccepted, RunEvent
from engine.model.problem import Problem, Severity
from engine.model.run import ForkPoint
from engine.model.tool import Tool
from engine.storage.graphs import GraphManager
from engine.storage.journal import StateManager

ForkVersion: TypeAlias = int | Literal["newest"] | None
"""The version of the graph that a fork uses: a number, the newest one, or None for the one that ran."""


class Place(NamedTuple):
    """Where a run is to be forked, and for which version."""

    run_id: str
    node_id: str | None
    visit: int | None
    version: ForkVersion


class Fork(NamedTuple):
    """A new run, and the events that it begins with: to be recorded together."""

    live: LiveRun
    events: list[RunEvent]


class ForkingEngine(ABC):
    """Forks runs. Any thread may call any method; those that return a ``Future`` never wait."""

    graphs: GraphManager
    states: StateManager
    _prepared: PreparedGraphs
    _loader: Loader
    _keys: RunKeys

    def fork(
        self,
        run_id: str,
        node_id: str | None = None,
        visit: int | None = None,
        *,
        state: Mapping[str, Any] | None = None,
        remove: Sequence[str] = (),
        graph_version: ForkVersion = None,
        breakpoints: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> str:
        """Start a new run from a step of an older one, ended or not, and return its id, once the run is durable.

        What was recorded before the step started is taken over and not run again; without ``node_id`` the new run
        begins at the start. ``visit`` is by default the node's latest. Just before the step starts the keys of ``state``
        are set and those in ``remove`` taken away. The new run uses the old one's version of the graph, or
        ``graph_version``: a number, or "newest". A request that comes again with the same ``idempotency_key`` is answered
        with the run that it made, for ever.

        Raises:
            RunNotFound: there is no such run.
            GraphNotFound: there is no such version of its graph.
            ValidationError: the run did not start that step; the version does not go the way of the run up to there; a
                tool is missing; the state is no JSON object, or the key is none.
            ConflictError: another request came with this key before.
            ServiceUnavailable: the engine is closed.
        """
        return self.submit_fork(
            run_id,
            node_id,
            visit,
            state=state,
            remove=remove,
            graph_version=graph_version,
            breakpoints=breakpoints,
            idempotency_key=idempotency_key,
        ).result()

    def submit_fork(
        self,
        run_id: str,
        node_id: str | None = None,
        visit: int | None = None,
        *,
        state: Mapping[str, Any] | None = None,
        remove: Sequence[str] = (),
        graph_version: ForkVersion = None,
        breakpoints: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> Future[str]:
        """As ``fork``, without waiting: a future of the new run's id. What is wrong with the state is raised at once."""
        changes, removed = _check_edits(state, remove)
        place = Place(run_id, node_id, visit, graph_version)
        asked = AskedFork(
            run_id, node_id, visit, graph_version, hash_state(changes), removed, tuple(breakpoints)
        )

        def make(new_run_id: str, catalog: dict[str, Tool]) -> Fork:
            keyed = None if idempotency_key is None else (idempotency_key, asked)
            origin, fork = self._take_over(place, new_run_id, breakpoints, catalog, keyed)
            run = fork.live.state
            problems = self._prepared.find_obstacles(run.plan.graph, catalog)
            if problems:
                raise ValidationError(f"the run cannot be forked: {problems[0].message}", problems)
            fork.events.extend(go_on(run, origin, run.accepted_at, changes, removed))
            return fork

        def accept() -> Future[str]:
            self._ensure_recovered()
            if idempotency_key is None:
                return self._accept_fork(make)
            return self._keys.accept(idempotency_key, asked, lambda: self._accept_fork(make))

        return self._loader.run(accept)

    def look_at_fork(
        self,
        run_id: str,
        node_id: str | None = None,
        visit: int | None = None,
        *,
        graph_version: ForkVersion = None,
    ) -> Future[ForkPoint]:
        """What ``fork`` would take over, and the state that the new run would begin with: shared, not to be changed.

        The future fails as ``fork`` does.
        """

        def look() -> Future[ForkPoint]:
            origin, fork = self._take_over(Place(run_id, node_id, visit, graph_version), "", (), {})
            run, about = fork.live.state, fork.live.about
            ids = run.plan.topology.node_ids
            point = ForkPoint(
                run_id=run_id,
                node_id=origin.node,
                visit=origin.visit,
                graph_id=about.graph_id,
                graph_version=about.graph_version,
                state=dict(run.state),
                taken_over=tuple(ids[node] for node in run.taken),
            )
            answer: Future[ForkPoint] = Future()
            answer.set_result(point)
            return answer

        return self._loader.run(look)

    def _take_over(
        self,
        place: Place,
        new_run_id: str,
        breakpoints: Sequence[str],
        catalog: dict[str, Tool],
        keyed: tuple[str, AskedFork] | None = None,
    ) -> tuple[Origin, Fork]:
        """The fork before its state is edited and anything starts. Reads the database."""
        about = self.states.get_run(place.run_id)
        recorded = [entry.event for entry in self.states.read_events(0, place.run_id, limit=None)]
        old_plan = self._prepared.get(about.graph_id, about.graph_version).plan
        origin = find_origin(place.run_id, old_plan, recorded, place.node_id, place.visit)
        version = about.graph_version if place.version is None else place.version
        if version == "newest":
            version = self.graphs.get_summary(about.graph_id).version
        plan = self._prepared.get(about.graph_id, version).plan
        _check_breakpoints(plan.topology.index, breakpoints)
        accepted = RunAccepted(
            now_us(),
            about.graph_id,
            version,
            plan.graph.name,
            origin.initial_state,
            breakpoints=tuple(breakpoints),
            forked_from=place.run_id,
            durability=about.durability,
            idempotency_key=keyed and keyed[0],
            fork_request=keyed and keyed[1].to_record(),
        )
        live = make_live(new_run_id, plan, accepted, bind_tools(plan, catalog))
        return origin, Fork(live, begin_taking_over(live.state, accepted, origin))

    @abstractmethod
    def _accept_fork(self, make: Callable[[str, dict[str, Tool]], Fork]) -> Future[str]:
        """Have a fork made with a new run's id and the registered tools, and taken in."""

    @abstractmethod
    def _ensure_recovered(self) -> None:
        """Let runs that an earlier program left unfinished go on, if they do not yet."""


def _check_edits(state: object, remove: Sequence[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    if state is not None and not isinstance(state, dict):
        raise _refuse(
            "bad-state", f"the state must be an object (a dict), not {type(state).__name__}", "state"
        )
    changes = check_json(state or {}, "the state")
    for key in remove:
        if key in changes:
            raise _refuse("set-and-removed", f'the key "{key}" is both to be set and to be removed', "remove")
    return changes, tuple(remove)


def _check_breakpoints(known: Mapping[str, int], breakpoints: Sequence[str]) -> None:
    for number, node in enumerate(breakpoints):
        if node not in known:
            raise _refuse("unknown-node", f'the graph has no node "{node}"', f"breakpoints.{number}", node)


def _refuse(code: str, message: str, field: str, node: str | None = None) -> ValidationError:
    return ValidationError(message, [Problem(Severity.ERROR, code, message, node_id=node, field=field)])
