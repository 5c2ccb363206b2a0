"""The server about itself: its health, its tools, what it uses, and a page for people who open its address."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from wfe_desktop.server.context import SERVICE_NAME, ServerContext, program_version
from wfe_desktop.server.payloads import PageQuery
from wfe_desktop.server.prometheus import render_metrics
from wfe_desktop.server.routing import (
    PAGE_HEADERS,
    Answer,
    Call,
    NoQuery,
    Notes,
    RouteTable,
    Text,
    page_headers,
)
from wfe_desktop.server.system_payloads import (
    About,
    CacheCleared,
    CacheQuery,
    ConnectionLine,
    Connections,
    DatabaseHealth,
    DurationsHistogram,
    EngineMetrics,
    Health,
    Metrics,
    ProcessMetrics,
    RunMetrics,
    ServerMetrics,
    StepMetrics,
    SystemHealth,
    ToolOut,
    ToolsHealth,
)

tools = RouteTable("Tools")
table = RouteTable("Server")
LINKS: Final = {
    "docs": "/docs",
    "openapi": "/openapi.json",
    "graphs": "/graphs",
    "tools": "/tools",
    "health": "/health",
    "websocket": "/ws",
}


@tools.plain(
    "GET",
    "/tools",
    "List the registered tools",
    query=PageQuery,
    answers={200: list[ToolOut]},
    notes=Notes(answer_headers=PAGE_HEADERS),
)
async def list_tools(call: Call[PageQuery]) -> Answer:
    """By name, each with its parameters and their JSON Schemas."""
    query = call.query
    found = call.server.services.registry.list_tools()
    shown = sorted(found)[query.offset : query.offset + query.limit]
    headers = page_headers(call, len(found), query.limit, query.offset)
    return Answer([ToolOut.of(found[name]) for name in shown], headers=headers)


@tools.plain("GET", "/tools/{name}", "Read a tool", query=NoQuery, answers={200: ToolOut}, errors=(404,))
async def read_tool(call: Call[NoQuery]) -> Answer:
    """Its parameters and outputs with their JSON Schemas. Where there is none of this name, the closest are named."""
    return Answer(ToolOut.of(call.server.services.registry.get_tool(call.path("name"))))


@table.plain("GET", "/health", "Ask whether the engine takes work", query=NoQuery, answers={200: Health})
async def health(call: Call[NoQuery]) -> Answer:
    """Cheap: nothing is waited for. `unhealthy` while nothing can be recorded (the disk is full, say): `problem` says why,
    and runs are answered with 503 until it is over.
    """
    return Answer(Health(**_health(call.server)))


def _health(server: ServerContext) -> dict[str, Any]:
    engine = server.services.engine
    return {
        "status": "healthy" if engine.storage_problem is None else "unhealthy",
        "problem": engine.storage_problem,
        "service": SERVICE_NAME,
        "version": program_version(),
        "uptime_s": server.uptime_s,
        "active_runs": engine.active_runs,
        "running_steps": engine.running_steps,
        "workers": engine.worker_count,
        "last_seq": engine.last_seq,
    }


@table.plain(
    "GET", "/system/health", "Check each part of the system", query=NoQuery, answers={200: SystemHealth}
)
async def system_health(call: Call[NoQuery]) -> Answer:
    """Reads from the database, and names tool files that could not be loaded."""
    services = call.server.services
    begun = time.perf_counter()
    await call.server.database.run(services.states.last_seq)
    latency_ms = round((time.perf_counter() - begun) * 1000, 3)
    return Answer(
        SystemHealth(
            **_health(call.server),
            database=DatabaseHealth(latency_ms=latency_ms),
            tools=ToolsHealth(
                registered=len(services.registry.list_tools()),
                load_failures=[str(failure) for failure in services.load_failures],
            ),
        )
    )


@table.plain("GET", "/system/metrics", "Measure the program", query=NoQuery, answers={200: Metrics})
async def system_metrics(call: Call[NoQuery]) -> Answer:
    """Memory and processor time of the process, what the engine does, what the server was asked, and how runs and steps
    ended and how long they took.
    """
    return Answer(await _measure(call.server))


@table.plain(
    "GET",
    "/metrics",
    "Measure the program, for Prometheus",
    query=NoQuery,
    answers={200: str},
    errors=(501,),
    notes=Notes(media="text/plain"),
)
async def prometheus_metrics(call: Call[NoQuery]) -> Answer:
    """The figures of `/system/metrics` in the text format of Prometheus. Needs the extra `metrics`."""
    body, content_type = render_metrics(await _measure(call.server))
    return Answer(Text(body, content_type))


async def _measure(server: ServerContext) -> Metrics:
    engine, measures, hub = server.services.engine, server.measures, server.hub
    times = os.times()
    resident, peak = _memory_bytes()
    resources = await asyncio.shield(asyncio.wrap_future(engine.request_resources()))
    return Metrics(
        process=ProcessMetrics(
            pid=os.getpid(),
            memory_rss_bytes=resident,
            memory_peak_bytes=peak,
            cpu_user_s=times.user,
            cpu_system_s=times.system,
            threads=threading.active_count(),
        ),
        engine=EngineMetrics(
            active_runs=engine.active_runs,
            running_steps=engine.running_steps,
            abandoned_threads=engine.abandoned_steps,
            workers=engine.worker_count,
            last_seq=engine.last_seq,
            resources=resources,
            commits=engine.commits.count,
            commit_s=round(engine.commits.seconds, 6),
        ),
        server=ServerMetrics(
            uptime_s=server.uptime_s,
            requests_total=server.counters.by_status.total(),
            requests_in_progress=server.counters.in_progress,
            requests_by_status=dict(sorted(server.counters.by_status.items())),
            websocket_connections=len(server.connections),
            websocket_queued=sum(connection.client.queued for connection in server.connections),
            websocket_dropped=hub.dropped,
            events_dispatched=hub.delivered,
            journal_lag_events=max(0, engine.last_seq - hub.dispatched),
        ),
        runs=RunMetrics(
            accepted=measures.runs_accepted,
            ended=dict(measures.runs_ended),
            durations=DurationsHistogram.of(measures.run_durations),
        ),
        steps=StepMetrics(
            ended=dict(measures.steps_ended),
            durations=DurationsHistogram.of(measures.step_durations),
        ),
    )


@table.plain("DELETE", "/cache", "Forget kept results", query=CacheQuery, answers={200: CacheCleared})
async def clear_cache(call: Call[CacheQuery]) -> Answer:
    """Of nodes with `cache`: their steps are run again, and their results kept anew."""
    server, tool = call.server, call.query.tool
    deleted = await server.database.run(server.services.engine.clear_cache, tool)
    what = "1 kept result" if deleted == 1 else f"{deleted:,} kept results"
    whose = "" if tool is None else f' of "{tool}"'
    return Answer(CacheCleared(message=f"Forgot {what}{whose}", deleted=deleted))


def _memory_bytes() -> tuple[int | None, int | None]:
    """What the process holds in memory now, and at most so far."""
    resident: int | None = None
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
        resident = int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        pass  # not a Linux
    if sys.platform == "win32":
        return resident, None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return resident, peak if sys.platform == "darwin" else peak * 1024


@table.plain(
    "GET", "/ws/connections", "List the WebSocket clients", query=NoQuery, answers={200: Connections}
)
async def list_connections(call: Call[NoQuery]) -> Answer:
    """The longest connected first."""
    connections = sorted(call.server.connections, key=lambda connection: connection.connected_at)
    lines = [
        ConnectionLine(
            connection_id=connection.id,
            connected_at=connection.connected_at,
            subscriptions=connection.client.keys,
            queued=connection.client.queued,
            sent=connection.client.sent,
        )
        for connection in connections
    ]
    return Answer(Connections(connections=lines, total_count=len(lines)))


@table.plain(
    "GET",
    "/",
    "Ask what runs here",
    query=NoQuery,
    answers={200: About},
    notes=Notes(answer_headers={"Vary": "Accept"}),
)
async def about(_call: Call[NoQuery]) -> Answer:
    """A greeting and where to go on; for a browser (`Accept: text/html`), a page."""
    return Answer(
        About(
            message="Agent Workflow Engine is running",
            service=SERVICE_NAME,
            version=program_version(),
            links=LINKS,
        ),
        headers={"Vary": "Accept"},
    )


def wants_page(request: web.Request) -> bool:
    """Whether a browser asks, rather than a program."""
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")
