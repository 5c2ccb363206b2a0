"""The inspector's page for one node: its title and status, parameters, policies, result and help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QTabWidget, QVBoxLayout, QWidget

from engine.model.problem import Problem
from engine.model.run import RunSnapshot
from wfe_desktop.document.document import WorkflowDocument
from wfe_desktop.document.names import node_title
from wfe_desktop.forms.controls import words
from wfe_desktop.forms.form import ParameterForm
from wfe_desktop.panels.inspector_help import HelpView
from wfe_desktop.panels.inspector_parts import Header, scrolled
from wfe_desktop.panels.inspector_policies import PoliciesForm
from wfe_desktop.panels.inspector_result import ResultView
from wfe_desktop.theme import SPACE, STATUS_ICONS, category_icon, current_theme, icon_pixmap


class NodePage(QWidget):
    """Header and tabs for one node."""

    jump_requested = Signal(str)
    inputs_wanted = Signal(str, str, int, int)

    def __init__(
        self,
        document: WorkflowDocument,
        workspace: Path | None = None,
        resources: Mapping[str, int] | None = None,
        parent: QWidget | None = None,
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
        self.policies = PoliciesForm(document, resources)
        self.result = ResultView()
        self.result.given.wanted.connect(self.inputs_wanted)
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
        self.policies.show_problems(problems)

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
        status = step.status.value if step is not None else ""
        runs_child = step is not None and step.waits_for is not None and step.waits_for.kind == "run"
        if self._run is not None and node.id in self._run.held:
            status = "paused"
        elif runs_child:
            status = "running"
        for label in (self.status_sign, self.status):
            label.setVisible(bool(status))
        if status:
            words_for = {"paused": "Paused here", "running": "Runs a workflow" if runs_child else "Running"}
            self.status.setText(words_for.get(status, status.capitalize()))
            ink = current_theme().status_text_color(status)
            waits = step.waits_for if step is not None else None
            in_queue = status == "waiting" and waits is not None and waits.kind == "resources"
            sign = "hourglass" if in_queue else STATUS_ICONS[status]
            self.status_sign.setPixmap(icon_pixmap(sign, ink, 3 * SPACE))
            self.status.setStyleSheet(f"color: {ink}; font-weight: 600;")
        self.result.show_step(self._run, step, node.id)

    def _set_label(self, text: str) -> None:
        if self.node_id is not None:
            self._document.attempt("set_label", self.node_id, text)

    def _leave_title(self) -> None:
        self._document.end_typing()
        self.refresh()
