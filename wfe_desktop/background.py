"""Work that may wait (the database, files, big graphs) away from the GUI thread, with its answer back on it."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast

import shiboken6
from PySide6.QtCore import QObject, Signal

T = TypeVar("T")
Done = Callable[[T], object]
Failed = Callable[[BaseException], object]

log = logging.getLogger(__name__)


def is_alive(item: QObject) -> bool:
    """Whether Qt still has the object behind a Python name."""
    return bool(shiboken6.isValid(item))  # type: ignore[no-untyped-call]


class Background(QObject):
    """A few threads of our own. Create and call it on the GUI thread; callbacks come on the GUI thread.

    A callback is dropped when its ``owner`` was destroyed meanwhile, or when this object was closed.
    ``on_error`` is called for failures that nobody handles.

    Callbacks and owners stay on the GUI thread; other threads only carry a number to them. What a thread holds last
    dies on that thread, and a widget must not.
    """

    _delivered = Signal(int, object)

    def __init__(self, on_error: Failed, threads: int = 3) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="window")
        self._on_error = on_error
        self._asked: dict[int, tuple[Any, Any, QObject | None]] = {}
        self._numbers = itertools.count()
        self._closed = False
        self._delivered.connect(self._deliver)

    @property
    def pending(self) -> int:
        """Answers that have not come yet."""
        return len(self._asked)

    def run(
        self,
        work: Callable[[], T],
        done: Done[T] | None = None,
        failed: Failed | None = None,
        *,
        owner: QObject | None = None,
    ) -> None:
        """Call ``work`` on a thread, then ``done`` with its result or ``failed`` with its exception.

        ``work`` must not hold widgets.
        """
        if not self._closed:
            self.follow(self._pool.submit(work), done, failed, owner=owner)

    def follow(
        self,
        future: Future[T],
        done: Done[T] | None = None,
        failed: Failed | None = None,
        *,
        owner: QObject | None = None,
    ) -> None:
        """Call ``done`` or ``failed`` once the engine's ``future`` has its outcome."""
        if self._closed:
            return
        number = next(self._numbers)
        self._asked[number] = (done, failed, owner)
        future.add_done_callback(partial(self._report, number))

    def close(self) -> None:
        """Take no more work, and forget who waits for an answer."""
        self._closed = True
        self._asked.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def end(self) -> None:
        """Close, and wait until the threads have ended."""
        self.close()
        await asyncio.to_thread(self._pool.shutdown)

    def _report(self, number: int, future: Future[Any]) -> None:
        try:
            self._delivered.emit(number, future)
        except RuntimeError:
            log.debug("an answer came after the window had gone")

    def _deliver(self, number: int, outcome: object) -> None:
        asked = self._asked.pop(number, None)
        if asked is None:  # closed meanwhile
            return
        done, failed, owner = asked
        if owner is not None and not is_alive(owner):
            return
        try:
            result = cast("Future[Any]", outcome).result()
        except CancelledError:
            return
        except Exception as error:  # noqa: BLE001 - whatever the work raised is handed on, never swallowed
            (failed or self._on_error)(error)
            return
        if done is not None:
            done(result)
