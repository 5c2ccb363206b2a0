"""Where an attempt runs: on a thread, on the event loop, or in a process; and how it is stopped there.

The rules are those of section "Policies" in docs/runs.md: ``isolation`` says where; ``auto`` is a thread, a process for
what has a ``timeout_s`` and for tools that were seen to burn CPU, where a process can find them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.execution.attempts import output
from engine.execution.attempts.async_loop import AsyncLoop
from engine.execution.attempts.attempt import Attempt, now_us
from engine.execution.attempts.deadlines import Deadline, Deadlines
from engine.execution.attempts.processes import ProcessPool, explain_no_reference
from engine.execution.attempts.progress import limit_progress
from engine.execution.attempts.tool_reference import NoReference, find_reference, is_script
from engine.model.events import ChildWanted, LogWritten, RunEvent, StepProgress, StepStarted
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem, Severity
from engine.model.tool import Catalog, Tool
from engine.tools.context import OnProgress

if TYPE_CHECKING:
    from engine.execution.attempts.qt_pool import Report, ThreadPool

log = logging.getLogger(__name__)

Post = Callable[[str, RunEvent | ChildWanted], None]
Watcher = Callable[[StepProgress], None]

_LOG_PAUSE_S = 0.05
_CPU_SHARE = 0.5
_SURE_NS = 500_000_000
"""So much CPU is a lot also where other busy threads have left the call a small share of it."""


class Executors:
    """All of them, and the choice among them. ``submit``, ``stop`` and ``give_up`` are for one thread only."""

    def __init__(self, workers: int, post: Post, report: Report) -> None:
        """``post`` is for any thread; ``report`` for a worker of the thread pool, which may be given its next attempt."""
        # Qt last: from when it is there, it reads the source of each module that is loaded, and keeps the text.
        from engine.execution.attempts.qt_pool import ThreadPool

        self._post = post
        self._deadlines = Deadlines()
        self._threads = ThreadPool(workers, self._deadlines, post, report, self._observe)
        self._async = AsyncLoop(self._deadlines, post)
        self._processes = ProcessPool(workers, self._deadlines, post)
        self._burners: dict[str, Tool] = {}  # tools that were seen to burn CPU, and can run in a process
        self._told: dict[str, Tool] = {}
        self._watchers: list[Watcher] = []
        output.install()
        self._listening = True

    @property
    def abandoned(self) -> int:
        """How many threads and tasks are still busy with a step that nobody waits for any more."""
        return self._threads.lost + self._async.lost

    def open_log(self, run_id: str, started: StepStarted) -> output.StepLog:
        """Where the output of a step goes: to the run's log, some times a second."""
        sender = _LogSender(run_id, started, self._post, self._deadlines)
        return output.StepLog(sender.add, sender.flush)

    def open_progress(self, run_id: str, started: StepStarted) -> OnProgress:
        """Where a step's progress goes: to those who watch."""

        def tell(done: float, total: float | None, message: str) -> None:
            said = StepProgress(
                run_id, started.node, started.visit, started.attempt, started.item, done, total, message
            )
            for watcher in self._watchers:
                try:
                    watcher(said)
                except Exception:
                    log.exception("a subscriber to progress failed")

        return limit_progress(tell)

    def subscribe_progress(self, watcher: Watcher) -> Callable[[], None]:
        """Be told how far steps are, on their threads. Returns what ends it. Any thread."""
        self._watchers = [*self._watchers, watcher]

        def unsubscribe() -> None:
            self._watchers = [other for other in self._watchers if other is not watcher]

        return unsubscribe

    def submit(self, attempt: Attempt) -> None:
        """Have the attempt run where it should."""
        self._choose(attempt).submit(attempt)

    def is_for_thread(self, attempt: Attempt) -> bool:
        """Whether a worker of the thread pool may run the attempt at once, in place of ``submit``."""
        return self._choose(attempt) is self._threads

    def stop(self, attempt: Attempt) -> None:
        """Stop the attempt: kill its process, cancel its task, or tell its tool, which may take its time."""
        attempt.cancel()
        executor = self._choose(attempt)
        if isinstance(executor, AsyncLoop | ProcessPool):
            executor.cancel(attempt)

    def give_up(self, attempt: Attempt) -> None:
        """Stop the attempt and wait for it no longer."""
        self.stop(attempt)
        executor = self._choose(attempt)
        if not isinstance(executor, ProcessPool):
            executor.give_up(attempt)

    def close(self, timeout_s: float) -> bool:
        """End all threads and processes; whether they ended in time. Steps were told to stop before."""
        ended = self._processes.close(timeout_s)
        ended = self._async.close(timeout_s) and ended
        ended = self._threads.close(timeout_s) and ended
        ended = self._deadlines.close(timeout_s) and ended
        if self._listening:  # it may be closed twice
            self._listening = False
            output.uninstall()
        return ended

    def _choose(self, attempt: Attempt) -> AsyncLoop | ProcessPool | ThreadPool:
        if attempt.place == "":
            attempt.place = self._find_place(attempt)
        match attempt.place:
            case "process":
                return self._processes
            case "async":
                return self._async
            case _:
                return self._threads

    def _find_place(self, attempt: Attempt) -> str:
        tool = attempt.tool
        if attempt.isolation == "process":
            return "process"
        if tool.is_async:
            return "async"
        if attempt.isolation == "auto" and (
            self._burners.get(tool.name) is tool or (attempt.timeout_s is not None and _why_not(tool) is None)
        ):
            return "process"
        return "thread"

    def _observe(self, attempt: Attempt) -> None:
        """Take note of a call that used much CPU. On its thread, after it."""
        tool, cpu_ns, wall_ns = attempt.tool, attempt.cpu_ns, time.perf_counter_ns() - attempt.began_ns
        burns = cpu_ns > _SURE_NS or cpu_ns > _CPU_SHARE * wall_ns
        if not burns or attempt.isolation != "auto" or self._told.get(tool.name) is tool:
            return
        self._told[tool.name] = tool
        seen = f'The tool "{tool.name}" kept the processor busy for {cpu_ns / 1e9:.2g} s, which slows everything else'
        reason = _why_not(tool)
        if reason is None:
            self._burners[tool.name] = tool
            self._say(attempt, "info", f"{seen}; from now on it runs in a process of its own")
        else:
            self._say(attempt, "warning", f"{seen}; it cannot run in a process of its own, since {reason}")

    def _say(self, attempt: Attempt, level: str, text: str) -> None:
        started = attempt.started
        self._post(
            attempt.run_id,
            LogWritten(now_us(), started.node, started.visit, started.attempt, level, text, started.item),
        )


