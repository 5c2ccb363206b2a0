"""How long a Qt event loop is away, for the tests that hold P27."""

import time

from PySide6.QtCore import Qt, QTimer


class GapMeter:
    """How long the loop was busy, as seen from a timer that wants to fire every 5 ms."""

    def __init__(self) -> None:
        self.gaps_ms: list[float] = []
        self._last = time.thread_time()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(5)
        self._timer.timeout.connect(self._beat)

    def start(self) -> None:
        """Measure from now on."""
        self._last = time.thread_time()
        self._timer.start()

    def at(self, share: float) -> float:
        """The gap in milliseconds that this share of all gaps does not exceed."""
        self._timer.stop()
        ordered = sorted(self.gaps_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def _beat(self) -> None:
        now = time.thread_time()
        self.gaps_ms.append((now - self._last) * 1000)
        self._last = now
