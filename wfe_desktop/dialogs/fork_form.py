"""Running again from a step: the state that it found, to be changed, and which version of the workflow to use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from engine.flow.values import same_json
from wfe_desktop.dialogs.buttons import make_buttons
from wfe_desktop.forms.controls import ComboBox, line, words
from wfe_desktop.forms.field_row import FieldRow
from wfe_desktop.forms.fields import UNSET, FieldSpec, Kind
from wfe_desktop.models.times import describe_size
from wfe_desktop.panels.inspector_parts import MARGIN, column, scrolled
from wfe_desktop.theme import INSPECTOR_WIDTH, SPACE

MOST_HEIGHT = 160 * SPACE
MOST_NAMES = 6
SHOWN_AT_MOST = 200_000
_OBJECT = {"type": "object"}


class Wish(NamedTuple):
    """What to run again with: keys to set and to remove, and whether as the workflow is now."""

    state: dict[str, Any]
    remove: list[str]
    as_it_is_now: bool


class ForkForm(QDialog):
    """Asks what to change. Ctrl+Enter runs.

    ``title`` is the step's name, or empty for the start. ``taken_over`` are the names of what is not run again. ``state`` is
    what the step found. ``version`` is the one that ran; ``is_changed``: the workflow is another now, so there is a choice.
    It stays open until it is closed: the engine may refuse, and ``show_refusal`` says why.
    """

    asked = Signal(Wish)

    def __init__(
        self,
        title: str,
        taken_over: Sequence[str],
        state: dict[str, Any],
        version: int,
        *,
        is_changed: bool,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Run again")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._state = state
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        body = QWidget()
        layout = column(body)
        place = f"“{title}”" if title else "the start"
        layout.addWidget(words(f"Run again from {place}", "title", wrap=True))
        layout.addWidget(words(_tell_taken(taken_over, title), "second", wrap=True))
        text = json.dumps(state, ensure_ascii=False)
        self._is_whole = len(text) <= SHOWN_AT_MOST
        hint = "before it ran" if title else "as the run began"
        self.state_row = self._add_state(layout, hint, len(text.encode()))
        self.version = ComboBox()
        self.version.setAccessibleName("Workflow")
        if is_changed:
            self.version.addItem("as it is now", "now")
        self.version.addItem(f"as it ran (version {version})", "then")
        layout.addWidget(_labelled("Workflow", self.version, is_shown=is_changed))
        self.fault = words(role="error", wrap=True)
        self.fault.hide()
        layout.addWidget(self.fault)
        layout.addStretch(1)
        outer.addWidget(scrolled(body), 1)
        outer.addWidget(line())
        buttons, self.run_button, self.cancel_button = make_buttons(self, "Run", "Cancel")
        outer.addLayout(buttons)
        wanted = body.sizeHint().height() + 2 * MARGIN + self.run_button.sizeHint().height() + 3 * SPACE
        self.resize(INSPECTOR_WIDTH + 40 * SPACE, min(wanted, MOST_HEIGHT))
        self.run_button.setFocus()

    def _add_state(self, layout: QVBoxLayout, hint: str, size_bytes: int) -> FieldRow:
        if self._is_whole:
            row = FieldRow("State", FieldSpec("state", Kind.JSON, _OBJECT, hint, required=True))
            row.show_value(self._state)
        else:
            row = FieldRow(
                "Keys to set", FieldSpec("state", Kind.JSON, _OBJECT, "object", empty='{"key": "value"}')
            )
            layout.addWidget(
                words(
                    f"The state that it found is too large to be shown ({describe_size(size_bytes)}). "
                    "It is used as it is, but for the keys that you set here.",
                    "second",
                    wrap=True,
                )
            )
        layout.addWidget(row)
        return row

    @property
    def wish(self) -> Wish:
        """What is filled in: only what differs from what the step found."""
        value = self.state_row.value
        filled: dict[str, Any] = value if isinstance(value, dict) else {}
        changed = {
            key: filled[key]
            for key in filled
            if key not in self._state or not same_json(filled[key], self._state[key])
        }
        removed = [key for key in self._state if key not in filled] if self._is_whole else []
        return Wish(changed, removed, self.version.currentData() == "now")

    def accept(self) -> None:
        """Ask for the run, unless the state is no JSON object: then say so there."""
        self._say("")
        fault = self.state_row.fault
        if fault is None and self._is_whole and self.state_row.value is UNSET:
            fault = "The state is a JSON object; {} is an empty one."
        self.state_row.show_message(fault)
        if fault is not None:
            self.state_row.editor.field.setFocus(Qt.FocusReason.OtherFocusReason)
            return
        self.run_button.setEnabled(False)
        self.asked.emit(self.wish)

    def show_refusal(self, message: str) -> None:
        """Say why there is no such run, and let the user change something."""
        self.run_button.setEnabled(True)
        self._say(message)

    def _say(self, fault: str) -> None:
        self.fault.setText(fault)
        self.fault.setVisible(bool(fault))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl+Enter runs from anywhere."""
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            if self.run_button.isEnabled():
                self.accept()
            return
        super().keyPressEvent(event)


def _labelled(label: str, field: QWidget, *, is_shown: bool) -> QWidget:
    row = QWidget()
    inner = QVBoxLayout(row)
    inner.setContentsMargins(0, 0, 0, 0)
    inner.setSpacing(SPACE + SPACE // 2)
    inner.addWidget(words(label))
    inner.addWidget(field)
    row.setVisible(is_shown)
    return row


def _tell_taken(names: Sequence[str], title: str) -> str:
    if not title:
        return "Nothing is taken over: every step runs again. The old run stays as it is."
    if not names:
        return "Nothing had run before it. The old run stays as it is."
    shown = ", ".join(f"“{name}”" for name in names[:MOST_NAMES])
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return f"Taken over, and not run again: {shown}{more}. The old run stays as it is."
