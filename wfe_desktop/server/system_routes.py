"""The server about itself: its health, its tools, and a page for people who open its address."""

from __future__ import annotations

from aiohttp import web

from wfe_desktop.server.context import SERVICE_NAME, ServerContext, program_version
from wfe_desktop.server.page import PAGE_POLICY, render_page
from wfe_desktop.server.payloads import About, Health, ToolOut
from wfe_desktop.server.routing import Answer, Call, NoQuery, RouteTable

table = RouteTable()
LINKS = {"graphs": "/graphs", "tools": "/tools", "health": "/health", "websocket": "/ws"}


@table.plain(
    "GET", "/health", "Whether the engine takes work", query=NoQuery, answers={200: Health}, errors=(503,)
)
async def health(call: Call[NoQuery]) -> Answer:
    engine = call.server.services.engine
    return Answer(
        Health(
            status="healthy",
            service=SERVICE_NAME,
            version=program_version(),
            uptime_s=call.server.uptime_s,
            active_runs=engine.active_runs,
            running_steps=engine.running_steps,
            workers=engine.worker_count,
            last_seq=engine.last_seq,
        )
    )


@table.plain("GET", "/tools", "The registered tools, by name", query=NoQuery, answers={200: list[ToolOut]})
async def list_tools(call: Call[NoQuery]) -> Answer:
    tools = call.server.services.registry.list_tools()
    return Answer([ToolOut.of(tools[name]) for name in sorted(tools)])


@table.plain("GET", "/", "What runs here; for a browser, a page", query=NoQuery, answers={200: About})
async def about(_call: Call[NoQuery]) -> Answer:
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


async def page(server: ServerContext, request: web.Request) -> web.Response:
    """The page at ``/``."""
    authority = request.headers.get("Host", "")
    text = render_page(authority, program_version(), server.services.engine.active_runs)
    return web.Response(
        text=text,
        content_type="text/html",
        headers={"Content-Security-Policy": PAGE_POLICY, "Vary": "Accept"},
    )
