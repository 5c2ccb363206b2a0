"""The status bar: the server's address, what is running, whether all is saved, the zoom."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtWidgets import QLabel, QStatusBar, QToolButton, QWidget

from wfe_desktop import theme
from wfe_desktop.tips import plain_tip

MESSAGE_MS = 6000


def describe_work(runs: int, steps: int, workers: int) -> str:
    """``1 run · 2 steps running · 14 workers free``."""
    if runs == 0 and steps == 0:
        return f"Idle · {_count(workers, 'worker')} free"
    free = max(0, workers - steps)
    return f"{_count(runs, 'run')} · {_count(steps, 'step')} running · {_count(free, 'worker')} free"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


class StatusBar(QStatusBar):
    """``address_clicked`` and ``zoom_clicked`` when those are pressed."""

    address_clicked = Signal()
    zoom_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeGripEnabled(False)
        self.setContentsMargins(6, 0, 8, 0)
        self._is_serving = False
        self.server = QToolButton()
        self.server.setObjectName("server_button")
        self.server.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.server.setCursor(Qt.CursorShape.PointingHandCursor)
        self.work = QLabel()
        self.work.setObjectName("work_label")
        self.said = QLabel()
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.saved = QLabel()
        self.saved.setObjectName("saved_label")
        self.zoom = QToolButton()
        self.zoom.setObjectName("zoom_button")
        self.zoom.setToolTip("Zoom; click for 100 %")
        self.addWidget(self.server)
        self.addWidget(self.work)
        self.addWidget(self.said, 1)
        self.addPermanentWidget(self.saved)
        self.addPermanentWidget(self.zoom)
        self.server.clicked.connect(self.address_clicked)
        self.zoom.clicked.connect(self.zoom_clicked)
        self._fade = QTimer(self)
        self._fade.setSingleShot(True)
        self._fade.setInterval(MESSAGE_MS)
        self._fade.timeout.connect(self.said.clear)
        self.set_server("", "The server is starting")
        self.set_work(0, 0, 0)
        self.set_zoom(1.0)

    def set_server(self, address: str, tip: str) -> None:
        """Where the server answers; an empty address where it does not."""
        self._is_serving = bool(address)
        self.server.setText(address or "No server")
        self.server.setToolTip(tip)
        self.server.setEnabled(bool(address))
        self._paint_dot()

    def set_work(self, runs: int, steps: int, workers: int, problem: str | None = None) -> None:
        """How much is going on in the engine, or why nothing is."""
        text = describe_work(runs, steps, workers) if problem is None else "Work stands still"
        if text != self.work.text():
            self.work.setText(text)
            self.work.setToolTip(plain_tip(problem or ""))

    def set_saved(self, text: str, tip: str = "") -> None:
        """``Saved``, ``Modified``, ``Read only`` ..."""
        self.saved.setText(text)
        self.saved.setToolTip(plain_tip(tip))

    def set_zoom(self, factor: float) -> None:
        """The canvas' zoom; 1.0 is 100 %."""
        self.zoom.setText(f"{factor * 100:.0f} %")

    def say(self, text: str) -> None:
        """A short message that goes by itself."""
        self.said.setText(text)
        self._fade.start()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "server"):
            self._paint_dot()

    def _paint_dot(self) -> None:
        status = "completed" if self._is_serving else "pending"
        self.server.setIcon(theme.icon("dot", theme.current_theme().status_color(status)))
