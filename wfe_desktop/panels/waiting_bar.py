"""The bar above the canvas that says which step waits for somebody, and lets it be answered."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from wfe_desktop.forms.controls import words
from wfe_desktop.theme import SPACE, STATUS_ICONS, current_theme, icon_pixmap
from wfe_desktop.tips import plain_tip


class WaitingBar(QWidget):
    """Hidden until something waits."""

    answer_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "true")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        row = QHBoxLayout(self)
        row.setContentsMargins(4 * SPACE, SPACE + SPACE // 2, 3 * SPACE, SPACE + SPACE // 2)
        row.setSpacing(2 * SPACE)
        self._sign = QLabel()
        self.text = words()
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.more = words(role="second")
        self.button = QPushButton()
        self.button.setProperty("accent", "true")
        self.button.clicked.connect(self.answer_requested)
        row.addWidget(self._sign)
        row.addWidget(self.text, 1)
        row.addWidget(self.more)
        row.addWidget(self.button)
        self._draw()
        self.hide()

    def show_step(self, text: str, button: str, others: int) -> None:
        """Say what waits; ``others`` is how many steps more do."""
        self.text.setText(text)
        self.text.setToolTip(plain_tip(text))
        self.more.setText(f"{others} more" if others else "")
        self.more.setToolTip("Select another node that waits to answer it first." if others else "")
        self.button.setText(button)
        self.show()

    def changeEvent(self, event: QEvent) -> None:
        """The sign has the theme's colour."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._draw()

    def _draw(self) -> None:
        ink = current_theme().status_text_color("waiting")
        self._sign.setPixmap(icon_pixmap(STATUS_ICONS["waiting"], ink, 4 * SPACE))
