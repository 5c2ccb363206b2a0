"""Graphs over HTTP: create, validate, read, change, compare, delete."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from aiohttp import hdrs

from engine.errors import ConflictError
from engine.flow.differences import compare_graphs
from engine.flow.validation import parse_graph, validate_graph
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem, Severity
from engine.model.run import GraphVersion
from engine.model.tool import Catalog
from wfe_desktop.server.failures import HttpError, refusal
from wfe_desktop.server.payloads import (
    DiffQuery,
    EdgesDiff,
    GraphCreated,
    GraphDiff,
    GraphLine,
    GraphQuery,
    GraphUpdated,
    GraphValidated,
    GraphVersions,
    NodesDiff,
    PageQuery,
    VersionLine,
    WrappedGraph,
    problems_out,
)
from wfe_desktop.server.routing import PAGE_HEADERS, Answer, Call, NoQuery, Notes, RouteTable, page_headers

table = RouteTable("Graphs")

EXAMPLE: Final = {
    "name": "Sum",
    "nodes": [
        {"id": "add", "function_name": "math_operation", "parameters": {"operation": "add", "value": 5}},
        {
            "id": "triple",
            "function_name": "math_operation",
            "parameters": {"operation": "multiply", "value": 3},
        },
    ],
    "edges": [{"from_node": "add", "to_node": "triple", "condition": "state.value < 100"}],
}
ETAG: Final = {"ETag": "The version of the graph, in quotes."}
_IF_MATCH = re.compile(r'\*|(?:W/)?"[^"]*"(?:[ \t]*,[ \t]*(?:W/)?"[^"]*")*')


def unwrap(data: Any) -> Any:
    """The graph of a body: the body itself, or what stands under ``graph`` where that is its only key."""
    return data["graph"] if isinstance(data, dict) and set(data) == {"graph"} else data


def read_graph(data: Any) -> GraphDefinition:
    """The graph of a body.

    Raises:
        ValidationError: it is not well-formed; every fault is named.
    """
    graph, problems = parse_graph(unwrap(data))
    if graph is None:
        raise refusal([problem for problem in problems if problem.is_error])
    return graph


async def _warnings(call: Call[Any], graph: GraphDefinition) -> list[Problem]:
    services = call.server.services
    tools, resources = services.registry.list_tools(), services.engine.config.resources
    find_workflow = services.graphs.find_graph
    problems = await call.server.database.run(validate_graph, graph, tools, resources, find_workflow)
    return [problem for problem in problems if not problem.is_error]


@table.with_json(
    "POST",
    "/graph/create",
    "Store a new graph",
    make=read_graph,
    body=GraphDefinition | WrappedGraph,
    answers={201: GraphCreated},
    notes=Notes(example=EXAMPLE, answer_headers={**ETAG, "Location": "Where the graph can be read."}),
)
async def create_graph(call: Call[NoQuery], graph: GraphDefinition) -> Answer:
    """Errors in the graph are answered with 400, all of them at once. A tool that is not registered, or a
    workflow to run that is not stored, is a warning: it may come later.
    """
    graph_id = await call.server.database.run(call.server.services.graphs.create_graph, graph)
    return Answer(
        GraphCreated(
            graph_id=graph_id,
            message=f"Graph '{graph.name}' created successfully",
            validation_warnings=problems_out(await _warnings(call, graph)),
        ),
        status=201,
        headers={"ETag": '"1"', "Location": f"/graph/{graph_id}"},
    )


@table.with_json(
    "POST",
    "/graph/validate",
    "Check a graph without storing it",
    make=unwrap,
    body=GraphDefinition | WrappedGraph | Any,
    answers={200: GraphValidated},
    notes=Notes(example=EXAMPLE),
)
async def check_graph(call: Call[NoQuery], data: Any) -> Answer:
    """Any JSON is answered with 200 and what is wrong with it."""
    services = call.server.services
    tools, resources = services.registry.list_tools(), services.engine.config.resources
    problems = await call.server.database.run(
        _all_problems, data, tools, resources, services.graphs.find_graph
    )
    errors = [problem for problem in problems if problem.is_error]
    return Answer(
        GraphValidated(
            is_valid=not errors,
            errors=problems_out(errors),
            warnings=problems_out(problem for problem in problems if not problem.is_error),
        )
    )


def _all_problems(
    data: Any, tools: Catalog, resources: dict[str, int], find_workflow: Callable[[str], object]
) -> list[Problem]:
    graph, problems = parse_graph(data)
    return problems if graph is None else validate_graph(graph, tools, resources, find_workflow)


@table.plain(
    "GET",
    "/graphs",
    "List the stored graphs",
    query=PageQuery,
    answers={200: list[GraphLine]},
    notes=Notes(query={"limit": 20}, answer_headers=PAGE_HEADERS),
)
async def list_graphs(call: Call[PageQuery]) -> Answer:
    """The latest changed first."""
    query = call.query
    graphs = await call.server.database.run(call.server.services.graphs.list_graphs)
    shown = graphs[query.offset : query.offset + query.limit]
    headers = page_headers(call, len(graphs), query.limit, query.offset)
    return Answer([GraphLine.of(graph) for graph in shown], headers=headers)


@table.plain(
    "GET",
    "/graph/{graph_id}",
    "Read a graph",
    query=GraphQuery,
    answers={200: GraphDefinition},
    errors=(404,),
    notes=Notes(answer_headers=ETAG),
)
async def read_stored_graph(call: Call[GraphQuery]) -> Answer:
    """Its newest version, or the one asked for; a version of a deleted graph can still be read."""
    graphs, graph_id, version = call.server.services.graphs, call.path("graph_id"), call.query.version
    if version is None:
        version = (await call.server.database.run(graphs.get_summary, graph_id)).version
    graph = await call.server.database.run(graphs.get_graph, graph_id, version)
    return Answer(graph, headers={"ETag": f'"{version}"'})


@table.plain(
    "GET",
    "/graph/{graph_id}/versions",
    "List the versions of a graph",
    query=PageQuery,
    answers={200: GraphVersions},
    errors=(404,),
)
async def list_versions(call: Call[PageQuery]) -> Answer:
    """The newest first. A version never changes; runs keep the one they started with."""
    graph_id, query = call.path("graph_id"), call.query
    graphs = call.server.services.graphs

    def read() -> tuple[list[VersionLine], int]:
        versions = graphs.list_versions(graph_id)
        shown = versions[query.offset : query.offset + query.limit]
        return [_line(version, graphs.get_graph(graph_id, version.version)) for version in shown], len(
            versions
        )

    lines, total = await call.server.database.run(read)
    return Answer(
        GraphVersions(
            graph_id=graph_id,
            versions=lines,
            total_count=total,
            has_more=query.offset + len(lines) < total,
        )
    )


def _line(version: GraphVersion, graph: GraphDefinition) -> VersionLine:
    return VersionLine(
        version=version.version,
        created_at=version.created_at,
        name=graph.name,
        node_count=len(graph.nodes),
        edge_count=len(graph.edges),
    )


@table.plain(
    "GET",
    "/graph/{graph_id}/diff",
    "Compare two versions of a graph",
    query=DiffQuery,
    answers={200: GraphDiff},
    errors=(404,),
)
async def compare_versions(call: Call[DiffQuery]) -> Answer:
    """What was added, removed and changed; by itself, between the newest version and the one before it."""
    graph_id, query = call.path("graph_id"), call.query
    graphs = call.server.services.graphs

    def read() -> tuple[int, GraphDefinition, int, GraphDefinition]:
        to_version = query.to_version or graphs.get_summary(graph_id).version
        from_version = query.from_version or max(to_version - 1, 1)
        return (
            from_version,
            graphs.get_graph(graph_id, from_version),
            to_version,
            graphs.get_graph(graph_id, to_version),
        )

    from_version, before, to_version, after = await call.server.database.run(read)
    found = compare_graphs(before, after)
    return Answer(
        GraphDiff(
            graph_id=graph_id,
            from_version=from_version,
            to_version=to_version,
            nodes=NodesDiff(
                added=list(found.nodes_added),
                removed=list(found.nodes_removed),
                changed=list(found.nodes_changed),
            ),
            edges=EdgesDiff(
                added=list(found.edges_added),
                removed=list(found.edges_removed),
                changed=list(found.edges_changed),
            ),
            fields=found.fields,
            layout_changed=found.layout_changed,
        )
    )


@table.with_json(
    "PUT",
    "/graph/{graph_id}",
    "Store a new version of a graph",
    make=read_graph,
    body=GraphDefinition | WrappedGraph,
    answers={200: GraphUpdated},
    errors=(404, 412),
    notes=Notes(
        example=EXAMPLE,
        headers={"If-Match": "The ETag of the version that was changed. Where another is the newest: 412."},
        answer_headers=ETAG,
    ),
)
async def update_graph(call: Call[NoQuery], graph: GraphDefinition) -> Answer:
    """Send the ETag you read as If-Match, so that nobody's changes are overwritten unseen."""
    graph_id, graphs = call.path("graph_id"), call.server.services.graphs
    expected = await _expected_version(call, graph_id)
    try:
        version = await call.server.database.run(graphs.update_graph, graph_id, graph, expected)
    except ConflictError as error:
        raise _not_the_newest(graph_id, error.details["version"]) from None
    return Answer(
        GraphUpdated(
            graph_id=graph_id,
            version=version,
            message=f"Graph '{graph.name}' updated successfully",
            validation_warnings=problems_out(await _warnings(call, graph)),
        ),
        headers={"ETag": f'"{version}"'},
    )


