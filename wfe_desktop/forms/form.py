"""The form of a node's parameters, made from its tool's schema and kept in step with the graph."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from engine.model.graph import RESULT_PORT, NodeDefinition
from engine.model.problem import Problem
from engine.model.tool import Tool
from wfe_desktop.document.document import WorkflowDocument
from wfe_desktop.document.edits import EdgeKey, GraphEditError
from wfe_desktop.forms.controls import LineEdit, words
from wfe_desktop.forms.expression import completions
from wfe_desktop.forms.fields import UNSET, FieldSpec, MaybeValue, free_spec, make_spec
from wfe_desktop.forms.row import ParameterRow, RowState, WireView
from wfe_desktop.theme import SPACE


class ParameterForm(QWidget):
    """Rows for the parameters of one node. It is updated in place: a field that is being typed in stays."""

    jump_requested = Signal(str)
    """Show the node with this id."""

    def __init__(
        self, document: WorkflowDocument, workspace: Path | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.rows: dict[str, ParameterRow] = {}
        self.find_workflows: Callable[[], Sequence[tuple[str, str]]] = list
        """How nodes may name the stored workflows, and their titles."""
        self._document = document
        self._workspace = workspace
        self._node_id: str | None = None
        self._problems: Sequence[Problem] = ()
        column = QVBoxLayout(self)
        column.setContentsMargins(4 * SPACE, 4 * SPACE, 4 * SPACE, 4 * SPACE)
        column.setSpacing(4 * SPACE)
        self.notice = words(role="second", wrap=True)
        column.addWidget(self.notice)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(4 * SPACE)
        column.addLayout(self._rows)
        column.addWidget(self._make_adder())
        column.addStretch(1)

    def _make_adder(self) -> QWidget:
        self.adder = QWidget()
        row = QHBoxLayout(self.adder)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACE)
        self.new_name = LineEdit()
        self.new_name.setPlaceholderText("another parameter")
        self.new_name.setAccessibleName("Name of another parameter")
        self.add_button = QPushButton("Add")
        self.add_button.clicked.connect(self._add)
        self.new_name.returnPressed.connect(self._add)
        row.addWidget(self.new_name, 1)
        row.addWidget(self.add_button)
        return self.adder

    # ------------------------------------------------------------------------------------------ showing

    def show_node(self, node_id: str | None) -> None:
        """Show another node's parameters."""
        if node_id != self._node_id:
            self._document.end_typing()
            self._node_id = node_id
            self.new_name.clear()
            for row in self.rows.values():
                row.forget()
        self.refresh()

    def follow(self, old: str, new: str) -> None:
        """The node got another id: the fields stay as they are."""
        if self._node_id == old:
            self._node_id = new

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """What validation says of the graph; faults of a parameter are shown at its field."""
        self._problems = problems
        self.refresh()

    def refresh(self) -> None:
        """Bring the rows in step with the graph."""
        node = self._document.find_node(self._node_id) if self._node_id is not None else None
        if node is None:
            return
        tool = self._document.catalog.get(node.function_name)
        specs = self._wanted(node, tool)
        self._show_notice(node, tool, specs)
        for name in [name for name, row in self.rows.items() if specs.get(name) != row.spec]:
            self._drop(name)
        wires = self._find_wires(node.id)
        for index, (name, spec) in enumerate(specs.items()):
            row = self.rows.get(name) or self._add_row(spec, index)
            row.show_state(self._state(node, name, wires))
        self.adder.setVisible(tool is None or tool.takes_any)

    def _wanted(self, node: NodeDefinition, tool: Tool | None) -> dict[str, FieldSpec]:
        """The tool's parameters, then those of the node that the tool does not name."""
        specs = {port.name: make_spec(port) for port in (tool.inputs if tool is not None else ())}
        wired = {
            edge.to_port for edge in self._document.graph.edges if edge.to_node == node.id and edge.to_port
        }
        for name in [*node.parameters, *node.bindings, *sorted(wired)]:
            if name not in specs:
                specs[name] = free_spec(name)
        return specs

    def _show_notice(self, node: NodeDefinition, tool: Tool | None, specs: Mapping[str, Any]) -> None:
        text = ""
        if tool is None:
            text = f'The tool "{node.function_name}" is not registered. What is set is kept; the node cannot run.'
        elif not specs and not tool.takes_any:
            text = (
                "This tool works on the state alone; it has no parameters."
                if tool.takes_state
                else "This tool has no parameters."
            )
        self.notice.setText(text)
        self.notice.setVisible(bool(text))

    def _find_wires(self, node_id: str) -> dict[str, tuple[WireView, ...]]:
        found: dict[str, tuple[WireView, ...]] = {}
        for edge in self._document.graph.edges:
            if edge.to_node == node_id and edge.to_port is not None:
                port = edge.from_port or RESULT_PORT
                text = f"from {self._document.node_title(edge.from_node)} · {port}"
                found[edge.to_port] = (
                    *found.get(edge.to_port, ()),
                    WireView(edge.key, edge.from_node, text),
                )
        return found

    def _state(self, node: NodeDefinition, name: str, wires: Mapping[str, tuple[WireView, ...]]) -> RowState:
        places = {f"parameters.{name}", f"bindings.{name}"}
        problem = next(
            (p.message for p in self._problems if p.node_id == node.id and p.field in places), None
        )
        tool = self._document.catalog.get(node.function_name)
        if tool is not None and not tool.takes_any and tool.find_input(name) is None:
            problem = f'{tool.label} has no parameter "{name}".'
        value: MaybeValue = node.parameters.get(name, UNSET)
        return RowState(
            value, node.bindings.get(name), wires.get(name, ()), problem, knows_item=node.for_each is not None
        )

    def _add_row(self, spec: FieldSpec, index: int) -> ParameterRow:
        row = ParameterRow(spec, self._workspace)
        row.find_words = self._find_words
        row.find_workflows = self._list_workflows
        row.value_edited.connect(self._set_value)
        row.binding_edited.connect(self._set_binding)
        row.expression_requested.connect(self._use_expression)
        row.value_requested.connect(self._use_value)
        row.reset_requested.connect(self._reset)
        row.left.connect(self._document.end_typing)
        row.jump_requested.connect(self.jump_requested)
        row.disconnect_requested.connect(self._disconnect)
        self.rows[spec.name] = row
        self._rows.insertWidget(index, row)
        return row

    def _list_workflows(self) -> Sequence[tuple[str, str]]:
        return self.find_workflows()  # it may be given after the row was made

    def _find_words(self) -> list[str]:
        document = self._document
        node = document.find_node(self._node_id) if self._node_id is not None else None
        has_item = node is not None and node.for_each is not None
        return completions(document.graph, document.catalog, with_item=has_item)

    def _drop(self, name: str) -> None:
        row = self.rows.pop(name)
        row.blockSignals(True)  # noqa: FBT003 - Qt's own
        row.hide()
        self._rows.removeWidget(row)
        row.deleteLater()

    # ------------------------------------------------------------------------------------------ editing

    def _edit(self, name: str, edit: str, *arguments: object) -> None:
        """Do an edit of the shown node; a refusal is shown at the row."""
        if self._node_id is None:
            return
        try:
            getattr(self._document, edit)(self._node_id, *arguments)
        except GraphEditError as error:
            if name in self.rows:
                self.rows[name].show_message(str(error))

    def _set_value(self, name: str, value: MaybeValue) -> None:
        if value is UNSET:
            self._edit(name, "unset_parameter", name)
        else:
            self._edit(name, "set_parameter", name, value)

    def _set_binding(self, name: str, text: str) -> None:
        self._edit(name, "set_binding", name, text.strip() and text)

    def _use_expression(self, name: str) -> None:
        """From value to expression: what was set, as an expression; else the state's key of this name."""
        value = self.rows[name].state.value
        is_name = name.isidentifier() and not keyword.iskeyword(name)
        text = f"state.{name}" if is_name else f"state[{name!r}]"
        if value is not UNSET and len(repr(value)) < 500:
            text = repr(value)
        self._edit(name, "use_expression", name, text)
        self._focus(name)

    def _use_value(self, name: str) -> None:
        """From expression to value: its value where it is a constant, else none."""
        try:
            value = ast.literal_eval(self.rows[name].state.binding or "")
            is_json = value is None or isinstance(value, bool | int | float | str | list | dict)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            value, is_json = None, False
        if is_json:
            self._edit(name, "use_value", name, value)
        else:
            self._edit(name, "clear_parameter", name)
        self._focus(name)

    def _reset(self, name: str) -> None:
        self._edit(name, "clear_parameter", name)
        self._focus(name)

    def _focus(self, name: str) -> None:
        if name in self.rows:
            self.rows[name].focus_field()

    def _disconnect(self, key: object) -> None:
        self._document.remove(edge_keys=[cast("EdgeKey", key)])

    def _add(self) -> None:
        name = self.new_name.text().strip()
        if not name or name in self.rows:
            self._focus(name)
            return
        self._edit(name, "set_parameter", name, None)
        self.new_name.clear()
        self._focus(name)
