import threading
from pathlib import Path

from engine.execution.attempts.async_loop import AsyncLoop
from engine.execution.attempts.attempt import Attempt
from engine.execution.attempts.deadlines import Deadlines
from engine.execution.attempts.output import StepLog
from engine.model.events import StepFailed, StepStarted
from engine.tools.builtin.control import delay
from engine.tools.context import ToolContext
from engine.tools.registry import ToolRegistry


def test_what_is_cancelled_after_the_loop_has_closed_is_no_fault():
    registry = ToolRegistry()
    registry.register(delay)
    reported, told = [], threading.Event()

    def report(_, outcome):
        reported.append(outcome)
        told.set()

    loop = AsyncLoop(Deadlines(), report)
    started = StepStarted(0, "a", 1, 1)
    context, log = ToolContext("run", "a", 1, 1, Path()), StepLog(lambda *_: None)
    attempt = Attempt(started, registry.get_tool("delay"), {"seconds": 60}, None, None, context, log, 2**20)
    loop.submit(attempt)
    assert loop.close(10)
    assert told.wait(10)
    loop.cancel(attempt)
    assert isinstance(reported[0], StepFailed)
