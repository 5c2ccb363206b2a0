"""Runs attempts in processes that can be killed: one that hangs or crashes takes nothing else along.

Each process belongs to a thread of its own, which starts it, talks to it over its own two pipes, and is the one place
where an attempt's end is decided: what the process said, or else why it is gone. Nothing is shared between processes,
so none can leave a lock held or half a message behind for the others (docs/decisions/09-own-process-pool.md).
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from engine.errors import StepCrashed, StepError
from engine.execution.attempts.attempt import Attempt, Outcome, fail, fail_cancelled, fail_timed_out
from engine.execution.attempts.deadlines import Deadlines
from engine.execution.attempts.frames import FrameTooLarge, read_frame, write_frame
from engine.execution.attempts.result_size import frame_limit, too_large
from engine.execution.attempts.tool_process import MARK
from engine.execution.attempts.tool_reference import NoReference, find_reference

log = logging.getLogger(__name__)

Report = Callable[[str, Outcome], None]

_OUTCOMES: dict[str, type[Outcome]] = {kind.__name__: kind for kind in get_args(Outcome)}

_IDLE_S = 30.0
_START_S = 60.0


class ToolProcess:
    """A process that runs tools, one after another. All but ``kill`` is for the thread that made it."""

    def __init__(self) -> None:
        boot = f"import sys; sys.path[:] = {sys.path!r}; from engine.execution.attempts.tool_process import main; main()"
        self._killing = threading.Lock()
        self.killed = False
        self._process = subprocess.Popen(
            [sys.executable, "-c", boot],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a group of its own: its children end with it, Ctrl+C is not for it
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout

    def greet(self) -> bool:
        """Wait until it is ready; whether it is."""
        hello = {"parent": os.getpid(), "log_level": logging.root.getEffectiveLevel()}
        try:
            write_frame(self._requests.fileno(), b"H", hello)
        except OSError:
            return False
        return read_frame(self._replies) is not None

    def run(self, attempt: Attempt, request: dict[str, Any]) -> Outcome | None:
        """How the attempt ended, as the process says; None where it has gone without a word."""
        try:
            write_frame(self._requests.fileno(), b"S", request)
        except OSError:
            return None
        limit = attempt.max_result_bytes
        try:
            while (message := read_frame(self._replies, frame_limit(limit))) is not None:
                kind, content = message
                if kind == b"L":
                    attempt.log.forward(*content)
                elif kind == b"P":
                    attempt.context.progress(*content)
                else:
                    return _read_outcome(*content)
        except FrameTooLarge as error:  # it measures itself: it does not do as we do any more
            self.kill()
            return fail(attempt, too_large(attempt.tool.name, f"{error.size:,}", limit))
        return None

    def is_gone(self) -> bool:
        """Whether it has ended already, where the system tells without a wait."""
        return hasattr(os, "waitid") and _has_exited(self._process.pid, patience_s=0.0)

    def kill(self) -> None:
        """End it and its children at once. Any thread."""
        with self._killing:
            if self.killed or self._process.returncode is not None:
                return
            self.killed = True
            _kill_tree(self._process.pid)

    def end(self) -> int:
        """Make sure that it has ended, with its children, and let go of it: its exit code (below 0: the signal)."""
        if not _has_exited(self._process.pid):  # it has only closed its pipe
            self.kill()
            _has_exited(self._process.pid, patience_s=_START_S)
        with self._killing:
            self.killed = True
            _kill_tree(
                self._process.pid
            )  # it is a zombie by now, so its number and its group are still its own
            self._process.wait()
        for pipe in (self._requests, self._replies):
            with contextlib.suppress(OSError):
                pipe.close()
        return self._process.returncode


def _read_outcome(name: str, content: dict[str, Any]) -> Outcome:
    for field in ("removed", "taken", "skipped"):
        if field in content:
            content[field] = tuple(content[field])
    return _OUTCOMES[name](**content)


class ProcessPool:
    """Runs attempts in at most ``size`` processes. They start as they are needed and end after a while without work."""

    def __init__(self, size: int, deadlines: Deadlines, report: Report) -> None:
        self.size = size
        self._deadlines = deadlines
        self._report = report
        self._queue: queue.SimpleQueue[Attempt | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._free = 0  # threads that wait for work, less the work that waits
        self._workers = 0  # threads that take work
        self._threads: set[threading.Thread] = set()  # these, and those that are ending their process
        self._running: dict[int, ToolProcess] = {}
        self._closed = False

    def submit(self, attempt: Attempt) -> None:
        """Run the attempt when a process is free; its outcome is reported from that process's thread."""
        self._queue.put(attempt)
        with self._lock:
            self._free -= 1
            if self._free >= 0 or self._workers >= self.size:
                return
            self._free += 1
            self._workers += 1
            thread = threading.Thread(target=self._work, name="tool-process", daemon=True)
            self._threads.add(thread)
        thread.start()

    def cancel(self, attempt: Attempt) -> None:
        """Kill the process that runs the attempt, whose ``cancel`` was called before. One that waits will not run."""
        with self._lock:
            process = self._running.get(id(attempt))
            if process is not None:
                process.kill()

    def close(self, timeout_s: float) -> bool:
        """Kill what still runs and end all processes; whether they ended in time. Nothing may be submitted after."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            self._closed = True
            threads = list(self._threads)
            for process in self._running.values():
                process.kill()
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    # On a process's thread --------------------------------------------------------------------------------------

    def _work(self) -> None:
        process: ToolProcess | None = None
        try:
            while (attempt := self._next()) is not None:
                try:
                    process = self._serve(process, attempt)
                except Exception as error:  # noqa: BLE001 - a process cannot be started, say
                    process = None
                    reason = f"the process for the step could not be used: {error}"
                    self._end(attempt, fail(attempt, StepError(reason)))
                del attempt
                with self._lock:
                    self._free += 1
        finally:
            if process is not None:
                process.kill()
                process.end()
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _next(self) -> Attempt | None:
        while True:
            try:
                return self._queue.get(timeout=_IDLE_S)
            except queue.Empty:
                with self._lock:
                    if self._free > 0:
                        self._free -= 1
                        self._workers -= 1
                        return None

    def _serve(self, process: ToolProcess | None, attempt: Attempt) -> ToolProcess | None:
        """Run the attempt and report how it ended; the process, if it can be used again."""
        if attempt.context.cancelled:
            self._end(attempt, fail_cancelled(attempt))
            return process
        try:
            request = _make_request(attempt)
        except StepError as error:
            self._end(attempt, fail(attempt, error))
            return process
        if process is not None and process.is_gone():
            process.end()  # it died after its last step: this one has nothing to do with it
            process = None
        if process is None:
            process = self._start(attempt)
            if process is None:
                return None
        with self._lock:
            self._running[id(attempt)] = process
            refused = attempt.context.cancelled or self._closed  # whoever sets these now finds the process
        timed_out = threading.Event()
        outcome: Outcome | None = None
        if refused:
            process.kill()
        else:
            outcome = self._run(process, attempt, request, timed_out)
        with self._lock:
            del self._running[id(attempt)]
        if outcome is not None and not process.killed:
            self._end(attempt, outcome)
            return process
        code = process.end()
        if timed_out.is_set():
            outcome = fail_timed_out(attempt)
        elif outcome is None:
            stopped = refused or attempt.context.cancelled
            outcome = fail_cancelled(attempt) if stopped else fail(attempt, _explain(code))
        self._end(attempt, outcome)
        return None

    def _run(
        self, process: ToolProcess, attempt: Attempt, request: dict[str, Any], timed_out: threading.Event
    ) -> Outcome | None:
        def time_out() -> None:
            with self._lock:
                if self._running.get(id(attempt)) is process:  # else it has something else to do by now
                    timed_out.set()
                    process.kill()

        attempt.began_ns = time.perf_counter_ns()
        deadline = None
        if attempt.timeout_s is not None:
            deadline = self._deadlines.call_later(attempt.timeout_s, time_out)
        outcome = process.run(attempt, request)
        if deadline is not None:
            deadline.cancel()
        return outcome

    def _start(self, attempt: Attempt) -> ToolProcess | None:
        if os.environ.get(MARK):
            reason = (
                "this is a process for tools itself and starts no others; "
                'guard the main part of your program with: if __name__ == "__main__":'
            )
            self._end(attempt, fail(attempt, StepError(reason)))
            return None
        process = ToolProcess()
        deadline = self._deadlines.call_later(_START_S, process.kill)
        ready = process.greet()
        deadline.cancel()
        if ready and not process.killed:
            return process
        code = process.end()
        self._end(
            attempt, fail(attempt, StepCrashed(f"the process for the step did not start ({_name_end(code)})"))
        )
        return None

    def _end(self, attempt: Attempt, outcome: Outcome) -> None:
        attempt.log.close()
        attempt.over()
        if attempt.claim():
            self._report(attempt.run_id, outcome)


def _make_request(attempt: Attempt) -> dict[str, Any]:
    try:
        reference = find_reference(attempt.tool)
    except NoReference as reason:
        raise StepError(explain_no_reference(attempt.tool.name, reason)) from None
    started = attempt.started
    return {
        "tool": reference,
        "run_id": attempt.run_id,
        "started": (started.at, started.node, started.visit, started.attempt, started.item),
        "workspace": str(attempt.context.workspace),
        "values": attempt.values,
        "secrets": attempt.secrets,
        "state": attempt.state,
        "save_as": attempt.save_as,
        "max_result_bytes": attempt.max_result_bytes,
    }


def explain_no_reference(tool: str, reason: NoReference) -> str:
    """The sentence about a tool that no process can find."""
    return f'the tool "{tool}" cannot run in a process of its own, since {reason}; use a function of a module'


def _explain(code: int) -> StepCrashed:
    text = f"the process that ran the step ended before the tool did ({_name_end(code)})"
    if code == -signal.SIGKILL:
        text += "; somebody killed it, perhaps the system for lack of memory"
    return StepCrashed(text)


def _name_end(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}: {signal.strsignal(-code) or 'unknown'}"


# Ending a process with its children ------------------------------------------------------------------------------


def _has_exited(pid: int, patience_s: float = 0.5) -> bool:
    """Wait until the process has ended, and leave it to be reaped: until then nothing else has its number."""
    if not hasattr(os, "waitid"):
        return True
    deadline = time.monotonic() + patience_s
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def _kill_tree(pid: int) -> None:
    """Kill a process that was not reaped yet, its group, and descendants that have left the group."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], capture_output=True, check=False)
        return
    descendants = _find_descendants(pid)
    for kill, number in ((os.kill, pid), (os.killpg, pid), *((os.kill, child) for child in descendants)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(number, signal.SIGKILL)


def _find_descendants(pid: int) -> list[int]:
    """The numbers of all descendants, where the system tells (Linux)."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for tasks in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError, ValueError):
                children = [int(word) for word in tasks.read_text().split()]
                found += children
                waiting += children
    return found
