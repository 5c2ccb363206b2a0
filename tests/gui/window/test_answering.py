"""Steps that wait for somebody are answered in the window, with real keys and clicks on a real engine."""

import threading
import time
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox, QPushButton

from engine import WaitForSignal
from engine.config import AppConfig
from engine.execution.services import Services, open_services
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from engine.model.status import RunStatus, StepStatus
from tests.gui.window.conftest import Hand
from tests.gui.window.test_steering import F5, press, steps_done, wait_until
from tests.gui.window.test_window import open_stored, shown
from wfe_desktop.dialogs.answer_form import AnswerForm
from wfe_desktop.panels.waiting_bar import WaitingBar

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)

REVIEW = {
    "type": "object",
    "properties": {
        "approved": {"type": "boolean"},
        "copies": {"type": "integer", "multipleOf": 5},
        "note": {"type": "string", "title": "Note"},
    },
    "required": ["approved", "copies"],
}


def bar_of(hand: Hand) -> WaitingBar:
    return hand.editor.waiting_bar


def start_asking(hand: Hand, *schemas: dict | None) -> None:
    """Run a workflow with one step for each schema that waits, all at once, and then one that does not."""
    for number, schema in enumerate(schemas):

        def approve(schema=schema) -> WaitForSignal:
            return WaitForSignal("approval", schema, "Is this all right?")

        hand.services.registry.register_tool(f"approve_{number}", approve, "Ask", category="Test")
    hand.settle()
    nodes = [
        NodeDefinition(id=f"ask{number}", function_name=f"approve_{number}", label=f"Approval {number + 1}")
        for number in range(len(schemas))
    ]
    edges = [EdgeDefinition(from_node=node.id, to_node="end") for node in nodes]
    end = NodeDefinition(id="end", function_name="add", parameters={"a": 1})
    open_stored(hand, GraphDefinition(name="Review", nodes=(*nodes, end), edges=tuple(edges)))
    press(hand, F5)
    hand.wait(bar_of(hand).isVisible)
    hand.wait(lambda: shown(hand).nodes["ask0"].status is StepStatus.WAITING)


def open_box(hand: Hand) -> QMessageBox:
    hand.click(bar_of(hand).button)
    hand.wait(lambda: isinstance(QApplication.activeModalWidget(), QMessageBox))
    box = QApplication.activeModalWidget()
    assert isinstance(box, QMessageBox)
    return box


def open_form(hand: Hand) -> AnswerForm:
    hand.click(bar_of(hand).button)
    return wait_for_form(hand)


def wait_for_form(hand: Hand) -> AnswerForm:
    hand.wait(lambda: isinstance(QApplication.activeModalWidget(), AnswerForm))
    form = QApplication.activeModalWidget()
    assert isinstance(form, AnswerForm)
    hand.wait(form.isActiveWindow)
    return form


def choose(hand: Hand, box: QMessageBox, text: str) -> None:
    hand.click(next(button for button in box.findChildren(QPushButton) if button.text() == text))


def result_of(hand: Hand, node_id: str) -> object:
    assert hand.bench.runs is not None
    return hand.services.engine.get_execution_status(hand.bench.runs.shown_run_id).results[node_id]


def test_a_yes_or_no_is_given_by_a_click(hand: Hand):
    start_asking(hand, {"type": "boolean"})
    assert bar_of(hand).text.text() == "“Approval 1” waits for an answer: Is this all right?"
    box = open_box(hand)
    assert box.text() == "Is this all right?"
    choose(hand, box, "No")
    wait_until(hand, RunStatus.COMPLETED)
    assert result_of(hand, "ask0") is False
    hand.wait(bar_of(hand).isHidden)


