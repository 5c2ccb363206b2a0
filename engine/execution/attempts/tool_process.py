"""The program of a process that runs tools, one at a time. It ends when the engine does.

It imports neither the database nor Qt. What it is told comes over its standard input, what it has to say goes over its
standard output; tools see neither: theirs is empty, and what they print goes to the standard error and the run's log.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from engine.execution.attempts import output
from engine.execution.attempts.attempt import Attempt, Outcome, execute, execute_async, fail
from engine.execution.attempts.frames import read_frame, write_frame
from engine.execution.attempts.progress import limit_progress
from engine.execution.attempts.tool_reference import ToolReference, load_tool
from engine.failpoints import failpoint
from engine.model.events import StepStarted
from engine.model.tool import Tool
from engine.tools.context import ToolContext

MARK = "WFE_TOOL_PROCESS"
"""Set in the environment of such a process, so that what it imports does not start others."""

_PR_SET_PDEATHSIG = 1

_reach_result = failpoint("before-result")
_pass_result = failpoint("after-result")


def main() -> None:
    """Serve the engine until it closes the pipe."""
    os.environ[MARK] = "1"
    requests, replies = _take_pipes()
    hello = read_frame(requests)
    if hello is None:
        return
    _end_with(hello[1]["parent"])
    logging.root.setLevel(hello[1]["log_level"])
    output.install()
    tools: dict[str, Tool] = {}
    write_frame(replies, b"R", None)
    while (message := read_frame(requests)) is not None:
        outcome = _run(message[1], tools, replies)
        _flush()
        _reach_result()
        write_frame(replies, b"E", (type(outcome).__name__, asdict(outcome)))
        _pass_result()


def _take_pipes() -> tuple[BinaryIO, int]:
    """The two pipes, out of the tools' reach; programs that a tool starts do not inherit them."""
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(requests, "rb"), replies


def _end_with(parent: int) -> None:
    """Have the system end this process with the engine's, whatever it is doing then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)  # it was gone before


def _run(request: dict[str, Any], tools: dict[str, Tool], replies: int) -> Outcome:
    reference: ToolReference = request["tool"]
    started = StepStarted(*request["started"])
    key = repr(sorted(reference.items()))
    log = output.StepLog(lambda at, level, text: write_frame(replies, b"L", (at, level, text)))
    context = ToolContext(
        request["run_id"],
        started.node,
        started.visit,
        started.attempt,
        Path(request["workspace"]),
        on_progress=limit_progress(lambda *said: write_frame(replies, b"P", said)),
    )
    attempt = Attempt(
        started,
        _NO_TOOL,
        request["values"],
        request["state"],
        request["save_as"],
        context,
        log,
        request["max_result_bytes"],
    )
    attempt.secrets = request["secrets"]
    if key not in tools:
        with output.Capture(output.StepLog(lambda *_: None)):  # what importing prints is no step's
            try:
                tools[key] = load_tool(reference)
            except BaseException as error:  # noqa: BLE001 - anything may go wrong in a user's file
                return fail(attempt, error)
    attempt.tool = tools[key]
    return asyncio.run(execute_async(attempt)) if attempt.tool.is_async else execute(attempt)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # the real one is gone
            stream.flush()


def _nothing() -> None:
    return None


_NO_TOOL = Tool("", _nothing, "", "", "", (), ())