async def _expected_version(call: Call[Any], graph_id: str) -> int | None:
    """The version that If-Match asks for; None where any will do."""
    given = ", ".join(call.request.headers.getall(hdrs.IF_MATCH, [])).strip(" \t")
    if given in {"", "*"}:
        return None
    if not _IF_MATCH.fullmatch(given):
        raise refusal(
            [Problem(Severity.ERROR, "bad-etag", "this is no list of ETags in quotes", field="If-Match")]
        )
    version = (await call.server.database.run(call.server.services.graphs.get_summary, graph_id)).version
    if f'"{version}"' not in re.findall(r'(?:W/)?"[^"]*"', given):
        raise _not_the_newest(graph_id, version)
    return version


def _not_the_newest(graph_id: str, version: int) -> HttpError:
    return HttpError(
        412,
        f'graph "{graph_id}" is at version {version}: somebody else changed it',
        details={"graph_id": graph_id, "version": version},
        headers={"ETag": f'"{version}"'},
    )


@table.plain(
    "DELETE",
    "/graph/{graph_id}",
    "Delete a graph",
    query=NoQuery,
    answers={204: None},
    errors=(404,),
)
async def delete_graph(call: Call[NoQuery]) -> Answer:
    """Takes it out of the list. Its runs stay in the history, and its versions can be read."""
    await call.server.database.run(call.server.services.graphs.delete_graph, call.path("graph_id"))
    return Answer(status=204)
