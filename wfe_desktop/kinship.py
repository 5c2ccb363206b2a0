"""Leading from a run to the run that started it, and from a step to the runs of other workflows that it started."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import cast

from PySide6.QtCore import QObject

from engine.model.run import RunSnapshot, RunSummary, StepInfo
from engine.model.status import RunStatus
from engine.storage.journal import StateManager
from wfe_desktop.background import Background
from wfe_desktop.editors import Editor, Editors
from wfe_desktop.running import RunControl


class Kinship(QObject):
    """Says above the canvas whose child the shown run is, and which runs the selected step started. On the GUI thread."""

    def __init__(
        self, states: StateManager, background: Background, editors: Editors, runs: RunControl
    ) -> None:
        super().__init__()
        self._states, self._background = states, background
        self._editors, self._runs = editors, runs
        self._shown: dict[Editor, RunSnapshot] = {}
        self._parents: dict[str, RunSummary | None] = {}
        """By id, as far as they were asked for; None where a parent is still being read, or is no more."""
        for editor in editors:
            self._watch(editor)
        editors.opened.connect(self._watch)
        editors.closed.connect(lambda editor: self._shown.pop(editor, None))
        runs.state_read.connect(self._take)

    def _watch(self, editor: Editor) -> None:
        editor.family_bar.run_requested.connect(self._runs.show_run)
        editor.selection_changed.connect(lambda: self._show(editor))

    def _take(self, snapshot: object) -> None:
        editor, run = self._editors.current, cast("RunSnapshot | None", snapshot)
        if editor is None:
            return
        if run is None:
            self._shown.pop(editor, None)
        else:
            self._shown[editor] = run
        self._show(editor)

    def _take_parent(self, parent_run_id: str, parent: RunSummary | None) -> None:
        self._parents[parent_run_id] = parent
        for editor, run in list(self._shown.items()):
            if run.parent_run_id == parent_run_id:
                self._show(editor)

    def _show(self, editor: Editor) -> None:
        run = self._shown.get(editor)
        having = [step for step in run.steps.values() if step.child_run_ids] if run is not None else []
        if run is None or not (having or run.parent_run_id):
            editor.family_bar.hide()
            return
        step = _choose(having, editor.canvas.selection[0])
        if step is not None:
            text = describe_children(editor.document.node_title(step.node_id), step, run.status)
        elif run.parent_run_id is not None:
            text = self._describe_parent(run, run.parent_run_id)
        else:  # it stays in sight: coming and going, it would move the canvas under the pointer
            text = "Steps of this run have started others: select one to show them"
        children = step.child_run_ids if step is not None else ()
        editor.family_bar.show_family(text, run.parent_run_id, children)

    def _describe_parent(self, run: RunSnapshot, parent_run_id: str) -> str:
        if parent_run_id not in self._parents:
            self._parents[parent_run_id] = None
            self._background.run(
                partial(self._states.find_run, parent_run_id),
                partial(self._take_parent, parent_run_id),
                owner=self,
            )
        parent = self._parents[parent_run_id]
        of = f"a run of “{parent.graph_name}”" if parent is not None else "another run"
        return f"The step “{run.parent_node_id}” of {of} started this run"


def _choose(having: Sequence[StepInfo], selected: Collection[str]) -> StepInfo | None:
    """Of the steps that have started runs, the selected one; else the only one."""
    chosen = next((step for step in having if step.node_id in selected), None)
    return having[0] if chosen is None and len(having) == 1 else chosen


def describe_children(title: str, step: StepInfo, status: RunStatus) -> str:
    """What has become of the runs that a step started."""
    waits = step.waits_for is not None and step.waits_for.kind == "run"
    if waits and status is RunStatus.WAITING:
        return f"“{title}” runs a workflow that waits for somebody: its run says for what"
    if step.items_total is not None:
        return f"“{title}” runs a workflow for each item: {step.items_done} of {step.items_total} are done"
    if waits:
        return f"“{title}” waits for the workflow that it runs"
    return f"“{title}” ran another workflow"
