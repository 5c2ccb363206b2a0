"""What a running tool is told about its step."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import StepError

OnProgress = Callable[[float, float | None, str], None]


class StepWasCancelled(StepError):
    """The step was asked to stop, and the tool did."""

    code = "StepWasCancelled"


@dataclass(slots=True, eq=False)
class ToolContext:
    """Given to a tool that has a parameter named ``context``.

    ``visit`` counts the node's starts in this run and ``attempt`` the tries of this step, both from 1.
    ``workspace`` is the folder that the file tools work in. Made by the engine, one a step; may be used from any
    thread the tool starts.
    """

    run_id: str
    node_id: str
    visit: int
    attempt: int
    workspace: Path
    on_progress: OnProgress | None = field(default=None, repr=False)
    cancelled: bool = field(default=False, init=False)
    """Whether the step should stop: its run was cancelled, or has ended otherwise."""
    _cancel_event: threading.Event | None = field(default=None, init=False, repr=False)

    @property
    def cancel_event(self) -> threading.Event:
        """Set once the step should stop, for tools that wait for something: ``context.cancel_event.wait(seconds)``."""
        if self._cancel_event is None:  # most steps never ask, and an event costs as much as a small step
            self._cancel_event = threading.Event()
            if self.cancelled:
                self._cancel_event.set()
        return self._cancel_event

    def cancel(self) -> None:
        """Ask the tool to stop. For the engine."""
        self.cancelled = True
        if self._cancel_event is not None:
            self._cancel_event.set()

    def check_cancelled(self) -> None:
        """Do nothing, or raise ``StepWasCancelled`` once the step should stop. For long loops in tools."""
        if self.cancelled:
            raise StepWasCancelled(f'The step "{self.node_id}" was cancelled.')

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tell those who watch how far the step has come: ``done`` of ``total``, in units of the tool's choice.

        Cheap enough to be called in a loop: most calls within a tenth of a second of another are dropped. Nothing of it is
        kept. Raises ``ValueError`` for what is not a finite number.
        """
        numbers = [float(done), None if total is None else float(total)]
        if not all(math.isfinite(number) for number in numbers if number is not None):
            raise ValueError("progress takes finite numbers")
        if self.on_progress is not None and not self.cancelled:
            self.on_progress(numbers[0] or 0.0, numbers[1], str(message)[:1_000])
