"""The answer to a step that waits: a form made from the JSON Schema that the answer must meet."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from engine.errors import ValidationError
from engine.model.tool import InputPort, PortType
from wfe_desktop.dialogs.buttons import make_buttons
from wfe_desktop.forms.controls import line, words
from wfe_desktop.forms.field_row import FieldRow
from wfe_desktop.forms.fields import UNSET, FieldSpec, Kind, free_spec, make_spec
from wfe_desktop.forms.schema import check_value, resolve
from wfe_desktop.panels.inspector_parts import MARGIN, column, scrolled
from wfe_desktop.theme import INSPECTOR_WIDTH, SPACE

MOST_HEIGHT = 160 * SPACE


class AnswerForm(QDialog):
    """A field for each property of an object, else one for the whole. Enter sends; in a text, Ctrl+Enter does.

    It stays open until it is closed: the engine may refuse the answer, and ``show_refusal`` says so at the field.
    """

    answered = Signal(object)
    """The answer, when the user sends it."""

    def __init__(
        self, title: str, advice: str, schema: Mapping[str, Any] | None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Answer")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._schema = schema or {}
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        body = QWidget()
        layout = column(body)
        layout.addWidget(words(title, "title", wrap=True))
        layout.addWidget(words(advice, "second", wrap=True))
        specs = _property_specs(self._schema)
        self.rows = {name: FieldRow(_label(spec), spec) for name, spec in specs.items()}
        self.whole = FieldRow("Answer", _whole_spec(self._schema)) if not specs else None
        for row in self._all_rows:
            row.show_value(_first_value(row.spec))
            layout.addWidget(row)
        self.fault = words(role="error", wrap=True)
        self.fault.hide()
        layout.addWidget(self.fault)
        layout.addStretch(1)
        outer.addWidget(scrolled(body), 1)
        outer.addWidget(line())
        buttons, self.send_button, self.cancel_button = make_buttons(self, "Answer", "Not now")
        outer.addLayout(buttons)
        wanted = body.sizeHint().height() + 2 * MARGIN + self.send_button.sizeHint().height() + 3 * SPACE
        self.resize(INSPECTOR_WIDTH + 40 * SPACE, min(wanted, MOST_HEIGHT))
        self._all_rows[0].editor.field.setFocus()

    @property
    def _all_rows(self) -> list[FieldRow]:
        return [self.whole] if self.whole is not None else list(self.rows.values())

    @property
    def value(self) -> Any:
        """The answer as it is filled in. A property that is left empty is not in it, or null where it must be there."""
        if self.whole is not None:
            return None if self.whole.value is UNSET else self.whole.value
        return {
            name: None if row.value is UNSET else row.value
            for name, row in self.rows.items()
            if row.value is not UNSET or row.spec.required
        }

    def accept(self) -> None:
        """Send the answer, unless a value is missing or wrong: then say so there."""
        self._say("")
        wrong = [row for row in self._all_rows if _refuse(row)]
        if wrong:
            wrong[0].editor.field.setFocus(Qt.FocusReason.OtherFocusReason)
        elif fault := check_value(self._schema, self.value):
            self._say(fault)
        else:
            self.send_button.setEnabled(False)
            self.answered.emit(self.value)

    def show_refusal(self, error: ValidationError) -> None:
        """Say what the engine has against the answer, at the fields it concerns."""
        self.send_button.setEnabled(True)
        rest = []
        for problem in error.problems:
            _, _, place = (problem.field or "").partition(".")
            row = self.whole or self.rows.get(place.partition(".")[0])
            if row is not None:
                row.show_message(problem.message)
                row.editor.field.setFocus(Qt.FocusReason.OtherFocusReason)
            else:
                rest.append(problem.message)
        self._say("\n".join(rest) if error.problems else error.message)

    def _say(self, fault: str) -> None:
        self.fault.setText(fault)
        self.fault.setVisible(bool(fault))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl+Enter sends from anywhere."""
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            if self.send_button.isEnabled():
                self.accept()
            return
        super().keyPressEvent(event)


def _property_specs(schema: Mapping[str, Any]) -> dict[str, FieldSpec]:
    """A field for each property of an object that has no others; none where the answer is something else."""
    plain = resolve(schema, schema)
    if plain.get("type") != "object" or not plain.get("properties"):
        return {}
    defs = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return {
        name: _spec(name, {**inner, **defs}, required=name in plain.get("required", ()))
        for name, inner in plain["properties"].items()
        if isinstance(inner, Mapping)
    }


def _whole_spec(schema: Mapping[str, Any]) -> FieldSpec:
    if not schema:
        return dataclasses.replace(free_spec("answer"), hint="text or JSON", required=False, empty="null")
    return _spec("answer", schema, required=True)


def _spec(name: str, schema: Mapping[str, Any], *, required: bool) -> FieldSpec:
    spec = make_spec(InputPort(name, PortType.ANY, schema, required))
    empty = "may be left out" if not required else "null" if spec.nullable else "needs a value"
    return dataclasses.replace(spec, empty=empty)


def _label(spec: FieldSpec) -> str:
    return str(spec.schema.get("title") or spec.name)


def _first_value(spec: FieldSpec) -> Any:
    """The schema's default; a switch that must stand somewhere stands at no."""
    if "default" in spec.schema:
        return spec.schema["default"]
    return False if spec.kind is Kind.BOOLEAN and spec.required and not spec.nullable else UNSET


def _refuse(row: FieldRow) -> bool:
    fault = row.fault
    if fault is None and row.value is UNSET and row.spec.required and not row.spec.nullable:
        fault = "A value is needed here."
    row.show_message(fault)
    return fault is not None
