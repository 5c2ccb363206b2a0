"""What a run begins with: a form made from the state keys that the workflow reads before it writes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from engine.model.tool import InputPort
from wfe_desktop.dialogs.buttons import make_buttons
from wfe_desktop.forms.controls import line, words
from wfe_desktop.forms.field_row import FieldRow
from wfe_desktop.forms.fields import UNSET, FieldSpec, Kind, make_spec
from wfe_desktop.panels.inspector_parts import MARGIN, column, scrolled
from wfe_desktop.theme import INSPECTOR_WIDTH, SPACE

if TYPE_CHECKING:
    from engine.flow.validation import StateRead

MOST_HEIGHT = 160 * SPACE
_OTHERS = FieldSpec("others", Kind.JSON, {"type": "object"}, "object", empty='{"key": "value"}')


class RunForm(QDialog):
    """Asks for the initial state. Enter runs; in a text of many lines, Ctrl+Enter does.

    ``reads``: the state keys the workflow reads, by name. ``values``: what is filled in, such as last time's; keys
    the workflow is not known to read are kept in the field for other keys.
    """

    accepted_with = Signal(dict)
    """The initial state, when the user says Run."""

    def __init__(
        self,
        reads: Mapping[str, StateRead],
        values: Mapping[str, Any] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Run")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        values = dict(values or {})
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        body = QWidget()
        layout = column(body)
        layout.addWidget(words("What the run begins with", "title"))
        layout.addWidget(
            words("The workflow reads these from its state.", "second", wrap=True)
            if reads
            else words("The workflow is not known to read anything from its state.", "second", wrap=True)
        )
        self.rows: dict[str, FieldRow] = {}
        for name, read in reads.items():
            row = FieldRow(name, _spec(read))
            row.show_value(values.pop(name, UNSET))
            self.rows[name] = row
            layout.addWidget(row)
        self.others = FieldRow("Other keys", _OTHERS, "More keys of the state, as a JSON object.")
        self.others.show_value(values or UNSET)
        layout.addWidget(self.others)
        layout.addStretch(1)
        outer.addWidget(scrolled(body), 1)
        outer.addWidget(line())
        buttons, self.run_button, self.cancel_button = make_buttons(self, "Run", "Cancel")
        outer.addLayout(buttons)
        wanted = body.sizeHint().height() + 2 * MARGIN + self.run_button.sizeHint().height() + 3 * SPACE
        self.resize(INSPECTOR_WIDTH + 40 * SPACE, min(wanted, MOST_HEIGHT))
        first = next(iter(self.rows.values()), self.others)
        first.editor.field.setFocus()

    @property
    def state(self) -> dict[str, Any]:
        """The initial state as it is filled in. What is left empty is not in it."""
        others = self.others.value
        filled = {name: row.value for name, row in self.rows.items() if row.value is not UNSET}
        return {**(others if isinstance(others, dict) else {}), **filled}

    def accept(self) -> None:
        """Run, unless a value is missing or wrong: then say so there."""
        wrong = [row for name, row in (*self.rows.items(), ("", self.others)) if self._refuse(name, row)]
        if wrong:
            wrong[0].editor.field.setFocus(Qt.FocusReason.OtherFocusReason)
            return
        state = self.state
        super().accept()
        self.accepted_with.emit(state)

    def _refuse(self, name: str, row: FieldRow) -> bool:
        fault = row.fault
        others = self.others.value
        in_others = isinstance(others, dict) and name in others
        if fault is None and row.value is UNSET and row.spec.required and not in_others:
            fault = "The workflow needs a value here."
        row.show_message(fault)
        return fault is not None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl+Enter runs from anywhere."""
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.accept()
            return
        super().keyPressEvent(event)


def _spec(read: StateRead) -> FieldSpec:
    spec = make_spec(InputPort(read.name, read.type, read.schema, read.required))
    return dataclasses.replace(spec, empty="needs a value" if read.required else "may be left out")
