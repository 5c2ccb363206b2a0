"""One inspector for each open workflow, the front one's in sight: changing tabs rebuilds nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import shiboken6
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget, QWidget

from engine.model.problem import Problem
from engine.model.run import RunSnapshot
from wfe_desktop.document.document import WorkflowDocument
from wfe_desktop.document.edits import EdgeKey
from wfe_desktop.panels.empty import EmptyState
from wfe_desktop.panels.inspector import InspectorPanel
from wfe_desktop.theme import INSPECTOR_WIDTH


class InspectorHost(QStackedWidget):
    """Hands everything on to the inspector of the document in front.

    ``select_requested(node ids, edge keys)``, ``run_requested(run_id)``.
    """

    select_requested = Signal(list, list)
    run_requested = Signal(str)
    inputs_wanted = Signal(str, str, int, int)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("panel", "true")
        self.setMinimumWidth(INSPECTOR_WIDTH - 64)
        self.workspace: Path | None = None
        """Files in this folder are named from there. For inspectors that are made from now on."""
        self.find_workflows: Callable[[], Sequence[tuple[str, str]]] = list
        """How nodes may name the stored workflows, and their titles. As above."""
        self.resources: Mapping[str, int] = {}
        """The program's resources with their limits, to choose from. As well."""
        self._panels: dict[str, InspectorPanel] = {}
        self._nothing = EmptyState("eye", "Nothing to edit here", "This version is kept as a run saw it.")
        self.addWidget(QWidget())  # in sight until the first workflow is open
        self.addWidget(self._nothing)

    @property
    def current(self) -> InspectorPanel | None:
        """The inspector in sight."""
        panel = self.currentWidget()
        return panel if isinstance(panel, InspectorPanel) else None

    def show_document(self, document: WorkflowDocument | None) -> None:
        """Bring a document's inspector to the front; None: what is open cannot be edited."""
        if document is None:
            self.setCurrentWidget(self._nothing)
            return
        panel = self._panels.get(document.key)
        if panel is None:
            panel = self._panels[document.key] = InspectorPanel(document, self.workspace, self.resources)
            panel.select_requested.connect(self.select_requested)
            panel.node_page.form.find_workflows = self.find_workflows
            panel.node_page.result.run_requested.connect(self.run_requested)
            panel.inputs_wanted.connect(self.inputs_wanted)
            self.addWidget(panel)
        self.setCurrentWidget(panel)

    def drop_hidden(self) -> None:
        """Throw away the inspectors that are not in sight; they are made again when they are wanted.

        A change of the theme dresses every field of every one of them, and each costs a quarter of a second.
        """
        for key, panel in list(self._panels.items()):
            if panel is not self.current:
                del self._panels[key]
                panel.set_document(None)
                self.removeWidget(panel)
                shiboken6.delete(panel)  # type: ignore[no-untyped-call]

    def forget(self, document: WorkflowDocument) -> None:
        """The document was closed."""
        panel = self._panels.pop(document.key, None)
        if panel is not None:
            panel.set_document(None)
            self.removeWidget(panel)
            panel.deleteLater()

    def show_selection(self, node_ids: Collection[str], edge_keys: Collection[EdgeKey]) -> None:
        """Show what is selected on the canvas."""
        if self.current is not None:
            self.current.show_selection(node_ids, edge_keys)

    def show_run(self, snapshot: RunSnapshot | None) -> None:
        """Show where things stand in this run."""
        if self.current is not None:
            self.current.show_run(snapshot)

    def show_inputs(self, run_id: str, found: object) -> None:
        """Show what a step of a run was given."""
        if self.current is not None:
            self.current.show_inputs(run_id, found)

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """Show faults of parameters at their fields."""
        if self.current is not None:
            self.current.show_problems(problems)

    def edit_condition(self, key: EdgeKey) -> None:
        """Put the caret into an edge's condition."""
        if self.current is not None:
            self.current.edit_condition(key)

    def edit_label(self, node_id: str) -> None:
        """Make a node's title ready to be typed over."""
        if self.current is not None:
            self.current.edit_label(node_id)
