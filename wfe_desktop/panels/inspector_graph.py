"""The inspector's page for the workflow itself: name, where runs start and end, limits, reducers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from engine.model.graph import GraphDefinition, Reducer
from wfe_desktop.document.document import WorkflowDocument
from wfe_desktop.document.edits import GraphEditError
from wfe_desktop.forms.controls import ComboBox, LineEdit, SmallButton, line, mark_invalid, words
from wfe_desktop.forms.expression import ExpressionEdit, completions, find_fault
from wfe_desktop.forms.field_row import FieldRow
from wfe_desktop.forms.fields import UNSET, FieldSpec, Kind, MaybeValue
from wfe_desktop.panels.inspector_parts import Header, column, scrolled
from wfe_desktop.theme import SPACE
from wfe_desktop.tips import plain_tip

_DESCRIPTION = FieldSpec(
    "description",
    Kind.LONG_TEXT,
    {"type": "string", "maxLength": 10_000},
    default="",
    empty="What the workflow is for",
)
_LIMIT = {"type": "integer", "minimum": 1, "maximum": 10_000_000}
_MAX_STEPS = FieldSpec("max_steps", Kind.INTEGER, _LIMIT, "integer · ≥ 1", default=100_000)
_MAX_ITERATIONS = FieldSpec("max_iterations", Kind.INTEGER, _LIMIT, "integer · ≥ 1", default=10_000)
_REDUCERS = get_args(Reducer)
_EVERYWHERE = "Every node that no edge leads to"


class EntryCombo(ComboBox):
    """Chooses the entry. The nodes are listed when it is opened: there may be thousands."""

    def __init__(self, document: WorkflowDocument, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document = document
        self._is_open = False
        self.show_entry()

    def show_entry(self) -> None:
        """Show the entry of the graph, unless another is just being chosen."""
        if self._is_open:
            return
        entry = self._document.graph.entry_point
        text = _EVERYWHERE if entry is None else self._document.node_title(entry)
        if self.count() != 1 or (self.currentData(), self.currentText()) != (entry, text):
            self.clear()
            self.addItem(text, entry)

    def showPopup(self) -> None:  # noqa: N802
        """List the nodes, then open."""
        entry = self._document.graph.entry_point
        self.clear()
        self.addItem(_EVERYWHERE, None)
        for node in self._document.graph.nodes:
            self.addItem(self._document.node_title(node.id), node.id)
        self.setCurrentIndex(max(self.findData(entry), 0))
        self._is_open = True
        super().showPopup()

    def hidePopup(self) -> None:  # noqa: N802
        """Close the list."""
        self._is_open = False
        super().hidePopup()


class ExitConditions(QWidget):
    """Expressions, one a line, with a button to add one and one each to take it out."""

    edited = Signal(object)
    """The conditions now, as a tuple."""
    left = Signal()

    def __init__(self, find_words: Callable[[], Sequence[str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.lines: list[ExpressionEdit] = []
        self._boxes: list[QWidget] = []
        self._find_words = find_words
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE + SPACE // 2)
        layout.addWidget(words("End the run as soon as one holds", "heading"))
        self._rows = QVBoxLayout()
        self._rows.setSpacing(SPACE)
        layout.addLayout(self._rows)
        self.message = words(role="error", wrap=True)
        layout.addWidget(self.message)
        self.add_button = QPushButton("Add a condition")
        self.add_button.clicked.connect(self._add)
        row = QHBoxLayout()
        row.addWidget(self.add_button)
        row.addStretch(1)
        layout.addLayout(row)

    def show_conditions(self, conditions: tuple[str, ...]) -> None:
        """Show the conditions. Lines that are empty, just added, stay until they are left."""
        if tuple(text for text in (edit.text for edit in self.lines) if text.strip()) != conditions:
            while len(self.lines) > len(conditions):
                self._drop(len(self.lines) - 1)
            while len(self.lines) < len(conditions):
                self._make()
            for edit, text in zip(self.lines, conditions, strict=True):
                edit.show_text(text)
        self._check()

    def _make(self) -> ExpressionEdit:
        box = QWidget()
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACE)
        edit = ExpressionEdit()
        edit.line.setAccessibleName("Exit condition")
        edit.line.setPlaceholderText("such as state.score >= 90")
        edit.offer(self._find_words)
        remove = SmallButton("Take the condition out", icon_name="close")
        row.addWidget(edit, 1)
        row.addWidget(remove)
        edit.edited.connect(self._emit)
        edit.left.connect(self._leave)
        remove.clicked.connect(lambda: self._remove(edit))
        self.lines.append(edit)
        self._boxes.append(box)
        self._rows.addWidget(box)
        return edit

    def _drop(self, index: int) -> None:
        self.lines.pop(index)
        box = self._boxes.pop(index)
        self._rows.removeWidget(box)
        box.hide()
        box.deleteLater()

    def _add(self) -> None:
        self._make().line.setFocus()

    def _remove(self, edit: ExpressionEdit) -> None:
        self._drop(self.lines.index(edit))
        self._emit()
        self.left.emit()

    def _emit(self) -> None:
        self._check()
        self.edited.emit(tuple(edit.text for edit in self.lines if edit.text.strip()))

    def _leave(self) -> None:
        self.left.emit()

    def _check(self) -> None:
        faults = [find_fault(edit.text) if edit.text.strip() else None for edit in self.lines]
        for edit, fault in zip(self.lines, faults, strict=True):
            mark_invalid(edit.line, fault)
        first = next((fault for fault in faults if fault), "")
        self.message.setText(first)
        self.message.setVisible(bool(first))


class Reducers(QWidget):
    """A small table: a state key, and how results of parallel steps for it combine."""

    edited = Signal(object)
    """The reducers now, as a dict."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.shown: dict[str, str] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE + SPACE // 2)
        title = words("Reducers", "heading")
        title.setToolTip("How the results of parallel steps for one key of the state combine.")
        layout.addWidget(title)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(SPACE)
        layout.addLayout(self._rows)
        row = QHBoxLayout()
        row.setSpacing(SPACE)
        self.new_key = LineEdit()
        self.new_key.setPlaceholderText("state key")
        self.new_key.setAccessibleName("State key of another reducer")
        self.add_button = QPushButton("Add")
        self.add_button.clicked.connect(self._add)
        self.new_key.returnPressed.connect(self._add)
        row.addWidget(self.new_key, 1)
        row.addWidget(self.add_button)
        layout.addLayout(row)

    def show_reducers(self, reducers: dict[str, Reducer]) -> None:
        """Show the reducers."""
        if self.shown == reducers:
            return
        self.shown = dict(reducers)
        while (item := self._rows.takeAt(0)) is not None:
            box = item.widget()
            if box is not None:
                box.hide()
                box.deleteLater()
        for key, how in reducers.items():
            self._rows.addWidget(self._make(key, how))

    def _make(self, key: str, how: str) -> QWidget:
        box = QWidget()
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACE)
        label = words(key)
        label.setProperty("code", "true")
        label.setToolTip(plain_tip(key))
        choice = ComboBox()
        choice.setAccessibleName(f"Reducer of {key}")
        choice.addItems(_REDUCERS)
        choice.setCurrentText(how)
        choice.activated.connect(lambda: self.edited.emit({**self.shown, key: choice.currentText()}))
        remove = SmallButton("Take the reducer out", icon_name="close")
        remove.clicked.connect(
            lambda: self.edited.emit({name: kept for name, kept in self.shown.items() if name != key})
        )
        row.addWidget(label, 1)
        row.addWidget(choice, 1)
        row.addWidget(remove)
        return box

    def _add(self) -> None:
        key = self.new_key.text().strip()
        if key and key not in self.shown:
            self.new_key.clear()
            self.edited.emit({**self.shown, key: "append"})


