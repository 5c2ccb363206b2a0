"""The thread that reads the database for callers who may not wait; what it is asked, it does one after another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from engine.errors import ServiceUnavailable

T = TypeVar("T")


class Loader:
    """Any thread may call any method."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine-loader")

    def run(self, call: Callable[[], Future[Any]]) -> Future[Any]:
        """Have this called on the thread; its future's outcome is the answer."""
        answer: Future[Any] = Future()

        def load() -> None:
            try:
                chain(call(), answer)
            except BaseException as error:  # noqa: BLE001 - it is the asker's
                if not answer.done():
                    answer.set_exception(error)

        def dropped(submitted: Future[None]) -> None:
            if submitted.cancelled():  # the engine was closed before its turn came
                answer.set_exception(ServiceUnavailable("the engine is closed"))

        try:
            self._thread.submit(load).add_done_callback(dropped)
        except RuntimeError:
            answer.set_exception(ServiceUnavailable("the engine is closed"))
        return answer

    def refuse(self) -> None:
        """Take nothing more in; what waits for its turn fails with ``ServiceUnavailable``."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Wait for what is under way."""
        self._thread.shutdown(wait=True)


def done(value: T) -> Future[T]:
    """A future of what is known already."""
    future: Future[T] = Future()
    future.set_result(value)
    return future


def chain(source: Future[Any], target: Future[Any]) -> None:
    """Give the outcome of one future to another, if that has none by then."""

    def copy(ended: Future[Any]) -> None:
        if target.done():
            return
        if (error := ended.exception()) is not None:
            target.set_exception(error)
        else:
            target.set_result(ended.result())

    source.add_done_callback(copy)
