"""A parameter in a form: its name and hint, the field for a value or an expression, wires, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from wfe_desktop.document.edits import EdgeKey
from wfe_desktop.forms.controls import ButtonStrip, SmallButton, mark_invalid, words
from wfe_desktop.forms.editors import WorkflowEditor, make_editor
from wfe_desktop.forms.expression import ExpressionEdit, find_fault
from wfe_desktop.forms.fields import UNSET, FieldSpec, Kind, MaybeValue
from wfe_desktop.theme import SPACE, current_theme, icon
from wfe_desktop.tips import plain_tip


@dataclass(frozen=True, slots=True)
class WireView:
    """A wire into the parameter: its key, where it comes from, and that in words."""

    key: EdgeKey
    node_id: str
    text: str


@dataclass(frozen=True, slots=True)
class RowState:
    """All a row shows of the graph."""

    value: MaybeValue = UNSET
    binding: str | None = None
    wires: tuple[WireView, ...] = ()
    problem: str | None = None
    knows_item: bool = False
    """The node has for_each: expressions may name ``item`` and ``index``."""


class ParameterRow(QWidget):
    """One parameter. It asks for edits and shows what it is told; it changes nothing by itself."""

    value_edited = Signal(str, object)
    binding_edited = Signal(str, str)
    expression_requested = Signal(str)
    value_requested = Signal(str)
    reset_requested = Signal(str)
    left = Signal()
    jump_requested = Signal(str)
    disconnect_requested = Signal(object)

    def __init__(self, spec: FieldSpec, workspace: Path | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.spec = spec
        self.state = RowState()
        self._workspace = workspace
        self._many_lines = False
        self._is_blank = False
        self._expression: ExpressionEdit | None = None
        self.find_words: Callable[[], Sequence[str]] = list
        self.find_workflows: Callable[[], Sequence[tuple[str, str]]] = list
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACE + SPACE // 2)
        column.addLayout(self._make_header())
        self._wires = QVBoxLayout()
        self._wires.setSpacing(SPACE)
        column.addLayout(self._wires)
        self._fields = QVBoxLayout()
        self._fields.setSpacing(0)
        column.addLayout(self._fields)
        self._make_editor()
        self.message = words(role="error", wrap=True)
        self.message.hide()
        column.addWidget(self.message)
        self.show_state(RowState())

    # ------------------------------------------------------------------------------------------ building

    def _make_header(self) -> QHBoxLayout:
        header = QHBoxLayout()
        header.setSpacing(2 * SPACE)
        self.label = words(self.spec.name)
        self.label.setToolTip(self.spec.description or self.spec.name)
        self.hint = words(self.spec.hint, "second")
        self.hint.setToolTip(
            "Needs a value: set here, wired, or in the state."
            if self.spec.required
            else "May be left out: then the state's key of this name counts, or else the default."
        )
        header.addWidget(self.label)
        header.addStretch(1)
        header.addWidget(self.hint)
        return header

    def _list_workflows(self) -> Sequence[tuple[str, str]]:
        return self.find_workflows()  # it is given after the editor was made

    def _make_editor(self) -> None:
        strip = ButtonStrip()
        self.null_button = strip.add(SmallButton("Set to null", text="null"))
        self.null_button.setCheckable(True)
        self.null_button.clicked.connect(self._toggle_null)
        self.reset_button = strip.add(SmallButton("Back to the default", icon_name="close"))
        self.reset_button.clicked.connect(lambda: self.reset_requested.emit(self.spec.name))
        self.fx_button = strip.add(SmallButton("Compute this with an expression", text="fx"))
        self.fx_button.clicked.connect(lambda: self.expression_requested.emit(self.spec.name))
        self._strip = strip
        self.editor = make_editor(self.spec, strip, workspace=self._workspace, many_lines=self._many_lines)
        if isinstance(self.editor, WorkflowEditor):
            self.editor.find_workflows = self._list_workflows
        self.editor.edited.connect(lambda value: self.value_edited.emit(self.spec.name, value))
        self.editor.left.connect(self.left)
        self.editor.field.setAccessibleName(self.spec.name)
        self._fields.addWidget(self.editor)
        self.label.setBuddy(self.editor.field)
        # In the order they are read: the field, then what is in it.
        for before, after in (
            (self.editor.field, self.null_button),
            (self.null_button, self.reset_button),
            (self.reset_button, self.fx_button),
        ):
            QWidget.setTabOrder(before, after)

    @property
    def expression(self) -> ExpressionEdit:
        """The field for an expression: made when it is first needed, for most parameters have a value."""
        if self._expression is None:
            self._expression = self._make_expression()
        return self._expression

    def _make_expression(self) -> ExpressionEdit:
        strip = ButtonStrip()
        self.fx_off_button = strip.add(SmallButton("Set a value instead", text="fx"))
        self.fx_off_button.setCheckable(True)
        self.fx_off_button.setChecked(True)
        self.fx_off_button.clicked.connect(self._leave_expression)
        expression = ExpressionEdit(strip)
        expression.line.setAccessibleName(f"{self.spec.name}, expression")
        expression.offer(self.find_words)
        expression.edited.connect(self._type_expression)
        expression.left.connect(self._leave_field)
        self._fields.addWidget(expression)
        QWidget.setTabOrder(expression.line, self.fx_off_button)
        return expression

    def _toggle_null(self) -> None:
        if self.null_button.isChecked():
            self.value_edited.emit(self.spec.name, None)
        else:
            self.reset_requested.emit(self.spec.name)

    def _type_expression(self, text: str) -> None:
        self._is_blank = not text.strip()
        self.binding_edited.emit(self.spec.name, text)

    def _leave_field(self) -> None:
        self.left.emit()
        if self._is_blank:
            self._is_blank = False
            self.show_state(self.state)

    def _leave_expression(self) -> None:
        self.fx_off_button.setChecked(True)  # it leaves with its field; while it is seen, it is on
        self.value_requested.emit(self.spec.name)

    # ------------------------------------------------------------------------------------------ showing

    @property
    def is_expression(self) -> bool:
        """Whether the field for an expression is shown; it stays while one is being typed anew."""
        return self.state.binding is not None or self._is_blank

    def focus_field(self) -> None:
        """Put the caret into the field."""
        field = self.expression.line if self.is_expression else self.editor.field
        field.setFocus(Qt.FocusReason.OtherFocusReason)

    def show_state(self, state: RowState) -> None:
        """Show what the graph says now. A field whose text says that already is left alone."""
        had_focus = self._has_focus()
        was_expression = self.is_expression
        if state.wires != self.state.wires:
            self._show_wires(state.wires)
        self.state = state
        if state.binding is not None:
            self._is_blank = False
        if self._wants_lines(state.value) != self._many_lines:
            self._rebuild_editor()
        if state.binding is None:
            self.editor.show_value(state.value)
            if not self._is_blank and self._expression is not None:
                self._expression.show_text("")
        else:
            self.expression.show_text(state.binding)
        self._show_fields()
        self._show_buttons()
        self.show_message(self._fault())
        if had_focus and was_expression != self.is_expression:
            self.focus_field()

    def forget(self) -> None:
        """Another node's parameter is shown from now on: what was being typed is not carried over."""
        self._is_blank = False
        focus = self.focusWidget()
        if focus is not None:
            focus.clearFocus()

    def show_message(self, message: str | None) -> None:
        """Say what is wrong, below the field."""
        self.message.setText(message or "")
        self.message.setVisible(bool(message))
        mark_invalid(self.expression.line if self.is_expression else self.editor.field, message)

    def _fault(self) -> str | None:
        if self.state.binding is not None:
            fault = find_fault(self.state.binding, item_allowed=self.state.knows_item, result_allowed=False)
            return fault or self.state.problem
        if self._is_blank:
            return "Type an expression, or press fx to set a value instead."
        return self.spec.check(self.state.value) or self.state.problem

    def _has_focus(self) -> bool:
        focus = self.focusWidget()
        return focus is not None and focus.hasFocus()

    def _wants_lines(self, value: MaybeValue) -> bool:
        """A line break asks for an area; once there, it stays while the parameter is looked at."""
        has_breaks = isinstance(value, str) and "\n" in value
        return has_breaks or (self._many_lines and value is not UNSET)

    def _rebuild_editor(self) -> None:
        self._many_lines = not self._many_lines
        old, had_focus = self.editor, self.editor.field.hasFocus()
        self._make_editor()
        self._fields.removeWidget(old)
        old.hide()
        old.deleteLater()
        if had_focus:
            self.editor.field.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_fields(self) -> None:
        is_expression = self.is_expression
        only_wired = bool(self.state.wires) and not is_expression and self.state.value is UNSET
        if is_expression or self._expression is not None:
            self.expression.setVisible(is_expression)
        self.editor.setVisible(not is_expression and not only_wired)

    def _show_buttons(self) -> None:
        value = self.state.value
        offers_null = self.spec.nullable and (self.spec.required or self.spec.default is not None)
        self.null_button.setVisible(offers_null and self.spec.kind is not Kind.CHOICE)
        self.null_button.setChecked(value is None)
        self.reset_button.setVisible(value is not UNSET)
        self._strip.arrange()

    def _show_wires(self, wires: tuple[WireView, ...]) -> None:
        while (item := self._wires.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for wire in wires:
            self._wires.addWidget(self._make_wire(wire))

    def _make_wire(self, wire: WireView) -> QWidget:
        box = QWidget()
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACE)
        jump = QPushButton(icon("link", current_theme().text_second), wire.text.replace("&", "&&"))
        jump.setStyleSheet("text-align: left;")
        jump.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        jump.setToolTip(plain_tip(f"{wire.text}: show where it comes from"))
        jump.clicked.connect(lambda: self.jump_requested.emit(wire.node_id))
        cut = SmallButton("Disconnect the wire", icon_name="close")
        cut.clicked.connect(lambda: self.disconnect_requested.emit(wire.key))
        row.addWidget(jump, 1)
        row.addWidget(cut)
        return box
