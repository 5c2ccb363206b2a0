"""One widget for each kind of value. An editor shows a value or none, and says what the user made of it.

Nothing is clamped or corrected: what is typed is what is kept, and ``FieldSpec.check`` says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QCheckBox, QFileDialog, QHBoxLayout, QMenu, QWidget

from wfe_desktop.document.edits import same_json
from wfe_desktop.forms.controls import ButtonStrip, ComboBox, LineEdit, SmallButton, TextArea
from wfe_desktop.forms.fields import UNSET, FieldSpec, Kind, MaybeValue
from wfe_desktop.theme import SPACE, code_font


class ValueEditor(QWidget):
    """Base of the editors. ``field`` is the widget that takes the focus."""

    edited = Signal(object)
    """The value now, or ``UNSET``."""
    left = Signal()

    def __init__(self, spec: FieldSpec, strip: ButtonStrip, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.spec = spec
        self.field: QWidget = self
        self._strip = strip
        self._value: MaybeValue = UNSET
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(SPACE)

    @property
    def value(self) -> MaybeValue:
        """What is shown."""
        return self._value

    def show_value(self, value: MaybeValue) -> None:
        """Show a value. One that is shown already is left alone, with its text, caret and selection."""
        is_same = (value is UNSET) == (self._value is UNSET) and same_json(value, self._value)
        self._value = value
        self._draw(redraw=not is_same)

    def _draw(self, *, redraw: bool) -> None:
        raise NotImplementedError

    def _take(self, value: MaybeValue) -> None:
        self._value = value
        self.edited.emit(value)

    def _placeholder(self) -> str:
        if self._value is None:
            return "null"
        return "empty text" if self._value == "" else self.spec.placeholder


class LineEditor(ValueEditor):
    """Numbers and short texts."""

    def __init__(self, spec: FieldSpec, strip: ButtonStrip, parent: QWidget | None = None) -> None:
        super().__init__(spec, strip, parent)
        self.line = LineEdit(self)
        self.line.hold(strip)
        self.field = self.line
        self._row.addWidget(self.line)
        self.line.setPlaceholderText(spec.placeholder)
        self.line.textEdited.connect(self._typed)
        self.line.left.connect(self.left)
        self.line.returnPressed.connect(self.left)

    def _typed(self, text: str) -> None:
        self._take(self.spec.read(text))
        self.line.setPlaceholderText(self._placeholder())

    def _draw(self, *, redraw: bool) -> None:
        self.line.setPlaceholderText(self._placeholder())
        if redraw:
            self.line.setText(self.spec.format(self._value))
            if not self.line.hasFocus():
                self.line.setCursorPosition(0)


class PathEditor(LineEditor):
    """A file: typed, or chosen. Inside the workspace it is named from there, so that the workflow can move."""

    def __init__(
        self,
        spec: FieldSpec,
        strip: ButtonStrip,
        workspace: Path | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(spec, strip, parent)
        self._workspace = workspace
        self.browse_button = SmallButton("Choose a file…", icon_name="open", parent=self)
        self.browse_button.clicked.connect(self._choose)
        self._row.addWidget(self.browse_button)

    def _choose(self) -> None:
        chosen = self._ask()
        if not chosen:
            return
        path = Path(chosen)
        if self._workspace is not None and path.is_relative_to(self._workspace.resolve()):
            path = path.relative_to(self._workspace.resolve())
        self.line.setText(path.as_posix())
        self._take(path.as_posix())
        self.left.emit()

    def _ask(self) -> str:
        start = str(self._workspace or "")
        if "directory" in self.spec.name or "folder" in self.spec.name:
            return QFileDialog.getExistingDirectory(self, "Choose a folder", start)
        return QFileDialog.getOpenFileName(self, "Choose a file", start)[0]


class WorkflowEditor(LineEditor):
    """A stored workflow: typed, or chosen from those there are (``find_workflows``: how each is named, and its title)."""

    def __init__(self, spec: FieldSpec, strip: ButtonStrip, parent: QWidget | None = None) -> None:
        super().__init__(spec, strip, parent)
        self.find_workflows: Callable[[], Sequence[tuple[str, str]]] = list
        self.choose_button = SmallButton("Choose a workflow…", icon_name="chevron-down", parent=self)
        self.choose_button.clicked.connect(self._open_menu)
        self._row.addWidget(self.choose_button)

    def _open_menu(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for reference, title in self.find_workflows():
            action = QAction(title.replace("&", "&&"), menu)
            action.triggered.connect(lambda _=False, reference=reference: self._choose(reference))
            menu.addAction(action)
        if menu.isEmpty():
            nothing = QAction("No workflow is in the database yet", menu)
            nothing.setEnabled(False)
            menu.addAction(nothing)
        menu.popup(self.line.mapToGlobal(self.line.rect().bottomLeft()))

    def _choose(self, reference: str) -> None:
        self.line.setText(reference)
        self._take(reference)
        self.left.emit()


class AreaEditor(ValueEditor):
    """Long texts, and JSON: lists, objects and anything else."""

    def __init__(self, spec: FieldSpec, strip: ButtonStrip, parent: QWidget | None = None) -> None:
        super().__init__(spec, strip, parent)
        self.area = TextArea(self, code=spec.kind is Kind.JSON, lines=2 if spec.kind is Kind.JSON else 3)
        if spec.kind is Kind.JSON:
            self.area.setFont(code_font())
        self.area.hold(strip)
        self.field = self.area
        self._row.addWidget(self.area)
        self.area.setPlaceholderText(spec.placeholder)
        self._drawing = False
        self.area.textChanged.connect(self._typed)
        self.area.left.connect(self.left)

    def _typed(self) -> None:
        if not self._drawing:
            self._take(self.spec.read(self.area.toPlainText()))
            self.area.setPlaceholderText(self._placeholder())

    def _draw(self, *, redraw: bool) -> None:
        self.area.setPlaceholderText(self._placeholder())
        if redraw:
            self._drawing = True
            self.area.setPlainText(self.spec.format(self._value))
            self._drawing = False


class ChoiceEditor(ValueEditor):
    """One of a list. The first entry is: not set."""

    def __init__(self, spec: FieldSpec, strip: ButtonStrip, parent: QWidget | None = None) -> None:
        super().__init__(spec, strip, parent)
        self.combo = ComboBox(self)
        self.field = self.combo
        self._row.addWidget(self.combo, 1)
        self._row.addWidget(strip)
        self._options: list[MaybeValue] = []
        self._fill()
        self.combo.activated.connect(self._chosen)

    def _fill(self) -> None:
        extra: list[MaybeValue] = [None] if self.spec.nullable else []
        self._options = [UNSET, *self.spec.choices, *extra]
        if self._value is not UNSET and self._find() < 0:
            self._options.append(self._value)
        self.combo.clear()
        for option in self._options:
            self.combo.addItem(self._name(option))

    def _name(self, option: MaybeValue) -> str:
        if option is UNSET:
            return self.spec.placeholder
        return "null" if option is None else option if isinstance(option, str) else self.spec.format(option)

    def _find(self) -> int:
        for index, option in enumerate(self._options):
            if (option is UNSET) == (self._value is UNSET) and same_json(option, self._value):
                return index
        return -1

    def _chosen(self, index: int) -> None:
        self._take(self._options[index])
        self.left.emit()

    def _draw(self, *, redraw: bool) -> None:
        if redraw and self._find() < 0:
            self._fill()
        self.combo.setCurrentIndex(self._find())


class SwitchEditor(ValueEditor):
    """True or false, or not set: then it shows what counts instead."""

    def __init__(self, spec: FieldSpec, strip: ButtonStrip, parent: QWidget | None = None) -> None:
        super().__init__(spec, strip, parent)
        self.switch = QCheckBox(self)
        self.switch.setProperty("toggle", "true")
        self.field = self.switch
        self._row.addWidget(self.switch)
        self._row.addStretch(1)
        self._row.addWidget(strip)
        self.switch.clicked.connect(lambda: self._switched(self.switch.isChecked()))
        self._draw(redraw=True)

    def _switched(self, checked: bool) -> None:
        self._take(checked)
        self._draw(redraw=True)
        self.left.emit()

    def _draw(self, *, redraw: bool) -> None:
        if not redraw:
            return
        shown = self._value if self._value is not UNSET else self.spec.default
        self.switch.setChecked(shown is True)
        if self._value is UNSET:
            is_said = self.spec.required or self.spec.empty
            text = self.spec.placeholder if is_said else f"{_on_off(shown)} (default)"
        else:
            text = _on_off(shown)
        self.switch.setText(text)


def _on_off(value: object) -> str:
    if value is None:
        return "null"
    return {True: "On", False: "Off"}.get(value, str(value)) if isinstance(value, bool) else repr(value)


def make_editor(
    spec: FieldSpec, strip: ButtonStrip, *, workspace: Path | None = None, many_lines: bool = False
) -> ValueEditor:
    """The widget for a field. ``many_lines``: its value has line breaks, which a line would hide."""
    match spec.kind:
        case Kind.BOOLEAN:
            return SwitchEditor(spec, strip)
        case Kind.CHOICE:
            return ChoiceEditor(spec, strip)
        case Kind.LONG_TEXT | Kind.JSON:
            return AreaEditor(spec, strip)
        case Kind.WORKFLOW if not many_lines:
            return WorkflowEditor(spec, strip)
        case Kind.PATH if not many_lines:
            return PathEditor(spec, strip, workspace)
        case _:
            return AreaEditor(spec, strip) if many_lines else LineEditor(spec, strip)
