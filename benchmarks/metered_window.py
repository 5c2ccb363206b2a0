"""The program with its window, and a meter on the window's loop: for ``window.py``, which signals when to write down what it
has seen (SIGUSR1) into the file BENCH_GAPS.
"""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PySide6.QtCore import Qt, QTimer

from wfe_desktop import cli
from wfe_desktop.bootstrap import Program

run = Program.run


class Meter:
    """The time between two beats of a timer that wants to fire every 5 ms: on the clock, and of the thread's processor."""

    def __init__(self) -> None:
        self.gaps: list[tuple[float, float]] = []
        self.last = (time.perf_counter(), time.thread_time())
        self.timer = QTimer()
        self.timer.setTimerType(Qt.TimerType.PreciseTimer)
        self.timer.setInterval(5)
        self.timer.timeout.connect(self.beat)
        self.timer.start()

    def beat(self) -> None:
        now = (time.perf_counter(), time.thread_time())
        self.gaps.append((now[0] - self.last[0], now[1] - self.last[1]))
        self.last = now

    def tell(self) -> None:
        gaps, self.gaps = self.gaps, []
        path = Path(os.environ["BENCH_GAPS"])
        path.with_suffix(".new").write_text(json.dumps(gaps))
        path.with_suffix(".new").replace(path)


async def metered(self: Program) -> int:
    meter = Meter()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, meter.tell)
    return await run(self)


Program.run = metered  # type: ignore[method-assign]
sys.exit(cli.main())
