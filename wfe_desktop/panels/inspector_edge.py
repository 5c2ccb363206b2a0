"""The inspector's page for one edge: when it is taken, what it hands over, and taking it out."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from engine.model.graph import ELSE, RESULT_PORT, EdgeDefinition
from wfe_desktop.document.document import WorkflowDocument
from wfe_desktop.document.edits import EdgeKey, GraphEditError
from wfe_desktop.forms.controls import ComboBox, line, mark_invalid, words
from wfe_desktop.forms.expression import ExpressionEdit, completions, find_fault
from wfe_desktop.panels.inspector_parts import Header, column, scrolled
from wfe_desktop.theme import SPACE

ALWAYS, WHEN, OTHERWISE = "Always", "When", "Else"
_EXPLAINED = {
    ALWAYS: "Taken whenever the step before it is done.",
    WHEN: "Taken when the expression holds after the step before it.",
    OTHERWISE: "Taken when no edge with a condition from the same node was taken.",
}
_KINDS = {"success": "After the step is done", "error": "After the step has failed"}


class EdgePage(QWidget):
    """One edge."""

    jump_requested = Signal(str)

    def __init__(self, document: WorkflowDocument, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document = document
        self.key: EdgeKey | None = None
        self._is_writing = False
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        self.header = Header()
        self.header.title.setReadOnly(True)
        self.header.title.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        outer.addWidget(self.header)
        outer.addWidget(line())
        body = QWidget()
        self._layout = column(body)
        self._make_choice()
        self._make_ports()
        self._make_actions()
        self._layout.addStretch(1)
        outer.addWidget(scrolled(body), 1)

    # ------------------------------------------------------------------------------------------ building

    def _make_choice(self) -> None:
        self._layout.addWidget(words("Taken", "heading"))
        row = QHBoxLayout()
        row.setSpacing(SPACE)
        self._group = QButtonGroup(self)
        self.choices: dict[str, QPushButton] = {}
        for name in (ALWAYS, WHEN, OTHERWISE):
            button = QPushButton(name)
            button.setCheckable(True)
            button.setToolTip(_EXPLAINED[name])
            button.clicked.connect(lambda _=False, name=name: self._choose(name))
            self._group.addButton(button)
            self.choices[name] = button
            row.addWidget(button, 1)
        self._layout.addLayout(row)
        self.explanation = words(role="second", wrap=True)
        self._layout.addWidget(self.explanation)
        self.condition = ExpressionEdit()
        self.condition.line.setPlaceholderText("such as result.score >= 70")
        self.condition.line.setAccessibleName("Condition")
        self.condition.edited.connect(self._typed)
        self.condition.left.connect(self._leave)
        self._layout.addWidget(self.condition)
        self.message = words(role="error", wrap=True)
        self._layout.addWidget(self.message)

    def _make_ports(self) -> None:
        self._layout.addWidget(line())
        self.kind_label, self.kind = self._combo("Follows")
        for kind, text in _KINDS.items():
            self.kind.addItem(text, kind)
        self.kind.activated.connect(lambda: self._change(kind=self.kind.currentData()))
        self.from_label, self.from_port = self._combo("Output")
        self.from_port.activated.connect(self._change_output)
        self.to_label, self.to_port = self._combo("Parameter")
        self.to_port.activated.connect(lambda: self._change(to_port=self.to_port.currentText()))
        self.refusal = words(role="error", wrap=True)
        self._layout.addWidget(self.refusal)

    def _combo(self, name: str) -> tuple[QLabel, ComboBox]:
        label, combo = words(name), ComboBox()
        label.setBuddy(combo)
        combo.setAccessibleName(name)
        box = QVBoxLayout()
        box.setSpacing(SPACE + SPACE // 2)
        box.addWidget(label)
        box.addWidget(combo)
        self._layout.addLayout(box)
        return label, combo

    def _make_actions(self) -> None:
        self._layout.addWidget(line())
        row = QHBoxLayout()
        row.setSpacing(SPACE)
        self.source_button = QPushButton("Show source")
        self.source_button.clicked.connect(lambda: self._jump(0))
        self.target_button = QPushButton("Show target")
        self.target_button.clicked.connect(lambda: self._jump(1))
        self.remove_button = QPushButton("Remove")
        self.remove_button.setProperty("danger", "true")
        self.remove_button.clicked.connect(self._remove)
        row.addWidget(self.source_button)
        row.addWidget(self.target_button)
        row.addStretch(1)
        row.addWidget(self.remove_button)
        self._layout.addLayout(row)

    # ------------------------------------------------------------------------------------------ showing

    def show_edge(self, key: EdgeKey) -> None:
        """Show another edge."""
        if key != self.key:
            self._document.end_typing()
            self.key = key
            self._is_writing = False
            self.refusal.hide()
        self.refresh()

    def edit_condition(self) -> None:
        """Put the caret where the condition is typed."""
        if not self.choices[WHEN].isChecked():
            self._choose(WHEN)
        self.condition.line.setFocus(Qt.FocusReason.OtherFocusReason)
        self.condition.line.selectAll()

    def refresh(self) -> None:
        """Bring everything in step with the graph."""
        edge = self._document.find_edge(self.key) if self.key is not None else None
        if edge is None:
            return
        source, target = map(self._document.node_title, (edge.from_node, edge.to_node))
        self.header.tile.show_icon("link")
        self.header.show_title(f"{source} → {target}")
        self.header.show_subtitle(
            f"hands {edge.from_port or RESULT_PORT} to {edge.to_port}" if edge.is_wire else "order"
        )
        self._show_condition(edge)
        self._show_ports(edge)

    def _show_condition(self, edge: EdgeDefinition) -> None:
        if edge.condition is not None:
            self._is_writing = False
        shown = (
            OTHERWISE
            if edge.condition == ELSE and not self.condition.line.hasFocus()
            else WHEN
            if edge.condition is not None or self._is_writing
            else ALWAYS
        )
        self.choices[shown].setChecked(True)
        self.explanation.setText(_EXPLAINED[shown])
        self.condition.setVisible(shown == WHEN)
        if shown == WHEN:
            source = edge.from_node
            self.condition.offer(lambda: completions(self._document.graph, self._document.catalog, source))
            self.condition.show_text(edge.condition or "")
        fault = None
        if shown == WHEN:
            fault = "Type a condition." if edge.condition is None else self._fault(edge.condition)
        self._say(fault)

    @staticmethod
    def _fault(condition: str) -> str | None:
        return None if condition == ELSE else find_fault(condition)

    def _say(self, fault: str | None) -> None:
        self.message.setText(fault or "")
        self.message.setVisible(bool(fault))
        mark_invalid(self.condition.line, fault)

    def _show_ports(self, edge: EdgeDefinition) -> None:
        self.kind.setCurrentIndex(self.kind.findData(edge.kind))
        for widget in (self.kind_label, self.kind):
            widget.setVisible(not edge.is_wire)
        for widget in (self.from_label, self.from_port, self.to_label, self.to_port):
            widget.setVisible(edge.is_wire)
        if not edge.is_wire:
            return
        graph, catalog = self._document.graph, self._document.catalog
        source, target = graph.find_node(edge.from_node), graph.find_node(edge.to_node)
        from_tool = catalog.get(source.function_name) if source is not None else None
        to_tool = catalog.get(target.function_name) if target is not None else None
        outputs = [port.name for port in from_tool.outputs] if from_tool is not None else []
        inputs = [port.name for port in to_tool.inputs] if to_tool is not None else []
        _fill(self.from_port, outputs, edge.from_port or RESULT_PORT)
        _fill(self.to_port, inputs, edge.to_port or "")

    # ------------------------------------------------------------------------------------------ editing

    def _choose(self, name: str) -> None:
        if self.key is None:
            return
        self._document.end_typing()
        self._is_writing = name == WHEN
        edge = self._document.find_edge(self.key)
        was_written = edge is not None and edge.condition not in (None, ELSE)
        if not (name == WHEN and was_written):
            self._document.attempt("set_condition", self.key, ELSE if name == OTHERWISE else None)
        self.refresh()
        if name == WHEN:
            self.condition.line.setFocus(Qt.FocusReason.OtherFocusReason)

    def _typed(self, text: str) -> None:
        if self.key is None:
            return
        self._is_writing = True
        try:
            self._document.set_condition(self.key, text.strip() and text)
        except GraphEditError as error:
            self._say(str(error))
        else:
            self.refresh()

    def _leave(self) -> None:
        self._document.end_typing()
        self._is_writing = False
        self.refresh()

    def _change_output(self) -> None:
        chosen = self.from_port.currentText()
        self._change(from_port=None if chosen == RESULT_PORT else chosen)

    def _change(self, **update: str | None) -> None:
        if self.key is None:
            return
        try:
            self._document.change_edge(self.key, **update)
        except GraphEditError as error:
            self.refusal.setText(str(error))
            self.refusal.show()
        else:
            self.refusal.hide()
        self.refresh()

    def _jump(self, end: Literal[0, 1]) -> None:
        if self.key is not None:
            self.jump_requested.emit(self.key[end])

    def _remove(self) -> None:
        if self.key is not None:
            self._document.remove(edge_keys=[self.key])


def _fill(combo: ComboBox, names: list[str], current: str) -> None:
    wanted = names if current in names else [*names, current]
    if [combo.itemText(index) for index in range(combo.count())] != wanted:
        combo.clear()
        combo.addItems(wanted)
    combo.setCurrentText(current)
