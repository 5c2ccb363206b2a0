"""What is made ready, and checked, before the engine's thread is asked: plans with their tools, values, decisions."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from engine.errors import ResultError, ValidationError
from engine.execution.attempts.executors import check_isolation
from engine.execution.live_run import LiveRun
from engine.execution.secrets import find_missing_secret
from engine.failpoints import failpoint
from engine.flow.plan import Plan, compile_plan
from engine.flow.run_state import RunState
from engine.flow.validation import check_runnable
from engine.flow.validation_policies import find_unmet_resources
from engine.flow.values import to_json
from engine.model.events import RunAccepted
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem, Severity
from engine.model.run import RunSummary, to_datetime
from engine.model.status import RunStatus
from engine.model.tool import Catalog, Tool
from engine.shelf import Shelf
from engine.storage.graphs import GraphManager

_ROOM = 25_000
"""So many nodes have the plans in memory in all: some 50 MB, beside the graphs themselves."""
_reach_accept = failpoint("accept")


class PreparedGraph:
    """A version's plan, and what was found when it was last held against the registered tools."""

    def __init__(self, plan: Plan, resources: Mapping[str, int]) -> None:
        self.plan = plan
        self._resources = resources
        self._checked: tuple[tuple[Tool | None, ...], Problem | None] | None = None
        self._has_secrets = any(plan.secrets)

    def find_problem(self, tools: tuple[Tool | None, ...], catalog: dict[str, Tool]) -> Problem | None:
        """The first thing that keeps the graph from running with these tools."""
        checked = self._checked
        if checked is None or any(old is not new for old, new in zip(checked[0], tools, strict=True)):
            checked = self._checked = (tools, self._look(catalog))
        if checked[1] is None and self._has_secrets:
            return find_missing_secret(self.plan.graph)  # not kept: they come and go without us
        return checked[1]

    def _look(self, catalog: dict[str, Tool]) -> Problem | None:
        return next(iter(find_obstacles(self.plan.graph, catalog, self._resources)), None)


class PreparedGraphs:
    """The versions that were used last, ready to run. Any thread."""

    def __init__(self, graphs: GraphManager, resources: Mapping[str, int]) -> None:
        self._graphs = graphs
        self._resources = resources
        self._lock = threading.Lock()
        self._known: Shelf[tuple[str, int], PreparedGraph] = Shelf(_ROOM)

    def get(self, graph_id: str, version: int) -> PreparedGraph:
        """The version's plan; read from the database where it is not known."""
        prepared = self._known.get((graph_id, version))
        if prepared is None:
            plan = compile_plan(self._graphs.get_graph(graph_id, version))
            prepared = PreparedGraph(plan, self._resources)
            with self._lock:
                self._known.put((graph_id, version), prepared, len(plan.graph.nodes) + 1)
        return prepared

    def find_obstacles(self, graph: GraphDefinition, catalog: Catalog) -> list[Problem]:
        """What keeps a graph from being run now."""
        found = find_obstacles(graph, catalog, self._resources)
        missing = None if found else find_missing_secret(graph)
        return [missing] if missing is not None else found


def find_obstacles(graph: GraphDefinition, catalog: Catalog, resources: Mapping[str, int]) -> list[Problem]:
    """What keeps a graph from being run with these tools, and so many tokens of each resource."""
    return check_runnable(graph, catalog, resources) or check_isolation(graph, catalog)


def new_run_id() -> str:
    """A random id that begins with the time, so that runs lie in the index as they came."""
    return f"{time.time_ns() // 1_000_000:012x}{uuid.uuid4().hex[:16]}"


def open_run(prepared: PreparedGraph, catalog: dict[str, Tool], event: RunAccepted) -> LiveRun:
    """A new run, to be accepted with ``event``; which says why it is refused where the graph cannot be run."""
    tools = bind_tools(prepared.plan, catalog)
    problem = prepared.find_problem(tools, catalog)
    if problem is not None:
        event.refusal, event.refused_node = problem.message, problem.node_id
    return make_live(new_run_id(), prepared.plan, event, tools)


def make_live(run_id: str, plan: Plan, event: RunAccepted, tools: tuple[Tool | None, ...]) -> LiveRun:
    _reach_accept()
    about = RunSummary(
        run_id=run_id,
        graph_id=event.graph_id,
        graph_version=event.graph_version,
        graph_name=event.graph_name,
        status=RunStatus.PENDING,
        accepted_at=to_datetime(event.at),
        started_at=None,
        completed_at=None,
        error_message=None,
        step_count=0,
        parent_run_id=event.parent_run_id,
        parent_node_id=event.parent_node,
        forked_from=event.forked_from,
        idempotency_key=event.idempotency_key,
        durability=event.durability,
    )
    return LiveRun(RunState(run_id, plan), about, tools)


def bind_tools(plan: Plan, catalog: dict[str, Tool]) -> tuple[Tool | None, ...]:
    return tuple(catalog.get(node.function_name) for node in plan.graph.nodes)


def find_lack(graph: GraphDefinition, catalog: Catalog, resources: Mapping[str, int]) -> str | None:
    """What a run that was under way cannot go on without."""
    missing = sorted({node.function_name for node in graph.nodes} - catalog.keys())
    if missing:
        return f"it needs tools that are not registered: {', '.join(missing)}"
    return next((p.message for p in find_unmet_resources(graph, resources, Severity.ERROR)), None)


def sort_out_interrupted(live: LiveRun) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the nodes whose steps were interrupted: those that need a decision, and those that are to fail."""
    plan = live.state.plan
    nodes = {
        key[0] if isinstance(key, tuple) else key
        for key, step in live.state.running.items()
        if step.child is None  # one that runs another graph goes on with it
    }
    chosen: dict[str, list[str]] = {"ask": [], "fail": [], "rerun": []}
    for node in sorted(nodes):
        tool, definition = live.tools[node], plan.graph.nodes[node]
        by_tool = "ask" if tool is not None and tool.effects == "once" else "rerun"
        chosen[definition.on_restart or by_tool].append(definition.id)
    return tuple(chosen["ask"]), tuple(chosen["fail"])


def check_state(state: object) -> dict[str, Any]:
    if state is None:
        return {}
    if not isinstance(state, dict):
        message = f"the initial state must be an object (a dict with text keys), not {type(state).__name__}"
        raise ValidationError(message, [Problem(Severity.ERROR, "bad-state", message, field="initial_state")])
    copy: dict[str, Any] = check_json(state, "the initial state")
    return copy


def check_json(value: object, what: str) -> Any:
    try:
        return to_json(value, what)
    except ResultError as error:
        field = what.removeprefix("the ").replace(" ", "_")
        raise ValidationError(
            str(error), [Problem(Severity.ERROR, "not-json", str(error), field=field)]
        ) from error


def check_signal(value: Any, schema: dict[str, Any] | None, name: str) -> None:
    if schema is None:
        return
    import jsonschema  # a tenth of a second, and few runs need it

    try:
        faults = sorted(
            jsonschema.Draft202012Validator(schema).iter_errors(value), key=lambda fault: list(fault.path)
        )
    except jsonschema.SchemaError as error:
        raise ValidationError(f'the schema of the signal "{name}" is wrong: {error.message}') from error
    if faults:
        problems = [
            Problem(
                Severity.ERROR, "bad-signal", fault.message, field=".".join(["value", *map(str, fault.path)])
            )
            for fault in faults
        ]
        raise ValidationError(f'the value for the signal "{name}" is refused: {faults[0].message}', problems)
