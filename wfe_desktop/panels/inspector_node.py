"""The inspector's page for one node: its title and status, parameters, policies, result and help."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QLabel, QTabWidget, QVBoxLayout, QWidget

from engine.model.graph import NodeDefinition
from engine.model.problem import Problem
from engine.model.run import RunSnapshot
from wfe_desktop.document.document import WorkflowDocument
from wfe_desktop.document.edits import GraphEditError
from wfe_desktop.document.names import node_title
from wfe_desktop.forms.controls import words
from wfe_desktop.forms.field_row import FieldRow
from wfe_desktop.forms.fields import UNSET, FieldSpec, Kind, MaybeValue
from wfe_desktop.forms.form import ParameterForm
from wfe_desktop.panels.inspector_help import HelpView
from wfe_desktop.panels.inspector_parts import Header, column, scrolled
from wfe_desktop.panels.inspector_result import ResultView
from wfe_desktop.theme import SPACE, STATUS_ICONS, category_icon, current_theme, icon_pixmap

_SAVE_AS = FieldSpec(
    "save_as", Kind.TEXT, {"type": "string", "maxLength": 200}, "state key", empty="not saved"
)
_JOIN = FieldSpec(
    "join", Kind.SCALAR, {"anyOf": [{"enum": ["all", "any"]}, {"type": "integer", "minimum": 1}]},
    "all, any or a number", default="all", takes_text=True,
)  # fmt: skip
_ON_ERROR = FieldSpec(
    "on_error", Kind.CHOICE, {}, default="fail", choices=("fail", "continue"), takes_text=True
)
_DEFAULT_RESULT = FieldSpec("default_result", Kind.JSON, {}, "any", takes_text=True, empty="null")
_ID = FieldSpec("id", Kind.TEXT, {"type": "string", "maxLength": 200}, "steps.<id>", required=True)
_DESCRIPTION = FieldSpec(
    "description", Kind.LONG_TEXT, {"type": "string", "maxLength": 10_000}, default="", empty="For people"
)


class PoliciesForm(QWidget):
    """The tab Policies: how the node joins, what its failure does, where its result goes."""

    def __init__(self, document: WorkflowDocument, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document = document
        self._node_id: str | None = None
        layout = column(self)
        self.start = QCheckBox("Runs start here")
        self.start.setProperty("toggle", "true")
        self.start.setToolTip(
            "The entry of the workflow. Without one, runs start at every node that no edge leads to."
        )
        self.start.clicked.connect(self._set_start)
        layout.addWidget(self.start)
        self.rows: dict[str, FieldRow] = {}
        for label, spec, tooltip in (
            ("Save the result as", _SAVE_AS, "Also write the result to this key of the state."),
            ("Join", _JOIN, "all: wait until every incoming edge is decided. any, or a number: run at the first, or n-th, taken edge."),
            ("On failure", _ON_ERROR, "fail: the run fails, unless an error edge takes over. continue: go on with the default result."),
            ("Default result", _DEFAULT_RESULT, "What counts as the result after a failure, as JSON."),
            ("Id", _ID, "How expressions name the step. Changing it rewrites the edges and expressions that name it."),
            ("Notes", _DESCRIPTION, "For people; nothing in a run depends on it."),
        ):  # fmt: skip
            row = FieldRow(label, spec, tooltip)
            self.rows[spec.name] = row
            layout.addWidget(row)
            row.left.connect(document.end_typing)
            if spec is not _ID:
                row.edited.connect(lambda value, name=spec.name: self._set(name, value))
        self.rows["id"].left.connect(self._rename)
        layout.addStretch(1)

    def show_node(self, node: NodeDefinition) -> None:
        """Bring the fields in step with the node."""
        if node.id != self._node_id:
            self._node_id = node.id
            self.rows["id"].show_value(node.id)
        elif not self.rows["id"].editor.field.hasFocus():
            self.rows["id"].show_value(node.id)
        self.start.setChecked(self._document.graph.entry_point == node.id)
        for name in ("save_as", "join", "on_error", "default_result", "description"):
            value = getattr(node, name)
            self.rows[name].show_value(UNSET if value == NodeDefinition.model_fields[name].default else value)
        self.rows["default_result"].setVisible(node.on_error == "continue")

    def _set(self, name: str, value: MaybeValue) -> None:
        if self._node_id is None:
            return
        wanted = NodeDefinition.model_fields[name].default if value is UNSET else value
        try:
            self._document.set_node_field(self._node_id, name, wanted)
        except GraphEditError as error:
            self.rows[name].show_message(str(error))

    def _rename(self) -> None:
        """The id is taken over when the field is left: half an id would rewrite expressions at each key."""
        row = self.rows["id"]
        if self._node_id is None or row.value == self._node_id:
            return
        try:
            self._document.rename_node(self._node_id, "" if row.value is UNSET else str(row.value))
        except GraphEditError as error:
            row.show_message(str(error))

    def _set_start(self) -> None:
        try:
            self._document.set_entry(self._node_id if self.start.isChecked() else None)
        except GraphEditError as error:
            self.start.setChecked(not self.start.isChecked())
            self._document.refused.emit(str(error))


class NodePage(QWidget):
    """Header and tabs for one node."""

    jump_requested = Signal(str)

    def __init__(
        self, document: WorkflowDocument, workspace: Path | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document = document
        self.node_id: str | None = None
        self._run: RunSnapshot | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self.header = Header()
        self.header.title.setAccessibleName("Label of the node")
        self.header.title.textEdited.connect(self._set_label)
        self.header.title.left.connect(self._leave_title)
        self.status_sign, self.status = QLabel(), words()
        self.header.right.addWidget(self.status_sign)
        self.header.right.addWidget(self.status)
        layout.addWidget(self.header)
        self.form = ParameterForm(document, workspace)
        self.form.jump_requested.connect(self.jump_requested)
        self.policies = PoliciesForm(document)
        self.result = ResultView()
        self.help = HelpView()
        self.tabs = QTabWidget()
        self.tabs.setUsesScrollButtons(True)
        for title, view in (
            ("Parameters", self.form),
            ("Policies", self.policies),
            ("Result", self.result),
            ("Help", self.help),
        ):
            self.tabs.addTab(scrolled(view), title)
        layout.addWidget(self.tabs, 1)

    def show_node(self, node_id: str) -> None:
        """Show another node."""
        self.node_id = node_id
        self.form.show_node(node_id)
        self.refresh()

    def follow(self, old: str, new: str) -> None:
        """The node got another id."""
        if self.node_id == old:
            self.node_id = new
            self.form.follow(old, new)

    def show_run(self, run: RunSnapshot | None) -> None:
        """Show where the node stands in a run."""
        self._run = run
        self._show_status()

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """Faults of the graph, shown at their fields."""
        self.form.show_problems(problems)

    def refresh(self) -> None:
        """Bring everything in step with the graph."""
        node = self._document.find_node(self.node_id) if self.node_id is not None else None
        if node is None:
            return
        tool = self._document.catalog.get(node.function_name)
        category = tool.category if tool is not None else ""
        self.header.tile.show_icon(category_icon(category) if tool is not None else "warning", category)
        default = tool.label if tool is not None else node.id
        self.header.show_title(node_title(node, self._document.catalog), default)
        self.form.refresh()
        self.policies.show_node(node)
        self.help.show_tool(node.function_name, tool)
        self._show_status()

    def _show_status(self) -> None:
        node = self._document.find_node(self.node_id) if self.node_id is not None else None
        if node is None:
            return
        step = self._run.steps.get(node.id) if self._run is not None else None
        visit = f" · visit {step.visit}" if step is not None and step.visit > 1 else ""
        self.header.show_subtitle(f"{node.function_name}{visit}")
        for label in (self.status_sign, self.status):
            label.setVisible(step is not None)
        if step is not None:
            theme = current_theme()
            self.status.setText(step.status.value.capitalize())
            ink = theme.status_text_color(step.status)
            self.status_sign.setPixmap(icon_pixmap(STATUS_ICONS[step.status.value], ink, 3 * SPACE))
            self.status.setStyleSheet(f"color: {ink}; font-weight: 600;")
        self.result.show_step(self._run, step, node.id)

    def _set_label(self, text: str) -> None:
        if self.node_id is not None:
            self._document.attempt("set_label", self.node_id, text)

    def _leave_title(self) -> None:
        self._document.end_typing()
        self.refresh()
