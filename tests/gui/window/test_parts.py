"""The smaller parts of the window: background work, words for errors, settings, the timeline, recovery."""

import threading
from pathlib import Path

import pytest
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QMessageBox, QWidget

from engine.errors import ValidationError
from engine.model.graph import GraphDefinition, NodeDefinition
from engine.model.problem import Problem, Severity
from tests.gui.window.conftest import Hand
from wfe_desktop.background import Background
from wfe_desktop.bootstrap import Folders, Program, check_versions
from wfe_desktop.document.autosave import Autosave, find_recovery
from wfe_desktop.document.document import WorkflowDocument
from wfe_desktop.document.files import WorkflowFileError
from wfe_desktop.messages import Message, Messages, Tone, word
from wfe_desktop.panels.statusbar import describe_work
from wfe_desktop.panels.timeline import describe_tick, tick_step
from wfe_desktop.panels.toast import Toasts
from wfe_desktop.settings import Settings
from wfe_desktop.workbench import session_entry

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
GRAPH = GraphDefinition(name="Kept", nodes=(NodeDefinition(id="add", function_name="add"),))


class TestBackground:
    def test_work_is_done_elsewhere_and_its_result_comes_back_here(self, qtbot):
        failures: list[BaseException] = []
        background = Background(failures.append)
        told: list[tuple[int, int, bool]] = []
        here = threading.get_ident()
        background.run(
            threading.get_ident, lambda there: told.append((there, threading.get_ident(), there == here))
        )
        qtbot.waitUntil(lambda: len(told) == 1)
        assert told[0][1:] == (here, False)
        assert background.pending == 0
        background.close()

    def test_a_failure_that_nobody_handles_is_reported(self, qtbot):
        failures: list[BaseException] = []
        background = Background(failures.append)
        background.run(lambda: 1 / 0)
        qtbot.waitUntil(lambda: len(failures) == 1)
        handled: list[BaseException] = []
        background.run(lambda: 1 / 0, failed=handled.append)
        qtbot.waitUntil(lambda: len(handled) == 1)
        assert len(failures) == 1
        background.close()

    def test_nobody_is_told_whose_widget_has_gone(self, qtbot):
        background = Background(lambda _: None)
        owner, told = QObject(), []
        gate = threading.Event()
        background.run(gate.wait, told.append, owner=owner)
        owner.deleteLater()
        qtbot.wait(10)
        gate.set()
        qtbot.waitUntil(lambda: background.pending == 0)
        assert told == []
        background.close()


class TestMessages:
    def test_users_errors_are_shown_as_they_are(self):
        assert word(WorkflowFileError("a.json holds no workflow")).text == "a.json holds no workflow"
        problems = [Problem(Severity.ERROR, "x", "First."), Problem(Severity.ERROR, "y", "Second.")]
        assert word(ValidationError("wrong", problems)).text == "First. (and 1 more, listed under Problems)"

    def test_the_environments_errors_say_what_to_do(self):
        wording = word(PermissionError(13, "Permission denied", "/etc/x"))
        assert wording.text == "/etc/x: Permission denied"
        assert wording.advice

    def test_errors_of_ours_get_a_number_that_is_in_the_log(self, qapp, expect_log):
        expect_log("reference [0-9a-f]{8}")
        messages = Messages()
        messages.report(KeyError("inner"))
        (message,) = messages.history
        assert message.tone is Tone.ERROR
        assert "inner" not in message.text

    def test_the_same_message_is_shown_once_and_three_at_most(self, qtbot):
        host = QWidget()
        qtbot.addWidget(host)
        host.resize(600, 400)
        toasts = Toasts(host)
        for text in ("one", "one", "two", "three", "four"):
            toasts.show_message(Message(Tone.ERROR, text))
        assert toasts.texts == ["two", "three", "four"]


class TestSettings:
    def test_what_was_set_is_there_at_the_next_start(self, qapp, tmp_path: Path):
        path = tmp_path / "deep" / "settings.ini"
        first = Settings(path)
        assert not first.was_started_before
        assert first.theme == "dark"
        first.theme = "light"
        first.session = ["graph:abc"]
        file = tmp_path / "a.workflow.json"
        file.write_text("{}")
        first.add_recent_file(file)
        for name in ("a", "b", "c", "a", "d", "e"):
            first.add_recent_tool(name)
        first.remember_start()
        first.save()
        again = Settings(path)
        assert again.was_started_before
        assert (again.theme, again.session, again.recent_files) == ("light", ["graph:abc"], [file])
        assert again.recent_tools == ["e", "d", "a", "c"]
        file.unlink()
        assert again.recent_files == []


def test_the_status_bar_says_what_is_going_on():
    assert describe_work(0, 0, 16) == "Idle · 16 workers free"
    assert describe_work(1, 1, 16) == "1 run · 1 step running · 15 workers free"
    assert describe_work(2, 40, 16) == "2 runs · 40 steps running · 0 workers free"


@pytest.mark.parametrize(
    ("span_us", "step", "label"),
    [
        (10_000, 2_000, "2 ms"),
        (240_000, 50_000, "50 ms"),
        (2_100_000, 500_000, "0.5 s"),
        (90_000_000, 20_000_000, "20 s"),
    ],
)
def test_the_timeline_has_round_ticks_that_do_not_crowd(span_us: int, step: int, label: str):
    assert tick_step(span_us, 440) == step
    assert describe_tick(step, step) == label


def test_this_python_and_qt_go_together():
    check_versions()


class TestSessions:
    def test_what_was_open_is_opened_again(self, hand: Hand, tmp_path: Path):
        graph_id = hand.services.graphs.create_graph(GRAPH)
        hand.bench.open_entry(f"graph:{graph_id}")
        hand.wait(lambda: hand.editor.graph_id == graph_id)
        assert session_entry(hand.editor) == f"graph:{graph_id}"
        hand.bench.save_settings()
        assert Settings(tmp_path / "settings.ini").session == [f"graph:{graph_id}"]

    def test_what_has_gone_since_is_left_out_silently(self, hand: Hand, tmp_path: Path):
        hand.bench.open_entry("graph:nowhere")
        hand.bench.open_entry(f"file:{tmp_path / 'nowhere.json'}")
        hand.settle()
        assert hand.said == []
        assert len(hand.bench.editors) == 1

    def test_unsaved_work_of_a_crashed_program_is_offered_and_restored(self, hand: Hand, tmp_path: Path):
        crashed = Autosave(tmp_path / "crashed")
        document = WorkflowDocument(GraphDefinition(name="Half done"), {})
        crashed.watch(document)
        document.replace(GRAPH.model_copy(update={"name": "Half done"}), "edit")
        assert crashed.flush()
        crashed.close(keep=True)
        found = find_recovery(tmp_path / "crashed")
        assert [one.graph.name for one in found] == ["Half done"]
        Program._offer_recovery(hand.bench, found)
        box = hand.bench.window.findChild(QMessageBox, "recovery_box")
        assert "“Half done”" in box.text()
        hand.click(next(button for button in box.buttons() if button.text() == "Restore"))
        hand.wait(lambda: hand.graph.name == "Half done")
        assert len(hand.graph.nodes) == 1
        assert not hand.editor.document.is_clean
        hand.settle()
        assert find_recovery(tmp_path / "crashed") == []


def test_the_users_folders_are_the_systems(user_home: Path):
    folders = Folders.of_user()
    assert folders.config.is_relative_to(user_home)
    assert folders.data.is_relative_to(user_home)
