"""The documentation: the OpenAPI document, and Swagger UI to read it and try it, from the package's own files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from engine.execution.services import Services
from wfe_desktop.server.context import ServerContext, program_version
from wfe_desktop.server.openapi import Shown, make_document
from wfe_desktop.server.pages import Page, serve_files
from wfe_desktop.server.routing import ROUTES, Answer, Call, NoQuery, Route, RouteTable

table = RouteTable("Server")

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Agent Workflow Engine: the API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="stylesheet" href="page/access.css">
</head>
<body>
<div id="docs"></div>
<noscript>This page needs JavaScript. The document itself: <a href="openapi.json">openapi.json</a></noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script type="module" src="docs/start.js"></script>
</body>
</html>
"""
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FILES: Final[Mapping[str, str]] = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "start.js": "text/javascript",
}
"""What the page is made of, by name in resources/swagger, with its type; beside what all pages share."""


@table.plain(
    "GET",
    "/openapi.json",
    "Read this document",
    query=NoQuery,
    answers={200: dict[str, Any]},
)
async def openapi_document(call: Call[NoQuery]) -> Answer:
    """OpenAPI 3.1. Its examples name a graph, a run and a tool that are there now, so that they work when pasted."""
    address = f"{call.request.scheme}://{call.request.host}"
    return Answer(await call.server.database.run(_document, call.server, call.request.app[ROUTES], address))


def _document(server: ServerContext, routes: tuple[Route, ...], address: str) -> dict[str, Any]:
    return make_document(routes, program_version(), _shown(server.services, address, server.needs_token))


def _shown(services: Services, address: str, needs_token: bool) -> Shown:
    tools = services.registry.list_tools()
    shown: dict[str, Any] = {"address": address, "needs_token": needs_token}
    if "math_operation" not in tools and tools:
        shown["tool"] = min(tools)
    if graphs := services.graphs.list_graphs():
        shown["graph_id"] = graphs[0].id
    if runs := services.engine.query_historical_executions(limit=1).executions:
        shown["run_id"] = runs[0].run_id
        graph = services.graphs.get_graph(runs[0].graph_id, runs[0].graph_version)
        shown["node_ids"] = tuple(node.id for node in graph.nodes[:1])
    return Shown(**shown)


async def docs_page(_server: ServerContext, _request: web.Request) -> web.StreamResponse:
    """The page at ``/docs``."""
    return web.Response(
        text=_PAGE, content_type="text/html", headers={"Content-Security-Policy": PAGE_POLICY}
    )


pages = (Page("/docs", docs_page), Page("/docs/{name}", serve_files("swagger", FILES)))
