"""What a tool may return instead of a result: that its step waits, or that the run ends."""

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
class EndRun:
    """The run ends here with this status; steps that are running are cancelled."""

    status: Literal["completed", "failed", "cancelled"] = "completed"
    reason: str = ""
