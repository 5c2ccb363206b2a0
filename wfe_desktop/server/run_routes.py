"""Runs over HTTP: start, watch, pause and go on, cancel, look back."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any, TypeVar

from engine.errors import RunNotFound, ServiceUnavailable
from engine.execution.engine import ExecutionEngine
from engine.execution.step_inputs import key_of
from engine.flow.presenter import present
from engine.flow.validation import parse_graph
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem, Severity
from engine.model.run import EventRecord, RunSnapshot
from engine.model.status import RunStatus
from wfe_desktop.server.bodies import check_model
from wfe_desktop.server.context import ServerContext
from wfe_desktop.server.failures import problems_in, refusal
from wfe_desktop.server.graph_routes import EXAMPLE
from wfe_desktop.server.payloads import (
    EventOut,
    EventsQuery,
    History,
    HistoryRequest,
    LogsQuery,
    RunBreakpoints,
    RunCancel,
    RunLine,
    RunPause,
    RunResume,
    RunRetry,
    RunsCancel,
    RunStarted,
    RunState,
    RunStep,
    Statistics,
    StatisticsQuery,
)
from wfe_desktop.server.routing import Answer, Call, NoQuery, Notes, RouteTable
from wfe_desktop.server.run_requests import (
    BreakpointsRequest,
    CancelGraphRequest,
    CancelRequest,
    CancelStatusRequest,
    RunInlineRequest,
    RunRequest,
    StateQuery,
)
from wfe_desktop.server.step_payloads import RunSteps, StepLine, StepsQuery

table = RouteTable("Runs")
history = RouteTable("History")
T = TypeVar("T")


async def settled(future: Future[T]) -> T:
    """The engine's answer. A client that hangs up meanwhile takes nothing back: the future is not cancelled."""
    return await asyncio.shield(asyncio.wrap_future(future))


def read_run(data: Any) -> RunRequest | RunInlineRequest:
    """A request to run a stored graph, or one that comes along.

    Raises:
        ValidationError: with every fault found.
    """
    if not (isinstance(data, dict) and "graph" in data):
        return check_model(RunRequest, data)
    if "graph_id" in data:
        raise refusal(
            [Problem(Severity.ERROR, "two-graphs", "send graph_id or graph, not both", field="graph")]
        )
    graph, problems = parse_graph(data["graph"])
    problems = [problem for problem in problems if problem.is_error]
    if graph is None:
        rest = {name: value for name, value in data.items() if name != "graph"}
        raise refusal([*problems, *problems_in(RunRequest, {**rest, "graph_id": "-"})])
    return check_model(RunInlineRequest, {**data, "graph": graph})


@table.with_json(
    "POST",
    "/graph/run",
    "Start a run",
    make=read_run,
    body=RunRequest | RunInlineRequest,
    answers={202: RunStarted, 200: RunState},
    errors=(404, 409),
    notes=Notes(
        example={"graph": EXAMPLE, "initial_state": {"value": 9}, "wait_s": 10},
        answer_headers={"Location": "Where the run can be watched."},
    ),
)
async def run_graph(call: Call[NoQuery], body: RunRequest | RunInlineRequest) -> Answer:
    """Of a stored graph (`graph_id`), or of one that comes along (`graph`); the same one is stored once.

    202 says that the run is stored: it is not lost from then on. With `wait_s`, the answer is 200 with the state at the
    run's end; when that time is over before, 202, and the run goes on. A request that comes again with the same
    `idempotency_key` is answered with the run that it made; another request with this key is refused (409).
    """
    engine = call.server.services.engine
    graph_id, version = await _find_graph(call, body)
    run_id = await settled(
        engine.submit_workflow(
            graph_id,
            body.initial_state,
            tuple(dict.fromkeys(body.breakpoints)),
            graph_version=version,
            idempotency_key=body.idempotency_key,
            durability=body.durability,
        )
    )
    headers = {"Location": f"/graph/state/{run_id}"}
    status = RunStatus.PENDING
    if body.wait_s is not None:
        run = await finished(call.server, run_id, body.wait_s)
        if run.status.is_final:
            return Answer(RunState.of(run), headers=headers)
        status = run.status
    elif body.idempotency_key is not None:  # it may be an old one
        status = (await settled(engine.request_status(run_id))).status
    started = RunStarted(run_id=run_id, message="Workflow execution started successfully", status=status)
    if isinstance(body, RunInlineRequest):
        started["graph_id"] = graph_id
    return Answer(started, status=202, headers=headers)


