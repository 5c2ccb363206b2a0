"""What the selected run's step did: where it stands, how long it took, its error or its result."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QWidget

from engine.model.run import RunSnapshot, StepInfo
from wfe_desktop.forms.controls import TextArea, line, words
from wfe_desktop.models.times import describe_duration
from wfe_desktop.panels.family_bar import RunsButton
from wfe_desktop.panels.inspector_given import GivenView
from wfe_desktop.panels.inspector_parts import column
from wfe_desktop.panels.value_view import ValueView
from wfe_desktop.theme import SPACE


class ResultView(QWidget):
    """The tab Result of a node. ``run_requested(run_id)``: a run that the step started should be shown."""

    run_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = column(self)
        self.empty = words(role="second", wrap=True)
        layout.addWidget(self.empty)
        self.facts = QWidget()
        self._grid = QGridLayout(self.facts)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(4 * SPACE)
        self._grid.setVerticalSpacing(SPACE + SPACE // 2)
        self._grid.setColumnStretch(1, 1)
        self._names: dict[str, QLabel] = {}
        self._values: dict[str, QLabel] = {}
        for name in ("Status", "Visit", "Attempt", "Started", "Took", "Waits for", "Kept from"):
            self._add_fact(name)
        layout.addWidget(self.facts)
        self.runs_button = RunsButton()
        self.runs_button.run_requested.connect(self.run_requested)
        row = QHBoxLayout()
        row.addWidget(self.runs_button)
        row.addStretch(1)
        layout.addLayout(row)
        self._line = line()
        layout.addWidget(self._line)
        self.error_title = words("Error", "heading")
        layout.addWidget(self.error_title)
        self.error = TextArea(lines=1, most=12)
        self.error.setReadOnly(True)
        self.error.setAccessibleName("Error")
        layout.addWidget(self.error)
        self.result = ValueView("Result")
        layout.addWidget(self.result)
        self.given = GivenView()
        layout.addWidget(self.given)
        layout.addStretch(1)
        self.show_step(None, None, "")

    def _add_fact(self, name: str) -> None:
        row = len(self._values)
        self._names[name] = words(name, "second")
        self._grid.addWidget(self._names[name], row, 0)
        self._values[name] = words()
        self._grid.addWidget(self._values[name], row, 1)

    def show_step(self, run: RunSnapshot | None, step: StepInfo | None, node_id: str) -> None:
        """Show where a node stands in a run. Without a run or a step, say what to do."""
        self.given.show_step(run, step)
        self.empty.setVisible(step is None)
        self.runs_button.show_runs(step.child_run_ids if step is not None else ())
        for widget in (self.facts, self._line, self.error_title, self.error, self.result):
            widget.setVisible(step is not None)
        if run is None:
            self.empty.setText("No run is shown. Press F5 to run the workflow, or choose a run under Runs.")
        elif step is None:
            self.empty.setText("The run that is shown has not come to this node.")
        else:
            self._show_facts(step)
            has_error = bool(step.error)
            self.error_title.setVisible(has_error)
            self.error.setVisible(has_error)
            if self.error.toPlainText() != (step.error or ""):
                self.error.setPlainText(step.error or "")
            has_result = node_id in run.results
            self.result.setVisible(has_result)
            self._line.setVisible(has_error or has_result)
            if has_result:
                self.result.show_value(run.results[node_id])

    def _show_facts(self, step: StepInfo) -> None:
        started = step.started_at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if step.started_at else "–"
        origin = step.taken_from
        if origin is not None:
            started = f"taken over from run …{origin[-4:]}"
        self._values["Started"].setToolTip(
            "" if origin is None else f"It ran in run {origin} and was not run again."
        )
        took = "–" if step.duration_s is None else describe_duration(step.duration_s)
        facts = {
            "Status": step.status.value,
            "Visit": str(step.visit),
            "Attempt": str(step.attempt),
            "Started": started,
            "Took": took,
            "Waits for": _describe_wait(step),
            "Kept from": "" if step.cached_from is None else f"run …{step.cached_from[-4:]}",
        }
        kept = (
            ""
            if step.cached_from is None
            else f"Run {step.cached_from} made the result; the tool was not called."
        )
        self._values["Kept from"].setToolTip(kept)
        for name, text in facts.items():
            self._values[name].setText(text)
            self._names[name].setVisible(bool(text))
            self._values[name].setVisible(bool(text))


def _describe_wait(step: StepInfo) -> str:
    """The tokens that it waits for; other waits are said above the canvas."""
    waits = step.waits_for
    if waits is None or waits.kind != "resources" or waits.since is None:
        return ""
    return f"{waits.message}, since {waits.since.astimezone():%H:%M:%S}"
