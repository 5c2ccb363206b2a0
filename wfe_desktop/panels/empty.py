"""What a panel shows while it has nothing to show: a sign, what it is for, and what to do."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedLayout, QVBoxLayout, QWidget

from wfe_desktop import theme

SIGN_SIZE = 26


class EmptyState(QWidget):
    """A sign, a heading, a sentence, and room for buttons, in the middle of whatever it fills."""

    def __init__(self, sign: str, heading: str, text: str = "", *, tone: str = "") -> None:
        super().__init__()
        self._sign, self._tone = sign, tone
        self._picture = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        self._heading = QLabel(heading, alignment=Qt.AlignmentFlag.AlignCenter)
        self._heading.setProperty("role", "heading")
        self._text = QLabel(text, alignment=Qt.AlignmentFlag.AlignCenter)
        self._text.setProperty("role", "second")
        for label in (self._heading, self._text):
            label.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self._text.setVisible(bool(text))
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(8)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 8, 16, 8)
        column.setSpacing(6)
        column.addStretch(1)
        column.addWidget(self._picture)
        column.addWidget(self._heading)
        column.addWidget(self._text)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addLayout(self._buttons)
        row.addStretch(1)
        column.addLayout(row)
        column.addStretch(1)
        self._paint_sign()

    def set_text(self, heading: str, text: str = "") -> None:
        """Say something else."""
        self._heading.setText(heading)
        self._text.setText(text)
        self._text.setVisible(bool(text))

    def add_button(self, text: str) -> QPushButton:
        """A further thing to do."""
        button = QPushButton(text)
        self._buttons.addWidget(button)
        return button

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.PaletteChange:
            self._paint_sign()
        super().changeEvent(event)

    def _paint_sign(self) -> None:
        colors = theme.current_theme()
        color = colors.status_color(self._tone) if self._tone else colors.text_faint
        self._picture.setPixmap(theme.icon_pixmap(self._sign, color, SIGN_SIZE))


class Switcher(QWidget):
    """Shows ``content`` or, while there is nothing in it, ``empty``."""

    def __init__(self, content: QWidget, empty: EmptyState) -> None:
        super().__init__()
        self._stack = QStackedLayout(self)
        self._stack.addWidget(empty)
        self._stack.addWidget(content)

    def show_content(self, there_is_some: bool) -> None:
        """Which of the two is shown."""
        self._stack.setCurrentIndex(int(there_is_some))
