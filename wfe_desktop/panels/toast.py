"""Messages over the canvas: they fade by themselves; errors stay until they are closed."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from wfe_desktop import theme
from wfe_desktop.messages import Message, Tone

SHOWN_MS = {Tone.INFO: 4000, Tone.SUCCESS: 3500, Tone.WARNING: 9000}
SIGNS = {Tone.INFO: ("info", "waiting"), Tone.SUCCESS: ("check", "completed"), Tone.WARNING: ("warning", "warning"), Tone.ERROR: ("error", "error")}  # fmt: skip
WIDTH = 400
MARGIN = 16
MOST = 3


class _Toast(QFrame):
    gone = Signal()

    def __init__(self, message: Message, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("toast")
        self.setProperty("card", "true")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.message = message
        sign, status = SIGNS[message.tone]
        picture = QLabel()
        picture.setPixmap(theme.icon_pixmap(sign, theme.current_theme().status_color(status), 18))
        picture.setAlignment(Qt.AlignmentFlag.AlignTop)
        words = QVBoxLayout()
        words.setSpacing(2)
        for text, role in ((message.text, ""), (message.advice, "second")):
            if text:
                label = QLabel(text)
                label.setTextFormat(Qt.TextFormat.PlainText)
                label.setWordWrap(True)
                label.setProperty("role", role)
                label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                words.addWidget(label)
        close = QToolButton()
        close.setIcon(theme.icon("close", theme.current_theme().text_second))
        close.setToolTip("Close")
        close.clicked.connect(self.leave)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 6, 8)
        row.setSpacing(10)
        row.addWidget(picture, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        row.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        if message.tone in SHOWN_MS:
            QTimer.singleShot(SHOWN_MS[message.tone], self, self.leave)

    def leave(self) -> None:
        """Go, and say so."""
        self.gone.emit()
        self.hide()
        self.deleteLater()


class Toasts(QObject):
    """Stacks messages at the bottom left of ``host``."""

    def __init__(self, host: QWidget) -> None:
        super().__init__(host)
        self._host = host
        self._toasts: list[_Toast] = []
        host.installEventFilter(self)

    def show_message(self, message: Message) -> None:
        """Show a message; the same one again replaces the first."""
        for toast in [toast for toast in self._toasts if toast.message == message]:
            toast.leave()
        while len(self._toasts) >= MOST:
            self._toasts[0].leave()
        toast = _Toast(message, self._host)
        self._toasts.append(toast)
        toast.gone.connect(lambda: self._forget(toast))
        toast.show()
        toast.raise_()
        self._place()

    @property
    def texts(self) -> list[str]:
        """What is shown now."""
        return [toast.message.text for toast in self._toasts]

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and watched is self._host:
            self._place()
        return False

    def _forget(self, toast: _Toast) -> None:
        if toast in self._toasts:
            self._toasts.remove(toast)
            self._place()

    def _place(self) -> None:
        bottom = self._host.height() - MARGIN
        for toast in reversed(self._toasts):
            width = min(WIDTH, self._host.width() - 2 * MARGIN)
            height = max(toast.heightForWidth(width), toast.minimumSizeHint().height())
            toast.setGeometry(MARGIN, bottom - height, width, height)
            bottom -= height + 8
