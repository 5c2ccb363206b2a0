"""The server about itself: its tools, its health, what it uses."""

from __future__ import annotations

from typing import Any

from wfe_desktop.client.results import (
    About,
    CacheCleared,
    ConnectionLine,
    Connections,
    Health,
    Metrics,
    SystemHealth,
    Tool,
)
from wfe_desktop.client.transport import Transport, given


class ServerCalls(Transport):
    """What can be asked about the server."""

    async def list_tools(self, limit: int | None = None, offset: int | None = None) -> dict[str, Tool]:
        """The registered tools by name; by itself the first 1,000."""
        found = await self._call("GET", "/tools", list[Tool], query=given(limit=limit, offset=offset))
        return {tool.name: tool for tool in found}

    async def get_tool(self, name: str) -> Tool:
        """A tool, with the JSON Schemas of its parameters and outputs.

        Raises:
            ToolNotFound: there is none of this name; the message has the closest ones.
        """
        return await self._call("GET", "/tools/{name}", Tool, names={"name": name})

    async def health(self) -> Health:
        """Whether the engine takes work. Cheap."""
        return await self._call("GET", "/health", Health)

    async def system_health(self) -> SystemHealth:
        """The same, with a reading from the database, and the tool files that could not be loaded."""
        return await self._call("GET", "/system/health", SystemHealth)

    async def system_metrics(self) -> Metrics:
        """Memory and processor time of the program, what the engine does, and what the server was asked."""
        return await self._call("GET", "/system/metrics", Metrics)

    async def prometheus_metrics(self) -> str:
        """The same in the text format of Prometheus.

        Raises:
            WorkflowError: the server was installed without its extra ``metrics``.
        """
        return await self._call("GET", "/metrics", str)

    async def clear_cache(self, tool: str | None = None) -> int:
        """Forget the results that are kept for use again, all or those of one tool; how many there were."""
        return (await self._call("DELETE", "/cache", CacheCleared, query=given(tool=tool))).deleted

    async def list_connections(self) -> list[ConnectionLine]:
        """The server's WebSocket clients, the longest connected first."""
        return (await self._call("GET", "/ws/connections", Connections)).connections

    async def about(self) -> About:
        """What runs at the address, and its version."""
        return await self._call("GET", "/", About)

    async def openapi_document(self) -> dict[str, Any]:
        """The OpenAPI document of the server."""
        return await self._call("GET", "/openapi.json", dict[str, Any])