class GraphPage(QWidget):
    """The workflow's own fields: shown when nothing is selected."""

    def __init__(self, document: WorkflowDocument, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document = document
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        self.header = Header()
        self.header.tile.show_icon("layout")
        self.header.title.setAccessibleName("Name of the workflow")
        self.header.title.textEdited.connect(self._set_name)
        self.header.title.left.connect(self._leave_name)
        outer.addWidget(self.header)
        self.refusal = words(role="error", wrap=True)
        outer.addWidget(line())
        body = QWidget()
        layout = column(body)
        self.hint = words("Select a node or an edge to see what it does.", "second", wrap=True)
        layout.addWidget(self.hint)
        layout.addWidget(self.refusal)
        self.rows: dict[str, FieldRow] = {}
        self._add_row(layout, "Description", _DESCRIPTION, "What the workflow is for.")
        layout.addLayout(self._make_entry())
        self.exits = ExitConditions(lambda: completions(document.graph, document.catalog))
        self.exits.edited.connect(lambda conditions: self._set("exit_conditions", conditions))
        self.exits.left.connect(document.end_typing)
        layout.addWidget(self.exits)
        layout.addWidget(line())
        self._add_row(layout, "Most steps a run", _MAX_STEPS, "A run that starts more steps fails.")
        self._add_row(
            layout, "Most iterations a loop", _MAX_ITERATIONS, "A run fails whose loop goes round more often."
        )
        layout.addWidget(line())
        self.reducers = Reducers()
        self.reducers.edited.connect(lambda reducers: self._set("reducers", reducers))
        layout.addWidget(self.reducers)
        layout.addStretch(1)
        outer.addWidget(scrolled(body), 1)

    def _add_row(self, layout: QVBoxLayout, label: str, spec: FieldSpec, tooltip: str) -> None:
        row = FieldRow(label, spec, tooltip)
        row.edited.connect(lambda value: self._set_row(spec.name, value))
        row.left.connect(self._document.end_typing)
        self.rows[spec.name] = row
        layout.addWidget(row)

    def _make_entry(self) -> QVBoxLayout:
        box = QVBoxLayout()
        box.setSpacing(SPACE + SPACE // 2)
        label = words("Runs start at")
        self.entry = EntryCombo(self._document)
        self.entry.setAccessibleName("Runs start at")
        self.entry.activated.connect(self._set_entry)
        label.setBuddy(self.entry)
        box.addWidget(label)
        box.addWidget(self.entry)
        return box

    def refresh(self) -> None:
        """Bring everything in step with the graph."""
        graph = self._document.graph
        self.header.show_title(graph.name)
        self.header.show_subtitle(f"{len(graph.nodes):,} nodes · {len(graph.edges):,} edges")
        self.hint.setText(
            "Select a node or an edge to see what it does."
            if graph.nodes
            else "Drag a tool from the left onto the canvas, or press Tab there to search for one."
        )
        self.entry.show_entry()
        self.exits.show_conditions(graph.exit_conditions)
        for name, row in self.rows.items():
            value = getattr(graph, name)
            if row.fault is None or not row.editor.field.hasFocus():
                row.show_value(UNSET if value == GraphDefinition.model_fields[name].default else value)
        self.reducers.show_reducers(graph.reducers)
        self._refuse("")

    def _set_name(self, name: str) -> None:
        if name:  # a workflow has a name: the old one comes back when the field is left empty
            self._set("name", name)

    def _leave_name(self) -> None:
        self._document.end_typing()
        self.refresh()

    def _set_row(self, name: str, value: MaybeValue) -> None:
        wanted = GraphDefinition.model_fields[name].default if value is UNSET else value
        try:
            self._document.set_graph_field(name, wanted)
        except GraphEditError as error:
            self.rows[name].show_message(str(error))

    def _set_entry(self) -> None:
        try:
            self._document.set_entry(self.entry.currentData())
        except GraphEditError as error:
            self._refuse(str(error))
        self.entry.show_entry()

    def _set(self, name: str, value: object) -> None:
        try:
            self._document.set_graph_field(name, value)
        except GraphEditError as error:
            self._refuse(str(error))

    def _refuse(self, message: str) -> None:
        self.refusal.setText(message)
        self.refusal.setVisible(bool(message))
