"""Graphs over HTTP: create, validate, read, change, delete."""

from __future__ import annotations

from typing import Any

from engine.flow.validation import parse_graph, validate_graph
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem
from wfe_desktop.server.failures import refusal
from wfe_desktop.server.payloads import (
    GraphCreated,
    GraphLine,
    GraphQuery,
    GraphUpdated,
    GraphValidated,
    problems_out,
)
from wfe_desktop.server.routing import Answer, Call, NoQuery, RouteTable

table = RouteTable()


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
    tools = call.server.services.registry.list_tools()
    problems = await call.server.database.run(validate_graph, graph, tools)
    return [problem for problem in problems if not problem.is_error]


@table.with_json(
    "POST",
    "/graph/create",
    "Store a new graph",
    make=read_graph,
    body=GraphDefinition,
    answers={201: GraphCreated},
)
async def create_graph(call: Call[NoQuery], graph: GraphDefinition) -> Answer:
    graph_id = await call.server.database.run(call.server.services.graphs.create_graph, graph)
    return Answer(
        GraphCreated(
            graph_id=graph_id,
            message=f"Graph '{graph.name}' created successfully",
            validation_warnings=problems_out(await _warnings(call, graph)),
        ),
        status=201,
        headers={"ETag": '"1"'},
    )


@table.with_json(
    "POST",
    "/graph/validate",
    "Check a graph without storing it",
    make=unwrap,
    body=GraphDefinition,
    answers={200: GraphValidated},
)
async def check_graph(call: Call[NoQuery], data: Any) -> Answer:
    problems = await call.server.database.run(_all_problems, data, call.server.services.registry.list_tools())
    errors = [problem for problem in problems if problem.is_error]
    return Answer(
        GraphValidated(
            is_valid=not errors,
            errors=problems_out(errors),
            warnings=problems_out(problem for problem in problems if not problem.is_error),
        )
    )


def _all_problems(data: Any, tools: dict[str, Any]) -> list[Problem]:
    graph, problems = parse_graph(data)
    return problems if graph is None else validate_graph(graph, tools)


@table.plain("GET", "/graphs", "List the stored graphs", query=NoQuery, answers={200: list[GraphLine]})
async def list_graphs(call: Call[NoQuery]) -> Answer:
    graphs = await call.server.database.run(call.server.services.graphs.list_graphs)
    return Answer([GraphLine.of(graph) for graph in graphs])


@table.plain(
    "GET",
    "/graph/{graph_id}",
    "Read a graph; the header ETag has its version",
    query=GraphQuery,
    answers={200: GraphDefinition},
    errors=(404,),
)
async def read_stored_graph(call: Call[GraphQuery]) -> Answer:
    graphs, graph_id, version = call.server.services.graphs, call.path("graph_id"), call.query.version
    if version is None:
        version = (await call.server.database.run(graphs.get_summary, graph_id)).version
    graph = await call.server.database.run(graphs.get_graph, graph_id, version)
    return Answer(graph, headers={"ETag": f'"{version}"'})


@table.with_json(
    "PUT",
    "/graph/{graph_id}",
    "Store a new version of a graph",
    make=read_graph,
    body=GraphDefinition,
    answers={200: GraphUpdated},
    errors=(404,),
)
async def update_graph(call: Call[NoQuery], graph: GraphDefinition) -> Answer:
    graph_id = call.path("graph_id")
    version = await call.server.database.run(call.server.services.graphs.update_graph, graph_id, graph)
    return Answer(
        GraphUpdated(
            graph_id=graph_id,
            version=version,
            message=f"Graph '{graph.name}' updated successfully",
            validation_warnings=problems_out(await _warnings(call, graph)),
        ),
        headers={"ETag": f'"{version}"'},
    )


@table.plain(
    "DELETE",
    "/graph/{graph_id}",
    "Delete a graph; its runs stay in the history",
    query=NoQuery,
    answers={204: None},
    errors=(404,),
)
async def delete_graph(call: Call[NoQuery]) -> Answer:
    await call.server.database.run(call.server.services.graphs.delete_graph, call.path("graph_id"))
    return Answer(status=204)
