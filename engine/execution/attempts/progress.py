"""What tools say of how far they are: told at once, not too often, and not kept."""

from __future__ import annotations

import threading
import time

from engine.execution.secrets import hide
from engine.tools.context import OnProgress

PAUSE_S = 0.1
"""Of what one step says, no more than one in this time is passed on; and always that it is done."""


def limit_progress(tell: OnProgress) -> OnProgress:
    """``tell``, called less often. Any thread."""
    lock = threading.Lock()
    last = -PAUSE_S

    def say(done: float, total: float | None, message: str) -> None:
        nonlocal last
        now = time.monotonic()
        with lock:
            if now - last < PAUSE_S and done != total:
                return
            last = now
        tell(done, total, hide(message))

    return say
