"""The one bridge from the engine to Qt: committed events become one signal, coalesced for the eye.

The engine calls :meth:`EngineBridge.take` on its own thread; that only appends and, once a flush, posts a wake-up.
The GUI thread hands the events on in batches: after 50 ms, later when the last batch or the screen was slow, so
that the loop keeps most of its time for the user and the server.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from engine.model.events import JournalEntry

INTERVAL_MS = 50
LONGEST_INTERVAL_MS = 500
SLICE = 250
SLICE_TIME_S = 0.008
MOST_WAITING = 200_000


class EngineBridge(QObject):
    """Carries committed journal entries to the GUI thread, in order, without gaps.

    ``entries(list[JournalEntry])`` is emitted on the GUI thread. ``overflowed()`` says that so many events came at
    once that the rest was dropped: views must load again from the journal.
    """

    entries = Signal(list)
    overflowed = Signal()
    _woken = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: deque[JournalEntry] = deque()
        self._armed = False
        self._closed = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._flush)
        self._interval_ms = INTERVAL_MS
        self._woken.connect(self._start_timer, Qt.ConnectionType.QueuedConnection)

    def take(self, batch: Sequence[JournalEntry]) -> None:
        """Called on the engine's thread with each committed batch. Never blocks, never raises."""
        self._waiting.extend(batch)
        if self._armed or self._closed:
            return
        self._armed = True
        try:
            self._woken.emit()
        except RuntimeError:  # the window has gone; so have its views
            self._closed = True

    @property
    def interval_ms(self) -> int:
        """Milliseconds between two batches at present."""
        return self._interval_ms

    @property
    def pending(self) -> int:
        """Events that were not handed on yet."""
        return len(self._waiting)

    def flush(self) -> None:
        """Hand on everything that is waiting, now."""
        while self._waiting:
            self.entries.emit(self._next_slice())

    def close(self) -> None:
        """Hand on nothing more."""
        self._closed = True
        self._timer.stop()
        self._waiting.clear()

    def _start_timer(self) -> None:
        if not self._timer.isActive() and not self._closed:
            self._timer.start(self._interval_ms)

    def _next_slice(self) -> list[JournalEntry]:
        waiting = self._waiting
        return [waiting.popleft() for _ in range(min(SLICE, len(waiting)))]

    def _flush(self) -> None:
        self._armed = False  # before reading: what comes from now on wakes us again
        began = time.perf_counter()
        if len(self._waiting) > MOST_WAITING:
            self._waiting.clear()
            self.overflowed.emit()
        while self._waiting and time.perf_counter() - began < SLICE_TIME_S:
            self.entries.emit(self._next_slice())
        took_ms = (time.perf_counter() - began) * 1000
        self._interval_ms = int(min(LONGEST_INTERVAL_MS, max(INTERVAL_MS, 3 * took_ms)))
        if self._waiting and not self._timer.isActive() and not self._closed:
            self._armed = True
            # Much is waiting: go on soon, but let the loop breathe for as long as this slice took.
            self._timer.start(max(1, int(took_ms)))
