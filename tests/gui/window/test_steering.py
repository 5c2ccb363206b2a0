"""Breakpoints, pause, resume, single steps and retry, with real keys and clicks on a real engine."""

from itertools import pairwise
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QLabel, QMenu

from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from engine.model.status import RunStatus, StepStatus
from tests.gui.window.conftest import Gate, Hand
from tests.gui.window.test_window import open_stored, shown
from wfe_desktop import theme
from wfe_desktop.document.files import load_graph_file, save_graph_file

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)

SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
F5, F6, F9, F10 = Qt.Key.Key_F5, Qt.Key.Key_F6, Qt.Key.Key_F9, Qt.Key.Key_F10


def make_chain(*tools: str) -> GraphDefinition:
    """Nodes a, b, c... one after the other."""
    names = "abcdef"[: len(tools)]
    return GraphDefinition(
        name="Chain",
        nodes=tuple(
            NodeDefinition(id=name, function_name=tool, parameters={"a": 1} if tool == "add" else {})
            for name, tool in zip(names, tools, strict=True)
        ),
        edges=tuple(EdgeDefinition(from_node=one, to_node=other) for one, other in pairwise(names)),
    )


def press(hand: Hand, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    hand.focus_canvas()
    hand.key(key, modifiers)


def set_breakpoint(hand: Hand, node_id: str) -> None:
    hand.editor.canvas.select([node_id])
    press(hand, F9)


def held(hand: Hand) -> set[str]:
    return {node_id for node_id, step in shown(hand).nodes.items() if step.is_held}


def wait_until_paused_at(hand: Hand, *node_ids: str) -> None:
    runs = hand.bench.runs
    assert runs is not None
    hand.wait(lambda: runs.shown_status is RunStatus.PAUSED and held(hand) == set(node_ids))
    hand.settle()


def wait_until(hand: Hand, status: RunStatus) -> None:
    runs = hand.bench.runs
    assert runs is not None
    hand.wait(lambda: runs.shown_status is status)
    hand.settle()


def steps_done(hand: Hand) -> list[str]:
    return [n for n, step in shown(hand).nodes.items() if step.status is StepStatus.COMPLETED]


def color_at_corner(hand: Hand, node_id: str) -> str:
    """What is painted on the top left corner of a node."""
    viewer = hand.editor.canvas.focusProxy()
    place = viewer.mapFromScene(viewer.nodes[node_id].scenePos()) + QPoint(2, 2)
    return viewer.viewport().grab().toImage().pixelColor(place).name()


def enabled(hand: Hand) -> set[str]:
    names = "run", "pause", "step", "stop", "retry_run"
    return {name for name in names if hand.bench.window.actions_by_name[name].isEnabled()}


def menu_entry(hand: Hand, run_row: int, text: str) -> QAction:
    """Right-click a run and find an entry of the menu."""
    view = hand.bench.runs_panel.view
    hand.wait(lambda: view.isVisible() and hand.bench.runs_model.rowCount() > run_row)
    center = view.visualRect(view.model().index(run_row, 1)).center()
    view.customContextMenuRequested.emit(center)
    hand.wait(lambda: isinstance(QApplication.activePopupWidget(), QMenu))
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    return next(action for action in menu.actions() if action.text() == text)


def choose(hand: Hand, action: QAction) -> None:
    menu = action.parent()
    assert isinstance(menu, QMenu)
    hand.click(menu, menu.actionGeometry(action).center())


class TestBreakpoints:
    def test_f9_sets_a_red_dot_and_takes_it_away_each_in_one_step_to_undo(self, hand: Hand):
        open_stored(hand, make_chain("add", "add"))
        hand.editor.canvas.zoom_100()
        red = theme.DARK.status["error"].lower()
        assert color_at_corner(hand, "b") != red
        set_breakpoint(hand, "b")
        assert hand.graph.ui["breakpoints"] == ["b"]
        assert color_at_corner(hand, "b") == red
        press(hand, F9)
        assert "breakpoints" not in hand.graph.ui
        assert color_at_corner(hand, "b") != red
        press(hand, Qt.Key.Key_Z, CONTROL)
        assert hand.graph.ui["breakpoints"] == ["b"]
        press(hand, Qt.Key.Key_Z, CONTROL)
        assert "breakpoints" not in hand.graph.ui

    def test_breakpoints_survive_saving_renaming_and_go_with_their_node(self, hand: Hand, tmp_path: Path):
        open_stored(hand, make_chain("add", "add", "add"))
        set_breakpoint(hand, "b")
        set_breakpoint(hand, "c")
        save_graph_file(tmp_path / "chain.json", hand.graph)
        assert load_graph_file(tmp_path / "chain.json").ui["breakpoints"] == ["b", "c"]
        hand.editor.document.rename_node("b", "middle")
        assert hand.graph.ui["breakpoints"] == ["middle", "c"]
        hand.editor.canvas.select(["c"])
        press(hand, Qt.Key.Key_Delete)
        assert hand.graph.ui["breakpoints"] == ["middle"]
        press(hand, F9, CONTROL | SHIFT)
        assert hand.editor.document.breakpoints == ()

    def test_a_run_pauses_where_the_breakpoint_is_shows_it_and_goes_on_with_f5(self, hand: Hand):
        open_stored(hand, make_chain("add", "add", "add"))
        set_breakpoint(hand, "b")
        press(hand, F5)
        wait_until_paused_at(hand, "b")
        assert steps_done(hand) == ["a"]
        item = hand.editor.canvas.focusProxy().nodes["b"]
        assert item.run.is_held
        assert "Resume" in [label.text() for label in hand.bench.window.run_button.findChildren(QLabel)]
        press(hand, F5)
        wait_until(hand, RunStatus.COMPLETED)
        assert (steps_done(hand), held(hand)) == (["a", "b", "c"], set())
        hand.wait(lambda: hand.bench.runs_model.rowCount() == 1)
        assert hand.bench.window.actions_by_name["run"].text() == "&Run"

    def test_a_run_pauses_even_before_its_first_step(self, hand: Hand):
        open_stored(hand, make_chain("add", "add"))
        set_breakpoint(hand, "a")
        press(hand, F5)
        wait_until_paused_at(hand, "a")
        assert steps_done(hand) == []
        press(hand, F5, SHIFT)
        wait_until(hand, RunStatus.CANCELLED)
        assert held(hand) == set()

    def test_a_breakpoint_set_while_it_runs_counts_for_the_run(self, hand: Hand, gate: Gate):
        open_stored(hand, make_chain("wait_for_it", "add"))
        press(hand, F5)
        hand.wait(lambda: "pause" in enabled(hand))
        set_breakpoint(hand, "b")
        hand.settle()
        gate.opened.set()
        wait_until_paused_at(hand, "b")
        press(hand, F5)
        wait_until(hand, RunStatus.COMPLETED)

    def test_the_node_menu_and_the_inspector_set_it_too(self, hand: Hand):
        open_stored(hand, make_chain("add", "add"))
        viewer = hand.editor.canvas.focusProxy()
        hand.editor.canvas.context_menu_requested.emit("b", viewer.nodes["b"].scenePos(), QPoint(50, 50))
        hand.wait(lambda: isinstance(QApplication.activePopupWidget(), QMenu))
        menu = QApplication.activePopupWidget()
        assert isinstance(menu, QMenu)
        hand.click(menu, menu.actionGeometry(hand.bench.window.actions_by_name["toggle_breakpoint"]).center())
        assert hand.editor.document.breakpoints == ("b",)
        panel = hand.bench.inspector.current
        assert panel is not None
        panel.node_page.tabs.setCurrentIndex(1)
        assert panel.node_page.policies.pause.isChecked()
        hand.click(panel.node_page.policies.pause, QPoint(12, panel.node_page.policies.pause.height() // 2))
        assert hand.editor.document.breakpoints == ()


class TestSteering:
    def test_what_can_be_done_follows_how_the_run_stands(self, hand: Hand, gate: Gate):
        open_stored(hand, make_chain("wait_for_it", "add", "refuse"))
        assert enabled(hand) == {"run"}
        press(hand, F5)
        wait_until(hand, RunStatus.RUNNING)
        assert enabled(hand) == {"run", "pause", "stop"}
        hand.click(hand.bench.window.pause_button)
        wait_until(hand, RunStatus.PAUSED)
        assert enabled(hand) == {"run", "step", "stop"}
        gate.opened.set()
        wait_until_paused_at(hand, "b")
        hand.click(hand.bench.window.run_button)
        wait_until(hand, RunStatus.FAILED)
        assert enabled(hand) == {"run", "retry_run"}

    def test_steps_go_one_by_one(self, hand: Hand):
        open_stored(hand, make_chain("add", "add", "add"))
        set_breakpoint(hand, "a")
        press(hand, F5)
        wait_until_paused_at(hand, "a")
        press(hand, F10)
        wait_until_paused_at(hand, "b")
        hand.click(hand.bench.window.step_button)
        wait_until_paused_at(hand, "c")
        assert steps_done(hand) == ["a", "b"]
        press(hand, F10)
        wait_until(hand, RunStatus.COMPLETED)

    def test_a_step_while_nothing_is_due_says_so(self, hand: Hand, gate: Gate):
        open_stored(hand, make_chain("wait_for_it", "add"))
        press(hand, F5)
        wait_until(hand, RunStatus.RUNNING)
        press(hand, F6)
        wait_until(hand, RunStatus.PAUSED)
        press(hand, F10)
        hand.wait(lambda: "There is no step to start yet: steps are still running." in hand.said)
        gate.opened.set()
        wait_until_paused_at(hand, "b")

    def test_a_failed_run_goes_on_from_its_failure_by_key(self, hand: Hand):
        calls: list[int] = []

        def shaky() -> int:
            calls.append(1)
            if len(calls) == 1:
                raise ValueError("not yet")
            return len(calls)

        hand.services.registry.register_tool("shaky", shaky, "Fails once", category="Test")
        hand.settle()
        open_stored(hand, make_chain("add", "shaky", "add"))
        press(hand, F5)
        wait_until(hand, RunStatus.FAILED)
        set_breakpoint(hand, "c")
        press(hand, F5, CONTROL | SHIFT)
        wait_until_paused_at(hand, "c")
        assert steps_done(hand) == ["a", "b"]
        assert len(calls) == 2
        press(hand, F5)
        wait_until(hand, RunStatus.COMPLETED)
        hand.wait(lambda: hand.bench.runs_model.rowCount() == 1)

    def test_the_menu_of_the_runs_pauses_resumes_and_retries(self, hand: Hand, gate: Gate):
        open_stored(hand, make_chain("wait_for_it", "refuse"))
        press(hand, F5)
        wait_until(hand, RunStatus.RUNNING)
        choose(hand, menu_entry(hand, 0, "Pause"))
        wait_until(hand, RunStatus.PAUSED)
        gate.opened.set()
        wait_until_paused_at(hand, "b")
        choose(hand, menu_entry(hand, 0, "Resume"))
        wait_until(hand, RunStatus.FAILED)
        attempt = shown(hand).nodes["b"].attempt
        choose(hand, menu_entry(hand, 0, "Go on from the failure"))
        hand.wait(lambda: shown(hand).nodes["b"].attempt > attempt)
        wait_until(hand, RunStatus.FAILED)

    def test_a_run_that_was_paused_elsewhere_shows_where(self, hand: Hand):
        graph_id = open_stored(hand, make_chain("add", "add"))
        hand.services.engine.execute_workflow(graph_id, {}, ["b"])
        wait_until_paused_at(hand, "b")