async def _find_graph(call: Call[NoQuery], body: RunRequest | RunInlineRequest) -> tuple[str, int | None]:
    """Which graph is to run, and in which version; None is the newest.

    Raises:
        ValidationError: there are breakpoints at nodes that it does not have.
    """
    graphs = call.server.services.graphs

    def find() -> tuple[str, int | None]:
        if isinstance(body, RunInlineRequest):
            check_nodes(body.graph, body.breakpoints, "breakpoints")
            return graphs.keep_graph(body.graph), 1
        if body.breakpoints:
            check_nodes(graphs.get_graph(body.graph_id, body.graph_version), body.breakpoints, "breakpoints")
        return body.graph_id, body.graph_version

    if isinstance(body, RunRequest) and not body.breakpoints:
        return body.graph_id, body.graph_version
    return await call.server.database.run(find)


def check_nodes(graph: GraphDefinition, nodes: list[str], field: str) -> None:
    """Refuses names of nodes that the graph does not have.

    Raises:
        ValidationError: naming each.
    """
    known = {node.id for node in graph.nodes}
    problems = [
        Problem(
            Severity.ERROR,
            "unknown-node",
            f'the run\'s graph has no node "{node}"',
            node,
            field=f"{field}.{index}",
        )
        for index, node in enumerate(nodes)
        if node not in known
    ]
    if problems:
        raise refusal(problems)


