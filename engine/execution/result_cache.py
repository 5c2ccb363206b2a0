"""Looking for results that can be used again, before a step with ``cache`` is run (docs/runs.md, "Kept results").

It is done on a thread of its own: neither the turn nor a worker waits for the database. What is found completes the step;
else the step is run as any other, and its result is kept in the commit that records it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import orjson

from engine.errors import DatabaseError
from engine.execution.attempts.attempt import Attempt, now_us
from engine.model.events import RunEvent, StepCompleted
from engine.storage.database import Database, is_storage_error
from engine.storage.kept_results import KeptResult, KeptResults, NewResult

log = logging.getLogger(__name__)


class ResultCache:
    """For who has the turn. The thread starts with the first ``look_up``; ``keep`` hands results to the next commit."""

    def __init__(
        self,
        database: Database,
        post: Callable[[str, RunEvent], None],
        call: Callable[[Callable[[], None]], object],
        keep: Callable[[NewResult], None],
    ) -> None:
        self._kept = KeptResults(database)
        self._post = post
        self._call = call
        self._keep = keep
        self._thread: ThreadPoolExecutor | None = None

    def look_up(self, attempt: Attempt, run: Callable[[], None]) -> None:
        """Complete the step with a result that was kept, or have ``run`` called with the turn."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine-cache")

        def look() -> None:
            kept = self._find(attempt)
            if kept is None:
                self._call(run)
                return
            attempt.over()
            if attempt.claim():
                self._post(attempt.run_id, _complete(attempt, kept))

        try:
            self._thread.submit(look)
        except RuntimeError:  # the program closes: the step is tried again at the next start
            log.debug("a step was to start while the engine was being closed")

    def keep(self, attempt: Attempt, completed: StepCompleted) -> None:
        """Have the result kept that a looked-up attempt has come to; the end of its run is none."""
        if completed.cached_from is None and completed.end_status is None:
            key, tool = attempt.cache_key, attempt.tool.name
            self._keep(NewResult(key, tool, completed.result, attempt.run_id, completed.at))

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)

    def _find(self, attempt: Attempt) -> KeptResult | None:
        assert attempt.cache is not None
        ttl_s = attempt.cache.ttl_s
        try:
            attempt.cache_key = make_key(attempt)
            not_before = None if ttl_s is None else now_us() - int(ttl_s * 1_000_000)
            return self._kept.find(attempt.cache_key, not_before)
        except Exception as error:
            attempt.cache = None  # the step is run, and nothing is kept
            attempt.cache_key = ""
            if not isinstance(error, DatabaseError) and not is_storage_error(error):
                log.exception("internal error in looking for a kept result; the step is run")
            return None


def make_key(attempt: Attempt) -> str:
    """A hash of the tool, its version and the arguments as the step found them, secrets by their names; nothing is copied."""
    tool = attempt.tool
    workspace = str(attempt.context.workspace) if tool.takes_context else ""
    about = [1, tool.name, tool.version, workspace, attempt.values, attempt.secrets]
    return hashlib.sha256(orjson.dumps(about, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _complete(attempt: Attempt, kept: KeptResult) -> StepCompleted:
    started = attempt.started
    return StepCompleted(
        at=now_us(),
        node=started.node,
        visit=started.visit,
        attempt=started.attempt,
        result=kept.result,
        changes={} if attempt.save_as is None else {attempt.save_as: kept.result},
        item=started.item,
        cached_from=kept.run_id,
    )
