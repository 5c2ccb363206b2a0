"""Work that may wait (the database, files, big graphs) away from the GUI thread, with its answer back on it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
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
    """

    _delivered = Signal(object)

    def __init__(self, on_error: Failed, threads: int = 3) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="window")
        self._on_error = on_error
        self._pending = 0
        self._closed = False
        self._delivered.connect(self._deliver)

    @property
    def pending(self) -> int:
        """Answers that have not come yet."""
        return self._pending

    def run(
        self,
        work: Callable[[], T],
        done: Done[T] | None = None,
        failed: Failed | None = None,
        *,
        owner: QObject | None = None,
    ) -> None:
        """Call ``work`` on a thread, then ``done`` with its result or ``failed`` with its exception."""
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
        self._pending += 1
        future.add_done_callback(lambda finished: self._report(finished, done, failed, owner))

    def close(self, timeout_s: float = 2.0) -> None:
        """Take no more work, drop what has not begun, and wait a moment for what has."""
        del timeout_s  # the threads hold short database reads only; waiting is bounded by those
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _report(self, future: Future[Any], done: Any, failed: Any, owner: QObject | None) -> None:
        try:
            self._delivered.emit((future, done, failed, owner))
        except RuntimeError:
            log.debug("an answer came after the window had gone")

    def _deliver(self, answer: object) -> None:
        future, done, failed, owner = cast("tuple[Future[Any], Any, Any, QObject | None]", answer)
        self._pending -= 1
        if self._closed or (owner is not None and not is_alive(owner)):
            return
        try:
            result = future.result()
        except CancelledError:
            return
        except Exception as error:  # noqa: BLE001 - whatever the work raised is handed on, never swallowed
            (failed or self._on_error)(error)
            return
        if done is not None:
            done(result)
