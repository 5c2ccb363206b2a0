"""A JSON value as text, for the inspector."""

from __future__ import annotations

from typing import Any

import orjson
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from wfe_desktop.forms.controls import TextArea, words
from wfe_desktop.models.times import describe_size
from wfe_desktop.theme import SPACE, code_font

FOLDED_FROM_BYTES = 16 * 1024
SHOWN_AT_MOST = 200_000
_NOTHING = object()


class ValueView(QWidget):
    """A JSON value as text. A large one is folded: its size is said, and it is shown when asked for."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._value: Any = _NOTHING
        self._text = ""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * SPACE)
        head = QHBoxLayout()
        head.addWidget(words(title, "heading"))
        head.addStretch(1)
        self.size_label = words(role="second")
        head.addWidget(self.size_label)
        layout.addLayout(head)
        self.area = TextArea(code=True, lines=1, most=24)
        self.area.setFont(code_font())
        self.area.setReadOnly(True)
        self.area.setAccessibleName(title)
        layout.addWidget(self.area)
        buttons = QHBoxLayout()
        self.unfold_button = QPushButton("Show")
        self.unfold_button.clicked.connect(self._unfold)
        self.copy_button = QPushButton("Copy")
        self.copy_button.clicked.connect(lambda: QGuiApplication.clipboard().setText(self._text))
        buttons.addWidget(self.unfold_button)
        buttons.addWidget(self.copy_button)
        buttons.addStretch(1)
        layout.addLayout(buttons)

    def show_value(self, value: Any) -> None:
        """Show a value. The same object again changes nothing: results are not changed in place."""
        if value is self._value:
            return
        self._value = value
        self._text = _pretty(value)
        size = len(self._text.encode())
        is_large = size > FOLDED_FROM_BYTES
        self.size_label.setText(f"{_kind(value)} · {describe_size(size)}" if is_large else _kind(value))
        self.unfold_button.setVisible(is_large)
        self.area.setVisible(not is_large)
        self.area.setPlainText("" if is_large else self._text)

    def _unfold(self) -> None:
        rest = len(self._text) - SHOWN_AT_MOST
        more = f"\n… {rest:,} characters more: Copy takes them all" if rest > 0 else ""
        self.area.setPlainText(self._text[:SHOWN_AT_MOST] + more)
        self.area.show()
        self.unfold_button.hide()


def _pretty(value: Any) -> str:
    if isinstance(value, str):  # as it is, not as JSON would have to write it
        return value
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def _kind(value: Any) -> str:
    match value:
        case list():
            return f"list of {len(value):,}"
        case dict():
            return f"object of {len(value):,}"
        case str():
            return f"text of {len(value):,}"
        case bool():
            return "true or false"
        case None:
            return "null"
        case _:
            return "number"
