"""What the selected run's step was given: found again by following the run, so it is asked for only when it is looked at."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from engine.model.run import RunSnapshot, StepInfo, StepInputs
from wfe_desktop.forms.controls import words
from wfe_desktop.panels.value_view import ValueView
from wfe_desktop.theme import SPACE

DELAY_MS = 200
FOLLOWED_BY_ITSELF = 2_000
"""Steps of a run; one that has come further is followed only when the user asks for it."""

Place = tuple[str, str, int, int]
"""Run, node, visit, attempt."""


class GivenView(QWidget):
    """A part of the tab Result. ``wanted(run id, node id, visit, attempt)``: answer with ``show_inputs``."""

    wanted = Signal(str, str, int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._place: Place | None = None
        self._asked: Place | None = None
        self._is_far = False
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * SPACE)
        self.ask_button = QPushButton("Show what it was given")
        self.ask_button.clicked.connect(self._ask)
        layout.addWidget(self.ask_button)
        self.arguments = ValueView("Given")
        layout.addWidget(self.arguments)
        self.state = ValueView("State at its start")
        layout.addWidget(self.state)
        self.error = words(role="second", wrap=True)
        layout.addWidget(self.error)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(DELAY_MS)
        self._soon.timeout.connect(self._ask)
        self._clear()

    def show_step(self, run: RunSnapshot | None, step: StepInfo | None) -> None:
        """The step whose inputs are to be shown; one that has not started was given nothing."""
        if run is None or step is None or not step.visit:
            self._place = None
            self._soon.stop()
            self.hide()
            return
        place = (run.run_id, step.node_id, step.visit, step.attempt)
        if place == self._place:
            return
        self._place, self._asked = place, None
        self._is_far = len(run.current_state.execution_path) > FOLLOWED_BY_ITSELF
        self._clear()
        self.show()
        if self.isVisible():
            self._look()

    def show_inputs(self, run_id: str, found: object) -> None:
        """The answer, StepInputs; None where there is none. One for another step comes too late."""
        if self._place is None or self._place != self._asked or run_id != self._place[0]:
            return
        if found is None:
            self.error.setText("It cannot be found any more.")
            self.error.show()
            return
        assert isinstance(found, StepInputs)
        if (found.node_id, found.visit, found.attempt) != self._place[1:]:
            return
        if found.error is not None:
            self.error.setText("Nothing: it could not be started.")
            self.error.show()
        elif found.items is not None:
            self.arguments.show_value(found.items)
            self.arguments.show()
        elif found.arguments or found.state is None:
            self.arguments.show_value(found.arguments)
            self.arguments.show()
        if found.state is not None:
            self.state.show_value(found.state)
            self.state.show()

    def showEvent(self, event: QShowEvent) -> None:
        """Somebody looks."""
        super().showEvent(event)
        self._look()

    def _look(self) -> None:
        if self._place is None or self._place == self._asked:
            return
        self.ask_button.setVisible(self._is_far)
        if not self._is_far:
            self._soon.start()

    def _ask(self) -> None:
        if self._place is not None and self._place != self._asked and self.isVisible():
            self._asked = self._place
            self.ask_button.hide()
            self.wanted.emit(*self._place)

    def _clear(self) -> None:
        for widget in (self.ask_button, self.arguments, self.state, self.error):
            widget.hide()
