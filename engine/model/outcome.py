"""What a tool may return instead of a result: that its step waits or runs another graph, or that the run ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """The step waits until a time (aware) or for a span, holding no thread; then it is completed with ``result``."""

    time: datetime | timedelta
    result: Any = None


@dataclass(frozen=True, slots=True)
class WaitForSignal:
    """The step waits for ``ExecutionEngine.signal(run_id, name, value)``; the value becomes its result.

    ``schema`` is a JSON Schema that the value must meet. ``message`` tells people what is being asked.
    """

    name: str
    schema: Mapping[str, Any] | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class RunWorkflow:
    """The step runs a stored graph, holding no thread; the final state of that run becomes its result.

    ``graph`` is the graph's id, or its name where only one has it; the newest version is run. Where that run fails or is
    cancelled, the step fails.
    """

    graph: str
    initial_state: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class EndRun:
    """The run ends here with this status; steps that are running are cancelled."""

    status: Literal["completed", "failed", "cancelled"] = "completed"
    reason: str = ""
