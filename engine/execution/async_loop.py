"""The one thread on which all ``async def`` tools run, so that ten thousand waiting steps need no threads."""

from __future__ import annotations

import asyncio
import threading

from engine.execution.attempts import Attempt, Outcome, execute_async, fail
from engine.execution.qt_pool import Report
from engine.tools.context import StepWasCancelled


class AsyncLoop:
    """Runs attempts of coroutine tools. The thread starts with the first one."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def submit(self, attempt: Attempt) -> None:
        """Run the attempt; its outcome is reported from the loop's thread. Called by one thread only."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._run, args=(self._loop,), name="async-tools", daemon=True
            )
            self._thread.start()
        self._loop.call_soon_threadsafe(self._begin, attempt)

    def cancel(self, attempt: Attempt) -> None:
        """Cancel the attempt's task, if it is still there."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel, id(attempt))

    def close(self, timeout_s: float) -> bool:
        """Cancel what is left and end the thread; whether it ended in time."""
        if self._loop is None or self._thread is None:
            return True
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    def _begin(self, attempt: Attempt) -> None:
        assert self._loop is not None
        self._tasks[id(attempt)] = self._loop.create_task(self._execute(attempt))

    async def _execute(self, attempt: Attempt) -> None:
        outcome: Outcome
        try:
            outcome = await execute_async(attempt)
        except asyncio.CancelledError:
            outcome = fail(attempt, StepWasCancelled(f'The step "{attempt.started.node}" was cancelled.'))
        finally:
            self._tasks.pop(id(attempt), None)
        self._report(attempt.run_id, outcome)

    def _cancel(self, key: int) -> None:
        if (task := self._tasks.get(key)) is not None:
            task.cancel()

    def _stop(self) -> None:
        async def end() -> None:
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert self._loop is not None
            self._loop.stop()

        assert self._loop is not None
        self._stopping = self._loop.create_task(end())
