"""The one thread on which all ``async def`` tools run, so that ten thousand waiting steps need no threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from engine.execution.attempts.attempt import Attempt, Outcome, execute_async, fail_cancelled, fail_timed_out
from engine.execution.attempts.deadlines import Deadline, Deadlines

Report = Callable[[str, Outcome], None]

_PATIENCE_S = 0.5
"""A task that does not end so soon after it was cancelled is given up."""


class AsyncLoop:
    """Runs attempts of coroutine tools. The thread starts with the first one."""

    def __init__(self, deadlines: Deadlines, report: Report) -> None:
        self._deadlines = deadlines
        self._report = report
        self._late: set[int] = set()  # attempts whose time is over
        self._lost: set[int] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}

    @property
    def lost(self) -> int:
        """How many tasks still run whose attempt was given up."""
        return len(self._lost)

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
            with suppress(RuntimeError):  # the loop was closed, and all its tasks with it
                self._loop.call_soon_threadsafe(self._cancel, id(attempt))

    def give_up(self, attempt: Attempt) -> bool:
        """Expect nothing of the attempt any more; whether its end was still open. Any thread."""
        if not attempt.claim():
            return False
        self._lost.add(id(attempt))
        attempt.cancel()
        self.cancel(attempt)
        attempt.log.close()
        return True

    def close(self, timeout_s: float) -> bool:
        """Cancel what is left and end the thread; whether it ended in time."""
        if self._loop is None or self._thread is None or not self._thread.is_alive():
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
        key = id(attempt)
        task = self._tasks[key] = self._loop.create_task(self._execute(attempt))

        def look(ended: asyncio.Task[None]) -> None:
            if ended.cancelled():  # before it began, or it would have said so itself
                self._tasks.pop(key, None)
                self._report_end(attempt, fail_cancelled(attempt))

        task.add_done_callback(look)

    async def _execute(self, attempt: Attempt) -> None:
        key = id(attempt)
        deadlines: list[Deadline] = []
        if attempt.timeout_s is not None:
            deadlines = self._set_deadlines(attempt, attempt.timeout_s)
        outcome: Outcome
        try:
            outcome = await execute_async(attempt)
            if key in self._late:
                outcome = fail_timed_out(attempt)
        except asyncio.CancelledError:
            outcome = fail_timed_out(attempt) if key in self._late else fail_cancelled(attempt)
        finally:
            self._tasks.pop(key, None)
            self._late.discard(key)
            for deadline in deadlines:
                deadline.cancel()
        self._report_end(attempt, outcome)

    def _report_end(self, attempt: Attempt, outcome: Outcome) -> None:
        attempt.over()
        if attempt.claim():
            self._report(attempt.run_id, outcome)
        else:
            self._lost.discard(id(attempt))

    def _set_deadlines(self, attempt: Attempt, timeout_s: float) -> list[Deadline]:
        """Cancel the task when its time is over; give it up where it goes on, or holds the whole loop."""

        def stop() -> None:
            self._late.add(id(attempt))
            attempt.cancel()
            self.cancel(attempt)

        def give_up() -> None:
            if self.give_up(attempt):
                self._report(attempt.run_id, fail_timed_out(attempt))

        return [
            self._deadlines.call_later(timeout_s, stop),
            self._deadlines.call_later(timeout_s + _PATIENCE_S, give_up),
        ]

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
