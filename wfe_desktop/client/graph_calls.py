"""Graphs: create, validate, read, change, compare, delete."""

from __future__ import annotations

from typing import Any, Literal

from wfe_desktop.client.results import (
    GraphCreated,
    GraphDiff,
    GraphLayout,
    GraphLine,
    GraphUpdated,
    GraphValidated,
    GraphVersions,
)
from wfe_desktop.client.transport import Graph, Transport, given, graph_json


class GraphCalls(Transport):
    """What can be asked about graphs."""

    async def create_graph(self, graph: Graph) -> str:
        """Store a new graph; its id.

        Raises:
            ValidationError: the graph has errors; ``problems`` are all of them.
        """
        created = await self._call("POST", "/graph/create", GraphCreated, body=graph_json(graph))
        return created.graph_id

    async def validate_graph(self, graph: Graph) -> GraphValidated:
        """What is wrong with a graph, which is not stored."""
        return await self._call("POST", "/graph/validate", GraphValidated, body=graph_json(graph))

    async def list_graphs(self, limit: int | None = None, offset: int | None = None) -> list[GraphLine]:
        """The stored graphs, the latest changed first; by itself the first 1,000."""
        query = given(limit=limit, offset=offset)
        return await self._call("GET", "/graphs", list[GraphLine], query=query)

    async def get_graph(self, graph_id: str, version: int | None = None) -> dict[str, Any]:
        """A graph's definition as JSON: its newest version, or the one asked for.

        Raises:
            GraphNotFound: there is no such graph, or version of it.
        """
        return await self._call(
            "GET",
            "/graph/{graph_id}",
            dict[str, Any],
            names={"graph_id": graph_id},
            query=given(version=version),
        )

    async def update_graph(
        self, graph_id: str, graph: Graph, expected_version: int | None = None
    ) -> GraphUpdated:
        """Store a new version of a graph. Runs keep the version they started with.

        Raises:
            GraphNotFound: there is no such graph.
            PreconditionFailed: another version than ``expected_version`` is the newest: somebody else changed it.
            ValidationError: the graph has errors.
        """
        headers = {} if expected_version is None else {"If-Match": f'"{expected_version}"'}
        return await self._call(
            "PUT",
            "/graph/{graph_id}",
            GraphUpdated,
            names={"graph_id": graph_id},
            body=graph_json(graph),
            headers=headers,
        )

    async def delete_graph(self, graph_id: str) -> None:
        """Take a graph out of the list. Its runs stay in the history."""
        await self._call("DELETE", "/graph/{graph_id}", type(None), names={"graph_id": graph_id})

    async def list_versions(
        self, graph_id: str, limit: int | None = None, offset: int | None = None
    ) -> GraphVersions:
        """The versions of a graph, the newest first."""
        return await self._call(
            "GET",
            "/graph/{graph_id}/versions",
            GraphVersions,
            names={"graph_id": graph_id},
            query=given(limit=limit, offset=offset),
        )

    async def compare_versions(
        self, graph_id: str, from_version: int | None = None, to_version: int | None = None
    ) -> GraphDiff:
        """What was added, removed and changed; by itself, between the newest version and the one before it."""
        return await self._call(
            "GET",
            "/graph/{graph_id}/diff",
            GraphDiff,
            names={"graph_id": graph_id},
            query=given(from_version=from_version, to_version=to_version),
        )

    async def get_layout(
        self, graph_id: str, version: int | None = None, direction: Literal["right", "down"] | None = None
    ) -> GraphLayout:
        """Where the nodes of a graph stand: to the right as in the window, or laid out downwards.

        Raises:
            GraphNotFound: there is no such graph, or version of it.
        """
        return await self._call(
            "GET",
            "/graph/{graph_id}/layout",
            GraphLayout,
            names={"graph_id": graph_id},
            query=given(version=version, direction=direction),
        )