def test_a_form_made_from_the_schema_is_filled_in_and_says_what_is_wrong_at_the_field(hand: Hand):
    start_asking(hand, REVIEW)
    form = open_form(hand)
    assert list(form.rows) == ["approved", "copies", "note"]
    hand.click(form.rows["approved"].editor.field)
    hand.click(form.send_button)
    assert form.rows["copies"].message.text() == "A value is needed here."
    hand.type("7")
    hand.key(Qt.Key.Key_Return)
    hand.wait(lambda: "multiple of 5" in form.rows["copies"].message.text())  # the engine's own word
    assert form.isVisible()
    hand.key(Qt.Key.Key_Backspace)
    hand.type("15")
    hand.key(Qt.Key.Key_Return)
    wait_until(hand, RunStatus.COMPLETED)
    assert result_of(hand, "ask0") == {"approved": True, "copies": 15}
    assert steps_done(hand) == ["ask0", "end"]


def test_without_a_schema_the_answer_is_text_or_json(hand: Hand):
    start_asking(hand, None)
    open_form(hand)
    hand.type('["a", 1]')
    hand.key(Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    wait_until(hand, RunStatus.COMPLETED)
    assert result_of(hand, "ask0") == ["a", 1]


def test_of_several_the_selected_one_is_answered(hand: Hand):
    start_asking(hand, {"type": "boolean"}, {"type": "boolean"})
    hand.wait(lambda: bar_of(hand).more.text() == "1 more")
    hand.editor.canvas.select(["ask1"])
    hand.wait(lambda: "Approval 2" in bar_of(hand).text.text())
    choose(hand, open_box(hand), "Yes")
    hand.wait(lambda: shown(hand).nodes["ask1"].status is StepStatus.COMPLETED)
    hand.wait(lambda: "Approval 1" in bar_of(hand).text.text())
    assert shown(hand).nodes["ask0"].status is StepStatus.WAITING
    choose(hand, open_box(hand), "Not now")
    assert bar_of(hand).isVisible()
    choose(hand, open_box(hand), "Yes")
    wait_until(hand, RunStatus.COMPLETED)


class TestInterruptedSteps:
    @pytest.fixture
    def services(self, tmp_path: Path):
        """An engine that finds a run whose step was under way when the program before ended."""
        begun, ended = threading.Event(), threading.Event()

        def send(context) -> int:
            begun.set()
            while context.attempt == 1 and not context.cancelled and not ended.is_set():
                time.sleep(0.001)
            return context.attempt

        def open_engine() -> Services:
            config = AppConfig(database_url=f"sqlite:///{tmp_path / 'test.db'}", workspace=tmp_path)
            services = open_services(config)
            services.registry.register_tool("send", send, "Send", category="Test", effects="once")
            return services

        services = open_engine()
        node = NodeDefinition(id="send", function_name="send", label="Send the mail")
        graph_id = services.graphs.create_graph(GraphDefinition(name="Mail", nodes=(node,)))
        self.run_id = services.engine.execute_workflow(graph_id)
        assert begun.wait(10)
        services.engine.close(0.01)
        services.close()
        ended.set()
        services = open_engine()
        services.engine.recover()
        yield services
        assert services.close()

    @pytest.fixture
    def waiting(self, hand: Hand) -> Hand:
        assert hand.bench.runs is not None
        hand.bench.runs.show_run(self.run_id)
        hand.wait(lambda: bar_of(hand).isVisible())
        assert "“Send the mail” was interrupted" in bar_of(hand).text.text()
        return hand

    def test_they_may_run_again(self, waiting: Hand):
        choose(waiting, open_box(waiting), "Run it again")
        wait_until(waiting, RunStatus.COMPLETED)
        assert result_of(waiting, "send") == 2

    def test_they_may_be_given_their_result(self, waiting: Hand):
        choose(waiting, open_box(waiting), "Give its result…")
        form = wait_for_form(waiting)
        assert "The result of “Send the mail”" in [label.text() for label in form.findChildren(QLabel)]
        waiting.type("42")
        waiting.click(form.send_button)
        wait_until(waiting, RunStatus.COMPLETED)
        assert result_of(waiting, "send") == 42

    def test_they_may_fail(self, waiting: Hand):
        choose(waiting, open_box(waiting), "Let it fail")
        wait_until(waiting, RunStatus.FAILED)
        waiting.wait(bar_of(waiting).isHidden)