def check_isolation(graph: GraphDefinition, tools: Catalog) -> list[Problem]:
    """What keeps a graph, whose tools are all there, from being run as its nodes say: tools that no process can find."""
    problems = []
    for node in graph.nodes:
        if node.isolation == "process":
            try:
                find_reference(tools[node.function_name])
            except NoReference as reason:
                message = f'"{node.id}": {explain_no_reference(node.function_name, reason)}'
                problems.append(
                    Problem(Severity.ERROR, "no-process", message, node_id=node.id, field="isolation")
                )
    return problems


def _why_not(tool: Tool) -> str | None:
    """Why ``auto`` may not run the tool in a process; None where it may."""
    try:
        if is_script(find_reference(tool)):
            return "it is in the program's main file"  # which may do anything when it is run again
    except NoReference as reason:
        return str(reason)
    return None


class _LogSender:
    """Sends lines of one attempt to its run, those of some hundredths of a second together."""

    __slots__ = ("_deadline", "_deadlines", "_lines", "_lock", "_post", "_run_id", "_started")

    def __init__(self, run_id: str, started: StepStarted, post: Post, deadlines: Deadlines) -> None:
        self._run_id = run_id
        self._started = started
        self._post = post
        self._deadlines = deadlines
        self._lock: threading.Lock | None = None  # made with the first line
        self._lines: list[LogWritten] = []
        self._deadline: Deadline | None = None

    def add(self, at: int, level: str, line: str) -> None:
        started = self._started
        if self._lock is None:  # the step's log gives one line at a time
            self._lock = threading.Lock()
        with self._lock:
            self._lines.append(
                LogWritten(at, started.node, started.visit, started.attempt, level, line, started.item)
            )
            if self._deadline is None:
                self._deadline = self._deadlines.call_later(_LOG_PAUSE_S, self.flush)

    def flush(self) -> None:
        """Send what there is; before the attempt's outcome is reported, for the last time."""
        if self._lock is None:
            return
        with self._lock:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
            for line in self._lines:
                self._post(self._run_id, line)
            self._lines.clear()
