"""A plain field: label, hint, widget by kind, and what is wrong. For what is no tool's parameter."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from wfe_desktop.forms.controls import ButtonStrip, SmallButton, mark_invalid, words
from wfe_desktop.forms.editors import make_editor
from wfe_desktop.forms.expression import ExpressionEdit
from wfe_desktop.forms.fields import UNSET, FieldSpec, Kind, MaybeValue
from wfe_desktop.theme import SPACE


class FieldRow(QWidget):
    """Shows a value and asks for another; its own check of the value comes before ``problem``."""

    edited = Signal(object)
    """The value now, or ``UNSET``."""
    left = Signal()

    def __init__(self, label: str, spec: FieldSpec, tooltip: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.spec = spec
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACE + SPACE // 2)
        header = QHBoxLayout()
        self.label = words(label)
        self.label.setToolTip(tooltip or spec.description)
        header.addWidget(self.label)
        header.addStretch(1)
        header.addWidget(words(spec.hint, "second"))
        column.addLayout(header)
        self._strip = ButtonStrip()
        self.reset_button = self._strip.add(SmallButton("Back to the default", icon_name="close"))
        self.reset_button.clicked.connect(self._reset)
        self.editor = make_editor(spec, self._strip)
        self.editor.field.setAccessibleName(label)
        self.editor.field.setToolTip(tooltip or spec.description)
        self.editor.edited.connect(self._edited)
        self.editor.left.connect(self.left)
        self.label.setBuddy(self.editor.field)
        column.addWidget(self.editor)
        self.message = words(role="error", wrap=True)
        column.addWidget(self.message)
        self.show_value(UNSET)

    @property
    def value(self) -> MaybeValue:
        """What is shown."""
        return self.editor.value

    @property
    def fault(self) -> str | None:
        """What is wrong with what is shown, by the field's own check."""
        return self.spec.check(self.value)

    def show_value(self, value: MaybeValue, problem: str | None = None) -> None:
        """Show a value, and what is wrong with it. What is just being typed and means the same stays as it is."""
        if not (self.editor.field.hasFocus() and self._means(value)):
            self.editor.show_value(value)
        self._update(problem)

    def _means(self, value: MaybeValue) -> bool:
        """Whether what is shown stands for this value: 2 for 2.0, and the default written out for none."""
        shown, wanted = (self.spec.default if v is UNSET else v for v in (self.value, value))
        kinds = (self.spec.kind is Kind.INTEGER, self.spec.kind is Kind.NUMBER)
        return any(kinds) and not isinstance(shown, str) and bool(shown == wanted)

    def show_message(self, message: str | None) -> None:
        """Say what is wrong, below the field."""
        self.message.setText(message or "")
        self.message.setVisible(bool(message))
        mark_invalid(self.editor.field, message)

    def _update(self, problem: str | None = None) -> None:
        self.reset_button.setVisible(self.value is not UNSET and not self.spec.required)
        self._strip.arrange()
        self.show_message(self.fault or problem)

    def _edited(self, value: MaybeValue) -> None:
        self._update()
        self.edited.emit(value)

    def _reset(self) -> None:
        self.show_value(UNSET)
        self.edited.emit(UNSET)
        self.left.emit()
        self.editor.field.setFocus()


class ExpressionRow(QWidget):
    """The same for an expression; what is wrong with it is for its owner to say."""

    edited = Signal(str)
    left = Signal()

    def __init__(
        self,
        label: str,
        hint: str = "",
        tooltip: str = "",
        placeholder: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACE + SPACE // 2)
        header = QHBoxLayout()
        self.label = words(label)
        self.label.setToolTip(tooltip)
        header.addWidget(self.label)
        header.addStretch(1)
        header.addWidget(words(hint, "second"))
        column.addLayout(header)
        self.expression = ExpressionEdit()
        self.expression.line.setAccessibleName(label)
        self.expression.line.setToolTip(tooltip)
        self.expression.line.setPlaceholderText(placeholder)
        self.expression.edited.connect(self.edited)
        self.expression.left.connect(self.left)
        self.label.setBuddy(self.expression.line)
        column.addWidget(self.expression)
        self.message = words(role="error", wrap=True)
        column.addWidget(self.message)
        self.show_text("")

    def show_text(self, text: str, problem: str | None = None) -> None:
        """Show an expression, and what is wrong with it."""
        self.expression.show_text(text)
        self.show_message(problem)

    def show_message(self, message: str | None) -> None:
        """Say what is wrong, below the field."""
        self.message.setText(message or "")
        self.message.setVisible(bool(message))
        mark_invalid(self.expression.line, message)
