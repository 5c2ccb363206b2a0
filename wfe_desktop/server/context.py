"""What the handlers of one server share."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from engine.errors import ServiceUnavailable

if TYPE_CHECKING:
    from engine.execution.services import Services
    from wfe_desktop.server.hub import Hub
    from wfe_desktop.server.routing import Route
    from wfe_desktop.server.websocket import Connection

SERVICE_NAME: Final = "agent-workflow-engine"
READ_THREADS: Final = 4

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseThreads:
    """A few threads for calls that may wait for the database; the event loop never does."""

    def __init__(self, threads: int = READ_THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="server-database")

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """``function(*args, **kwargs)`` on one of the threads.

        A caller that is cancelled stops waiting; a call that had begun is still carried out.
        """
        try:
            future = self._pool.submit(function, *args, **kwargs)
        except RuntimeError:
            raise ServiceUnavailable("the server is closing") from None
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Drops what has not begun, and waits for the rest."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        await in_new_thread(self._pool.shutdown)


async def in_new_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """``function(*args, **kwargs)`` on a thread of its own, for the few calls at start and end that may wait."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            result = function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=work, name=f"server-{function.__name__}", daemon=True).start()
    return await asyncio.shield(asyncio.wrap_future(future))


@dataclass(slots=True)
class Counters:
    """What the server counts. For the loop's thread."""

    in_progress: int = 0
    by_status: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class ServerContext:
    """One server's parts, for its handlers."""

    services: Services
    database: DatabaseThreads
    hub: Hub
    closing: asyncio.Event
    routes: tuple[Route, ...] = ()
    needs_token: bool = False
    counters: Counters = field(default_factory=Counters)
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