async def finished(server: ServerContext, run_id: str, wait_s: float) -> RunSnapshot:
    """The run at its end, or as it stands when the time is over.

    Raises:
        ServiceUnavailable: the server closes; the run itself goes on at the next start.
    """
    engine = server.services.engine
    end = asyncio.wrap_future(engine.when_finished(run_id))
    closing = asyncio.ensure_future(server.closing.wait())
    either: set[asyncio.Future[Any]] = {end, closing}
    try:
        await asyncio.wait(either, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        closing.cancel()
        if not end.done():
            end.cancel()
    if not end.cancelled():
        return end.result()
    if server.closing.is_set():
        raise ServiceUnavailable(f"the server is closing; run {run_id} goes on at its next start")
    return await settled(engine.request_status(run_id))


@table.plain(
    "GET",
    "/graph/state/{run_id}",
    "Read where a run stands",
    query=StateQuery,
    answers={200: RunState},
    errors=(404,),
    notes=Notes(query={"wait_s": 1}),
)
async def run_state(call: Call[StateQuery]) -> Answer:
    """Its status, its data, and where each node stands, all at one moment: that of the event `seq`.

    With `wait_s`, at the run's end, or when that time is over.
    """
    run_id, wait_s = call.path("run_id"), call.query.wait_s
    if wait_s is not None:
        return Answer(RunState.of(await finished(call.server, run_id, wait_s)))
    return Answer(RunState.of(await settled(call.server.services.engine.request_status(run_id))))


@table.plain(
    "GET",
    "/graph/logs/{run_id}",
    "Read the events of a run",
    query=LogsQuery,
    answers={200: list[EventOut]},
    errors=(404,),
    notes=Notes(query={"limit": 100}),
)
async def run_logs(call: Call[LogsQuery]) -> Answer:
    """Oldest first: the same events as on the WebSocket. For the next ones, send the last `seq` as `since`."""
    query = call.query
    events = await call.server.database.run(
        call.server.services.engine.get_execution_logs,
        call.path("run_id"),
        since=query.since,
        limit=query.limit,
        types=query.event_types,
    )
    return Answer([EventOut.of(event) for event in events])


@table.plain(
    "GET",
    "/graph/steps/{run_id}",
    "List the steps of a run",
    query=StepsQuery,
    answers={200: RunSteps},
    errors=(404,),
    notes=Notes(query={"inputs": "true", "limit": 20}),
)
async def run_steps(call: Call[StepsQuery]) -> Answer:
    """Every visit of a node, attempt of it and item of a `for_each`, in the order in which they began.

    With `inputs=true`, what each was given as well. What is too large for a list is left out, unless `limit` is 1.
    """
    run_id, query, engine = call.path("run_id"), call.query, call.server.services.engine

    def read() -> RunSteps:
        page = engine.query_execution_steps(
            run_id, query.node_id, query.status, query.visit, query.limit, query.offset
        )
        steps, in_full = page.steps, query.limit == 1
        if in_full and any(step.result_omitted for step in steps):
            [step] = steps
            steps = [each for each in engine.get_execution_steps(run_id) if key_of(each) == key_of(step)]
        given = engine.find_step_inputs(run_id, steps) if query.inputs else {}
        return RunSteps.model_construct(
            run_id=run_id,
            steps=[StepLine.of(step, given.get(key_of(step)), in_full=in_full) for step in steps],
            total_count=page.total_count,
            has_more=page.has_more,
        )

    return Answer(await call.server.database.run(read))


# ---------------------------------------------------------------------------------------------------- commands


@table.plain(
    "POST",
    "/graph/cancel/{run_id}",
    "Cancel a run",
    query=NoQuery,
    answers={200: RunCancel},
    errors=(404,),
)
async def cancel_run(call: Call[NoQuery]) -> Answer:
    """Steps under way are asked to stop. `cancelled` is false where the run had ended."""
    cancelled = await settled(call.server.services.engine.request_cancel(call.path("run_id")))
    message = "Workflow execution is being cancelled" if cancelled else "The run has ended already"
    return Answer(RunCancel(message=message, cancelled=cancelled))


def read_cancel(data: Any) -> CancelRequest | CancelGraphRequest | CancelStatusRequest:
    """Which runs to cancel.

    Raises:
        ValidationError: with every fault found.
    """
    if isinstance(data, dict) and "run_ids" not in data:
        if "graph_id" in data:
            return check_model(CancelGraphRequest, data)
        if "status" in data:
            return check_model(CancelStatusRequest, data)
    return check_model(CancelRequest, data)


@table.with_json(
    "POST",
    "/graph/cancel",
    "Cancel many runs",
    make=read_cancel,
    body=CancelRequest | CancelGraphRequest | CancelStatusRequest,
    answers={200: RunsCancel},
    notes=Notes(example={"run_ids": ["RUN_ID"]}),
)
async def cancel_runs(
    call: Call[NoQuery], body: CancelRequest | CancelGraphRequest | CancelStatusRequest
) -> Answer:
    """These (`run_ids`), or all that have not ended of a graph (`graph_id`), at a `status`, or both. One that is unknown
    stops nothing.
    """
    engine = call.server.services.engine
    if isinstance(body, CancelRequest):
        run_ids = list(dict.fromkeys(body.run_ids))
    else:
        graph_id = body.graph_id if isinstance(body, CancelGraphRequest) else None
        unfinished = await call.server.database.run(
            call.server.services.states.unfinished_runs, graph_id, body.status
        )
        run_ids = [run.run_id for run in unfinished]
    outcomes = await asyncio.gather(
        *(settled(engine.request_cancel(run_id)) for run_id in run_ids), return_exceptions=True
    )
    answer = RunsCancel(message="", cancelled=[], ended=[], not_found=[])
    for run_id, outcome in zip(run_ids, outcomes, strict=True):
        if isinstance(outcome, RunNotFound):
            answer.not_found.append(run_id)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            (answer.cancelled if outcome else answer.ended).append(run_id)
    count = len(answer.cancelled)
    message = "1 run is being cancelled" if count == 1 else f"{count or 'No'} runs are being cancelled"
    return Answer(answer.model_copy(update={"message": message}))


@table.plain(
    "POST", "/graph/pause/{run_id}", "Pause a run", query=NoQuery, answers={200: RunPause}, errors=(404,)
)
async def pause_run(call: Call[NoQuery]) -> Answer:
    """Nothing new starts; running steps finish. `paused` is false where the run was not running."""
    done = await settled(call.server.services.engine.pause(call.path("run_id")))
    message = "The run is paused" if done else "The run is not running"
    return Answer(RunPause(message=message, paused=done))


@table.plain(
    "POST", "/graph/resume/{run_id}", "Resume a run", query=NoQuery, answers={200: RunResume}, errors=(404,)
)
async def resume_run(call: Call[NoQuery]) -> Answer:
    """`resumed` is false where the run was not paused."""
    done = await settled(call.server.services.engine.resume(call.path("run_id")))
    message = "The run goes on" if done else "The run is not paused"
    return Answer(RunResume(message=message, resumed=done))


@table.plain(
    "POST",
    "/graph/step/{run_id}",
    "Let a paused run start one step",
    query=NoQuery,
    answers={200: RunStep},
    errors=(404,),
)
async def step_run(call: Call[NoQuery]) -> Answer:
    """`stepped` is false where the run was not paused, or had no step to start."""
    done = await settled(call.server.services.engine.step(call.path("run_id")))
    message = "The run starts one step" if done else "The run is not paused, or has no step to start"
    return Answer(RunStep(message=message, stepped=done))


@table.plain(
    "POST",
    "/graph/retry/{run_id}",
    "Let a failed run go on from where it failed",
    query=NoQuery,
    answers={200: RunRetry},
    errors=(404,),
)
async def retry_run(call: Call[NoQuery]) -> Answer:
    """Steps that were completed are not run again. `retried` is false where the run had not failed."""
    done = await settled(call.server.services.engine.retry(call.path("run_id")))
    message = "The run goes on from where it failed" if done else "The run has not failed"
    return Answer(RunRetry(message=message, retried=done))


@table.with_body(
    "PUT",
    "/graph/breakpoints/{run_id}",
    "Set the breakpoints of a run",
    body=BreakpointsRequest,
    answers={200: RunBreakpoints},
    errors=(404,),
    notes=Notes(example={"nodes": ["NODE_ID"]}),
)
async def set_breakpoints(call: Call[NoQuery], body: BreakpointsRequest) -> Answer:
    """The run pauses before these nodes start, in place of those set before; an empty list takes all away.

    `changed` is false where the run has ended.
    """
    run_id, services = call.path("run_id"), call.server.services
    nodes = list(dict.fromkeys(body.nodes))

    def check() -> None:
        run = services.states.get_run(run_id)
        check_nodes(services.graphs.get_graph(run.graph_id, run.graph_version), body.nodes, "nodes")

    await call.server.database.run(check)
    done = await settled(services.engine.set_breakpoints(run_id, nodes))
    message = "The breakpoints are set" if done else "The run has ended already"
    return Answer(RunBreakpoints(message=message, changed=done, nodes=nodes))


# ----------------------------------------------------------------------------------------------------- history


@history.with_body(
    "POST",
    "/history/executions",
    "Look for runs",
    body=HistoryRequest,
    answers={200: History},
    notes=Notes(example={"status": "completed", "limit": 20}),
)
async def search_history(call: Call[NoQuery], body: HistoryRequest) -> Answer:
    """Newest first. Runs are found by the time of acceptance, from `start_date` up to but without `end_date`."""
    page = await call.server.database.run(
        call.server.services.engine.query_historical_executions,
        graph_id=body.graph_id,
        status=body.status,
        start_date=body.start_date,
        end_date=body.end_date,
        limit=body.limit,
        offset=body.offset,
        parent_run_id=body.parent_run_id,
        top_level=body.top_level,
    )
    return Answer(
        History.model_construct(
            executions=[RunLine.of(run) for run in page.executions],
            total_count=page.total_count,
            has_more=page.has_more,
        )
    )


@history.plain(
    "GET",
    "/history/statistics",
    "Count runs and measure them",
    query=StatisticsQuery,
    answers={200: Statistics},
)
async def read_statistics(call: Call[StatisticsQuery]) -> Answer:
    """By status, and by graph with the most runs first; how long completed runs took, with median and 95th percentile."""
    query = call.query
    found = await call.server.database.run(
        call.server.services.engine.get_execution_statistics,
        graph_id=query.graph_id,
        start_date=query.start_date,
        end_date=query.end_date,
        limit=query.limit,
        offset=query.offset,
    )
    return Answer(Statistics.of(found, query.offset))


@history.plain(
    "GET",
    "/events",
    "Read the events of all runs",
    query=EventsQuery,
    answers={200: list[EventOut]},
    notes=Notes(query={"limit": 100}),
)
async def read_events(call: Call[EventsQuery]) -> Answer:
    """Oldest first, of one run or graph where given. For the next ones, send the last `seq` as `since`."""
    events = await call.server.database.run(_events, call.server.services.engine, call.query)
    return Answer([EventOut.of(event) for event in events])


def _events(engine: ExecutionEngine, query: EventsQuery) -> list[EventRecord]:
    found: list[EventRecord] = []
    since, types = query.since, query.event_types
    while True:
        entries = engine.read_events(since, query.run_id, query.graph_id)
        for entry in entries:
            event = present(entry)
            if types is None or event.event_type in types:
                found.append(event)
                if len(found) == query.limit:
                    return found
        if len(entries) < 1_000:
            return found
        since = entries[-1].seq
