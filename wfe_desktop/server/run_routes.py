"""Runs over HTTP: start, watch, cancel, look back."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any, TypeVar

from engine.errors import ServiceUnavailable
from engine.model.run import RunSnapshot
from engine.model.status import RunStatus
from wfe_desktop.server.context import ServerContext
from wfe_desktop.server.payloads import (
    EventOut,
    History,
    HistoryRequest,
    LogsQuery,
    RunCancel,
    RunLine,
    RunRequest,
    RunStarted,
    RunState,
)
from wfe_desktop.server.routing import Answer, Call, NoQuery, RouteTable

table = RouteTable()
T = TypeVar("T")


async def settled(future: Future[T]) -> T:
    """The engine's answer. A client that hangs up meanwhile takes nothing back: the future is not cancelled."""
    return await asyncio.shield(asyncio.wrap_future(future))


@table.with_body(
    "POST",
    "/graph/run",
    "Start a run; with wait_s, wait for its end",
    body=RunRequest,
    answers={202: RunStarted, 200: RunState},
    errors=(404,),
)
async def run_graph(call: Call[NoQuery], body: RunRequest) -> Answer:
    engine = call.server.services.engine
    run_id = await settled(engine.submit_workflow(body.graph_id, body.initial_state))
    status = RunStatus.PENDING
    if body.wait_s is not None:
        run = await _finished(call.server, run_id, body.wait_s)
        if run.status.is_final:
            return Answer(RunState.of(run))
        status = run.status
    return Answer(
        RunStarted(
            run_id=run_id,
            message="Workflow execution started successfully",
            status=status,
        ),
        status=202,
    )


async def _finished(server: ServerContext, run_id: str, wait_s: float) -> RunSnapshot:
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
    "Where a run stands, and its data",
    query=NoQuery,
    answers={200: RunState},
    errors=(404,),
)
async def run_state(call: Call[NoQuery]) -> Answer:
    return Answer(RunState.of(await settled(call.server.services.engine.request_status(call.path("run_id")))))


@table.plain(
    "GET",
    "/graph/logs/{run_id}",
    "The events of a run, oldest first",
    query=LogsQuery,
    answers={200: list[EventOut]},
    errors=(404,),
)
async def run_logs(call: Call[LogsQuery]) -> Answer:
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
    "POST",
    "/graph/cancel/{run_id}",
    "Cancel a run",
    query=NoQuery,
    answers={200: RunCancel},
    errors=(404,),
)
async def cancel_run(call: Call[NoQuery]) -> Answer:
    cancelled = await settled(call.server.services.engine.request_cancel(call.path("run_id")))
    message = "Workflow execution is being cancelled" if cancelled else "The run has ended already"
    return Answer(RunCancel(message=message, cancelled=cancelled))


@table.with_body(
    "POST", "/history/executions", "Look for runs, newest first", body=HistoryRequest, answers={200: History}
)
async def search_history(call: Call[NoQuery], body: HistoryRequest) -> Answer:
    page = await call.server.database.run(
        call.server.services.engine.query_historical_executions,
        graph_id=body.graph_id,
        status=body.status,
        start_date=body.start_date,
        end_date=body.end_date,
        limit=body.limit,
        offset=body.offset,
    )
    return Answer(
        History.model_construct(
            executions=[RunLine.of(run) for run in page.executions],
            total_count=page.total_count,
            has_more=page.has_more,
        )
    )
