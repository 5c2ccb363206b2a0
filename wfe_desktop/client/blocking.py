"""``Client``: the same without ``await``, for scripts, notebooks and threads."""

from __future__ import annotations

import asyncio
import functools
import threading
import weakref
from collections.abc import Callable, Collection, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

from wfe_desktop.client.asynchronous import AsyncClient
from wfe_desktop.client.errors import WorkflowError
from wfe_desktop.client.results import Event
from wfe_desktop.client.transport import DEFAULT_ADDRESS

P = ParamSpec("P")
T = TypeVar("T")

CLOSE_TIMEOUT_S: Final = 5.0


class _LoopThread:
    """A thread with an event loop on which an ``AsyncClient`` lives. It begins with the first call."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._closed = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``. An exception in the caller's thread, such as Ctrl-C, stops it."""
        future = asyncio.run_coroutine_threadsafe(work, self._started(work))
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Any thread, also that of the loop, where the garbage collector may call it."""
        with self._starting:
            self._closed = True
            thread, loop = self._thread, self._loop
        if thread is not None and loop is not None and thread.is_alive():
            loop.call_soon_threadsafe(self._stop.set)
            if thread is not threading.current_thread():
                thread.join(CLOSE_TIMEOUT_S)

    def _started(self, work: Coroutine[Any, Any, T]) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._closed:
                work.close()
                raise WorkflowError("the client is closed")
            if self._loop is None:
                ready = threading.Event()
                # A daemon, so that a script which ends without closing its client does end.
                self._thread = threading.Thread(
                    target=self._live, args=(ready,), name="wfe-client", daemon=True
                )
                self._thread.start()
                ready.wait()
            assert self._loop is not None
            return self._loop

    def _live(self, ready: threading.Event) -> None:
        async def live() -> None:
            self._loop = asyncio.get_running_loop()
            ready.set()
            await self._stop.wait()
            await self._client.close()

        asyncio.run(live())


def _blocking(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Client, P], T]:
    """The method of ``AsyncClient`` as one of ``Client``."""

    @functools.wraps(method)
    def call(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._thread.run(method(self._client, *args, **kwargs))

    return call


class Client:
    """A client for any thread. ``with Client() as client: ...``, or ``close`` it.

    Its methods are those of ``AsyncClient``. The requests themselves are made on a thread of its own.
    """

    def __init__(
        self, address: str = DEFAULT_ADDRESS, *, token: str | None = None, timeout_s: float = 30.0
    ) -> None:
        """``token``: left out, that of ``WFE_API_TOKEN``, or of the user's own servers where one is needed. ``timeout_s``: for each request, its answer included."""
        self._client = AsyncClient(address, token=token, timeout_s=timeout_s)
        self._thread = _LoopThread(self._client)
        self._at_exit = weakref.finalize(self, self._thread.close)

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._client.address

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the session and its thread; a second time does nothing."""
        self._at_exit()

    # Graphs
    create_graph = _blocking(AsyncClient.create_graph)
    validate_graph = _blocking(AsyncClient.validate_graph)
    list_graphs = _blocking(AsyncClient.list_graphs)
    get_graph = _blocking(AsyncClient.get_graph)
    update_graph = _blocking(AsyncClient.update_graph)
    delete_graph = _blocking(AsyncClient.delete_graph)
    list_versions = _blocking(AsyncClient.list_versions)
    compare_versions = _blocking(AsyncClient.compare_versions)
    get_layout = _blocking(AsyncClient.get_layout)

    # Runs
    execute_workflow = _blocking(AsyncClient.execute_workflow)
    execute_graph = _blocking(AsyncClient.execute_graph)
    run_and_wait = _blocking(AsyncClient.run_and_wait)
    wait = _blocking(AsyncClient.wait)
    get_execution_status = _blocking(AsyncClient.get_execution_status)
    get_execution_logs = _blocking(AsyncClient.get_execution_logs)
    get_execution_steps = _blocking(AsyncClient.get_execution_steps)
    cancel_execution = _blocking(AsyncClient.cancel_execution)
    cancel_executions = _blocking(AsyncClient.cancel_executions)
    delete_run = _blocking(AsyncClient.delete_run)
    delete_runs = _blocking(AsyncClient.delete_runs)
    prune_runs = _blocking(AsyncClient.prune_runs)
    pause = _blocking(AsyncClient.pause)
    resume = _blocking(AsyncClient.resume)
    step = _blocking(AsyncClient.step)
    retry = _blocking(AsyncClient.retry)
    fork = _blocking(AsyncClient.fork)
    look_at_fork = _blocking(AsyncClient.look_at_fork)
    set_breakpoints = _blocking(AsyncClient.set_breakpoints)
    signal = _blocking(AsyncClient.signal)
    decide_step = _blocking(AsyncClient.decide_step)

    # History
    query_historical_executions = _blocking(AsyncClient.query_historical_executions)
    get_execution_statistics = _blocking(AsyncClient.get_execution_statistics)
    read_events = _blocking(AsyncClient.read_events)

    # The server
    list_tools = _blocking(AsyncClient.list_tools)
    get_tool = _blocking(AsyncClient.get_tool)
    health = _blocking(AsyncClient.health)
    system_health = _blocking(AsyncClient.system_health)
    system_metrics = _blocking(AsyncClient.system_metrics)
    prometheus_metrics = _blocking(AsyncClient.prometheus_metrics)
    clear_cache = _blocking(AsyncClient.clear_cache)
    list_connections = _blocking(AsyncClient.list_connections)
    about = _blocking(AsyncClient.about)
    openapi_document = _blocking(AsyncClient.openapi_document)

    def events(
        self,
        run_id: str | None = None,
        since: int | None = None,
        reconnect_s: float = 60.0,
        *,
        graph_id: str | None = None,
        types: Collection[str] | None = None,
        snapshot: bool = False,
        progress: bool = False,
    ) -> Iterator[Event]:
        """Events as they happen, in order, without gap or repeat, whatever happens to the connection.

        Of one run, up to its end, and by itself from its beginning; or of all runs, or those of one graph, without end, and by
        itself from now on. ``since``: from after this ``seq``. ``types``: of these types only. ``snapshot``: in place of what
        was before, first one event of the type ``snapshot``, whose ``data`` is how the run stands, or else the ``runs`` that
        have not ended. ``progress``: among them events of the type ``step_progress``, which say in ``data`` how far running steps
        are; they are not stored, may be left out, and have the ``seq`` of the event before. A broken connection, or a server
        that was restarted, is connected to again for ``reconnect_s`` seconds.

        Raises:
            RunNotFound, GraphNotFound: there is none of this id.
            ValidationError: both a run and a graph are named, or ``since`` beside ``snapshot``.
            ConnectionFailed: the server could not be reached (again).
        """
        batches = self._client.event_batches(
            run_id,
            since,
            reconnect_s,
            graph_id=graph_id,
            types=types,
            snapshot=snapshot,
            progress=progress,
        )

        async def following() -> list[Event]:
            return await anext(batches, [])

        try:
            while batch := self._thread.run(following()):
                yield from batch
        finally:
            if self._at_exit.alive:
                self._thread.run(batches.aclose())
