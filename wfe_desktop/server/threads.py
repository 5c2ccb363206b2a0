"""Threads of the server's own, for what may wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from engine.errors import ServiceUnavailable

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
