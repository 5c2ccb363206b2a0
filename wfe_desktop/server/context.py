"""What the handlers of one server share."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from importlib import metadata
from typing import Final, Protocol

from engine.execution.services import Services
from wfe_desktop.server.hub import Hub
from wfe_desktop.server.measures import Measures
from wfe_desktop.server.subscriber import Subscriber
from wfe_desktop.server.threads import DatabaseThreads

SERVICE_NAME: Final = "agent-workflow-engine"


@dataclass(slots=True)
class Counters:
    """What the server counts. For the loop's thread."""

    in_progress: int = 0
    by_status: Counter[int] = field(default_factory=Counter)


class Connection(Protocol):
    """An open WebSocket."""

    @property
    def id(self) -> str: ...

    @property
    def connected_at(self) -> datetime: ...

    @property
    def client(self) -> Subscriber:
        """What is sent to the client."""

    async def close(self, code: int, reason: str) -> None:
        """Ends it."""


@dataclass(slots=True)
class ServerContext:
    """One server's parts, for its handlers."""

    services: Services
    database: DatabaseThreads
    hub: Hub
    closing: asyncio.Event
    needs_token: bool = False
    counters: Counters = field(default_factory=Counters)
    measures: Measures = field(default_factory=Measures)
    connections: set[Connection] = field(default_factory=set)
    started: float = field(default_factory=time.monotonic)

    @property
    def uptime_s(self) -> float:
        return round(time.monotonic() - self.started, 3)


@functools.cache
def program_version() -> str:
    """The version of the installed package; 0 in a checkout that was never installed."""
    try:
        return metadata.version(SERVICE_NAME)
    except metadata.PackageNotFoundError:
        return "0"
