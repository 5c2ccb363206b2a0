"""A sentence beside the pointer, and what the empty canvas says."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

_STAYS_MS = 3_500
_AWAY = 16
_WIDEST = 320


class Bubble(QLabel):
    """Why a wire is refused. Takes no mouse events."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._around = parent
        self.setProperty("role", "bubble")
        self.setWordWrap(True)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        self.hide()

    def say(self, text: str, at: QPoint, *, fade: bool = False) -> None:
        """Show a sentence near a point of the parent; ``fade``: for a few seconds."""
        self._timer.stop()
        self.setText(text)
        wide = min(_WIDEST, self.fontMetrics().horizontalAdvance(text) + 32)
        self.setFixedWidth(wide)
        self.setFixedHeight(self.heightForWidth(wide))
        space = self._around.rect()
        x = min(at.x() + _AWAY, space.right() - self.width() - 4)
        y = at.y() + _AWAY
        if y + self.height() > space.bottom() - 4:
            y = at.y() - _AWAY - self.height()
        self.move(max(4, x), max(4, y))
        self.raise_()
        self.show()
        if fade:
            self._timer.start(_STAYS_MS)


class EmptyHint(QWidget):
    """What to do with an empty canvas. The window adds its own widgets (samples to open) below the words."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        title = QLabel("Start with a tool")
        title.setProperty("role", "hint")
        title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        how = QLabel(
            "Drag one here from the palette, or press Tab or double-click to search.\n"
            "Connect nodes by dragging from one port to another, then press F5."
        )
        how.setProperty("role", "second")
        how.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._layout = QVBoxLayout(self)
        self._layout.setSpacing(8)
        self._layout.addWidget(title)
        self._layout.addWidget(how)
        self._extra: QWidget | None = None
        # Where there is nothing to click, the canvas below is what the mouse means.
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def set_extra(self, widget: QWidget | None) -> None:
        """Put a widget below the words in place of the one before; this takes it over."""
        if self._extra is not None:
            self._layout.removeWidget(self._extra)
            self._extra.deleteLater()
        self._extra = widget
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents, widget is None)
        if widget is not None:
            self._layout.addSpacing(8)
            self._layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        self.adjustSize()
