"""The window as a user meets it: real mouse and key events, a real engine."""

import json
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, QSize, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox, QPushButton, QWidget

from engine.errors import ConflictError
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from engine.model.status import RunStatus, StepStatus
from tests.gui.window.conftest import Gate, Hand
from wfe_desktop import theme
from wfe_desktop.document.files import load_graph_file, save_graph_file
from wfe_desktop.forms.editors import PathEditor
from wfe_desktop.models.palette import TOOL_MIME
from wfe_desktop.models.run_view import RunView
from wfe_desktop.models.runs import STATUS_ROLE
from wfe_desktop.window import LOG, PROBLEMS, RUNS, SIZE, STATE

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)

SHIFT = Qt.KeyboardModifier.ShiftModifier
CONTROL = Qt.KeyboardModifier.ControlModifier
LEFT = Qt.MouseButton.LeftButton


def make_graph(name: str = "Sum") -> GraphDefinition:
    nodes = (
        NodeDefinition(id="add", function_name="add", parameters={"a": 2, "b": 3}, save_as="sum"),
        NodeDefinition(id="halve", function_name="halve"),
        NodeDefinition(id="never", function_name="refuse"),
    )
    edges = (
        EdgeDefinition(from_node="add", to_node="halve", to_port="number"),
        EdgeDefinition(from_node="add", to_node="never", condition="result > 100"),
    )
    return GraphDefinition(name=name, nodes=nodes, edges=edges)


def make_waiting_graph() -> GraphDefinition:
    return GraphDefinition(name="Waiting", nodes=(NodeDefinition(id="wait", function_name="wait_for_it"),))


def shown(hand: Hand) -> RunView:
    assert hand.bench.runs is not None
    view = hand.bench.runs.shown
    assert view is not None
    return view


def open_stored(hand: Hand, graph: GraphDefinition) -> str:
    """Store a graph as somebody outside would, and open it."""
    graph_id = hand.services.graphs.create_graph(graph)
    hand.bench.library.open_graph(graph_id)
    hand.wait(lambda: hand.editor.graph_id == graph_id)
    hand.settle()
    return graph_id


def drop_tool(hand: Hand, name: str, at: QPoint) -> None:
    """Drop what the palette gives to a drag on the canvas."""
    data = QMimeData()
    data.setData(TOOL_MIME, name.encode())
    viewport = hand.editor.canvas.focusProxy().viewport()
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    action = Qt.DropAction.CopyAction
    QApplication.sendEvent(viewport, QDragEnterEvent(at, action, data, buttons, keys))
    QApplication.sendEvent(viewport, QDropEvent(QPointF(at), action, data, buttons, keys))


def answer(hand: Hand, name: str, words: str) -> None:
    """Press a button of a question."""
    hand.wait(lambda: hand.bench.window.findChild(QMessageBox, name) is not None)
    hand.click(hand.bench.window.findChild(QMessageBox, name).findChild(QPushButton, words))


class TestBuilding:
    def test_it_starts_with_an_empty_workflow_and_says_what_to_do(self, hand: Hand):
        window = hand.bench.window
        samples = hand.editor.canvas.findChild(QWidget, "samples")
        assert samples.isVisible()
        assert not window.actions_by_name["run"].isEnabled()
        assert window.status.saved.text() == "Not saved"
        assert window.status.work.text() == "Idle · 4 workers free"
        assert hand.bench.palette.model.tool_count == len(hand.services.registry.list_tools())

    @pytest.mark.parametrize(
        ("screen", "is_filled"),
        [((1366, 728), True), ((1440, 900), True), ((1920, 930), True), ((1920, 1050), False)],
    )
    def test_it_fills_a_screen_that_is_too_small_for_its_usual_size(self, hand: Hand, screen, is_filled):
        window = hand.bench.window
        window.hide()
        window.resize(*SIZE)
        window.fit(QSize(*screen))
        assert window.isMaximized() is is_filled
        assert screen[0] >= window.width()
        assert screen[1] >= window.height()

    def test_a_sample_opens_from_the_empty_canvas(self, hand: Hand):
        samples = hand.editor.canvas.findChild(QWidget, "samples")
        hand.click(samples.findChildren(QPushButton)[0])
        hand.wait(lambda: hand.graph.nodes)
        assert hand.graph.name == hand.bench.samples[0].graph.name
        assert len(hand.bench.editors) == 1, "the empty workflow gave way"

    def test_a_tool_dragged_from_the_palette_is_placed_where_it_is_dropped(self, hand: Hand):
        drop_tool(hand, "add", QPoint(200, 150))
        (node,) = hand.graph.nodes
        assert node.function_name == "add"
        assert hand.editor.canvas.selection[0] == [node.id]
        assert hand.bench.settings.recent_tools == ["add"]

    def test_a_double_click_in_the_palette_adds_the_tool(self, hand: Hand):
        palette = hand.bench.palette
        hand.click(palette.search)
        hand.type("halve")
        index = palette.model.first_tool()
        at = palette.view.visualRect(index).center()
        QTest.mouseClick(palette.view.viewport(), LEFT, pos=at)
        QTest.mouseDClick(palette.view.viewport(), LEFT, pos=at)
        assert [node.function_name for node in hand.graph.nodes] == ["halve"]

    def test_a_file_chosen_in_the_workspace_is_named_from_there(self, hand: Hand, tmp_path, monkeypatch):
        def count_words(path: str) -> int:
            return len(path)

        hand.services.registry.register_tool("count_words", count_words, "")
        hand.wait(lambda: "count_words" in hand.bench.catalog)
        node_id = hand.place("count_words", 0, 0)
        hand.wait(lambda: hand.bench.inspector.findChild(PathEditor) is not None)
        chosen = tmp_path / "notes" / "today.txt"
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(chosen), ""))
        hand.click(hand.bench.inspector.findChild(PathEditor).browse_button)
        assert hand.editor.document.find_node(node_id).parameters == {"path": "notes/today.txt"}

    def test_a_graph_is_built_run_undone_and_redone_by_hand(self, hand: Hand):
        first = hand.place("add", 0, 0)
        second = hand.place("halve", 320, 0)
        hand.editor.fit()
        wire_by_mouse(hand, first, "result", second, "number")
        assert [edge.key for edge in hand.graph.edges] == [(first, second, "success", None, "number")]
        type_parameter(hand, first, "a", "41")
        assert hand.editor.document.find_node(first).parameters == {"a": 41}
        built = hand.graph
        hand.run()
        view = shown(hand)
        assert view.status is RunStatus.COMPLETED, view.error
        assert view.nodes[second].status is StepStatus.COMPLETED
        assert hand.bench.log_model.rowCount() >= 6
        assert hand.services.engine.get_execution_status(view.run_id).results[second] == 21.0
        hand.focus_canvas()
        while hand.editor.document.undo_stack.canUndo():
            hand.key(Qt.Key.Key_Z, CONTROL)
        assert hand.graph.nodes == ()
        assert hand.graph.edges == ()
        while hand.editor.document.undo_stack.canRedo():
            hand.key(Qt.Key.Key_Z, CONTROL | SHIFT)
        assert hand.graph == built

    def test_keys_copy_paste_duplicate_and_delete(self, hand: Hand):
        open_stored(hand, make_graph())
        hand.focus_canvas()
        hand.key(Qt.Key.Key_A, CONTROL)
        assert len(hand.editor.canvas.selection[0]) == 3
        hand.key(Qt.Key.Key_C, CONTROL)
        hand.key(Qt.Key.Key_V, CONTROL)
        assert len(hand.graph.nodes) == 6
        assert len(hand.graph.edges) == 4
        hand.key(Qt.Key.Key_D, CONTROL)
        assert len(hand.graph.nodes) == 9
        hand.key(Qt.Key.Key_Delete)
        hand.key(Qt.Key.Key_Z, CONTROL)
        hand.key(Qt.Key.Key_Z, CONTROL)
        hand.key(Qt.Key.Key_Z, CONTROL)
        assert hand.graph == make_graph()
        assert hand.editor.document.is_clean

    def test_a_wire_dropped_on_the_empty_canvas_asks_for_a_tool_and_connects_it_in_one_step(self, hand: Hand):
        first = hand.place("add", 0, 0)
        hand.editor.canvas.zoom_100()
        view = hand.editor.canvas.focusProxy()
        start = view.mapFromScene(view.nodes[first].find_port("result", is_output=True).center())
        end = start + QPoint(90, 120)
        steps = hand.editor.document.undo_stack.count()
        QTest.mousePress(view.viewport(), LEFT, pos=start)
        for share in (0.3, 0.7, 1.0):
            QTest.mouseMove(view.viewport(), start + (end - start) * share)
        QTest.mouseRelease(view.viewport(), LEFT, pos=end)
        hand.wait(
            lambda: QApplication.activePopupWidget() is not None or QApplication.focusWidget() is not None
        )
        hand.type("halve")
        hand.key(Qt.Key.Key_Return)
        hand.wait(lambda: hand.graph.edges)
        second = hand.graph.nodes[1].id
        assert hand.graph.edges[0].key == (first, second, "success", None, "number")
        assert hand.editor.document.undo_stack.count() == steps + 1

    def test_a_copy_of_a_read_only_version_can_be_edited(self, hand: Hand):
        editor = hand.bench.filing.open_version(make_graph(), "some-id", 4)
        assert not hand.bench.window.actions_by_name["run"].isEnabled()
        hand.click(editor.findChild(QPushButton))
        assert hand.editor is not editor
        assert hand.graph.name == "Sum (copy)"
        assert hand.editor.edit("remove", ["never"])
        assert not hand.editor.document.is_clean

    def test_there_is_always_a_workflow_open(self, hand: Hand):
        hand.focus_canvas()
        hand.key(Qt.Key.Key_W, CONTROL)
        assert len(hand.bench.editors) == 1
        assert hand.graph.nodes == ()

    def test_auto_layout_moves_every_node_in_one_step(self, hand: Hand):
        open_stored(hand, make_graph())
        hand.focus_canvas()
        hand.key(Qt.Key.Key_L, CONTROL)
        places = hand.graph.ui["nodes"]
        assert set(places) == {"add", "halve", "never"}
        assert hand.editor.document.undo_stack.count() == 1

    def test_the_entry_is_set_by_key(self, hand: Hand):
        open_stored(hand, make_graph())
        hand.focus_canvas()
        hand.editor.canvas.select(["halve"])
        hand.key(Qt.Key.Key_Return, CONTROL)
        assert hand.graph.entry_point == "halve"
        hand.key(Qt.Key.Key_Return, CONTROL)
        assert hand.graph.entry_point is None


class TestRunning:
    def test_colours_edges_log_state_and_history_follow_a_run(self, hand: Hand):
        open_stored(hand, make_graph())
        run_id = hand.run()
        view = shown(hand)
        assert {name: step.status.value for name, step in view.nodes.items()} == {
            "add": "completed",
            "halve": "completed",
            "never": "skipped",
        }
        marks = {edge.to_node: view.edges[edge.key] for edge in hand.graph.edges}
        assert marks == {"halve": "taken", "never": "skipped"}
        model = hand.bench.runs_model
        assert model.index(model.row_of(run_id), 0).data(STATUS_ROLE) == "completed"
        state = hand.bench.state_panel.model
        hand.wait(lambda: state.value_at(state.index(1, 0)).get("halve") == 2.5)
        assert state.value_at(state.index(0, 0)) == {"sum": 5}

    def test_the_node_wears_the_colour_of_its_status(self, hand: Hand):
        open_stored(hand, make_graph())
        hand.run()
        hand.editor.canvas.select([])
        picture = hand.editor.canvas.grab().toImage()
        wanted = theme.status_color(StepStatus.COMPLETED).rgb()
        found = sum(
            picture.pixelColor(x, y).rgb() == wanted
            for x in range(0, picture.width(), 1)
            for y in range(0, picture.height(), 7)
        )
        assert found > 5

    def test_stop_ends_a_run_that_is_waiting(self, hand: Hand, gate: Gate):
        open_stored(hand, make_waiting_graph())
        actions = hand.bench.window.actions_by_name
        assert not actions["stop"].isEnabled()
        hand.focus_canvas()
        hand.key(Qt.Key.Key_F5)
        hand.wait(lambda: hand.bench.runs.shown and shown(hand).nodes.get("wait"))
        assert shown(hand).nodes["wait"].status is StepStatus.RUNNING
        hand.wait(lambda: "1 run · 1 step running · 3 workers free" in hand.bench.window.status.work.text())
        assert actions["stop"].isEnabled()
        hand.focus_canvas()
        hand.key(Qt.Key.Key_F5, SHIFT)
        hand.wait(lambda: shown(hand).status is RunStatus.CANCELLED)
        assert not actions["stop"].isEnabled()

    def test_several_runs_at_once_one_of_them_shown(self, hand: Hand, gate: Gate):
        open_stored(hand, make_waiting_graph())
        hand.focus_canvas()
        hand.key(Qt.Key.Key_F5)
        hand.wait(lambda: hand.bench.runs.shown_run_id)
        first = hand.bench.runs.shown_run_id
        hand.wait(lambda: hand.bench.runs.shown)
        hand.key(Qt.Key.Key_F5)
        hand.wait(lambda: hand.bench.runs.shown_run_id != first)
        hand.wait(lambda: hand.bench.runs.shown)
        hand.wait(lambda: len(hand.bench.runs_model.active) == 2)
        gate.opened.set()
        hand.wait(lambda: not hand.bench.runs_model.active)
        assert shown(hand).run_id != first

    def test_a_failing_node_is_red_and_its_reason_is_in_the_log(self, hand: Hand):
        node = NodeDefinition(id="bad", function_name="refuse", parameters={"reason": "the moon is full"})
        open_stored(hand, GraphDefinition(name="Bad", nodes=(node,)))
        hand.run()
        assert shown(hand).nodes["bad"].status is StepStatus.FAILED
        log = hand.bench.log_model
        assert any("the moon is full" in log.line_at(row).text for row in range(log.rowCount()))
        state = hand.bench.state_panel.model
        hand.wait(lambda: state.rowCount() == 3)
        assert "the moon is full" in state.value_at(state.index(0, 0))

    def test_running_keeps_a_version_only_when_something_changed(self, hand: Hand):
        graph_id = open_stored(hand, make_graph())
        hand.run()
        hand.run()
        assert hand.services.graphs.get_summary(graph_id).version == 1
        hand.editor.edit("set_parameter", "add", "a", 7)
        hand.run()
        assert hand.services.graphs.get_summary(graph_id).version == 2
        assert hand.editor.document.is_clean

    def test_a_workflow_with_errors_is_not_run_and_the_problems_are_shown(self, hand: Hand):
        loop = (EdgeDefinition(from_node="a", to_node="b", to_port="nothing_of_that_name"),)
        nodes = tuple(NodeDefinition(id=name, function_name="add") for name in "ab")
        hand.editor.document.replace(GraphDefinition(name="Wrong", nodes=nodes, edges=loop), "test")
        hand.wait(lambda: hand.bench.problems_model.error_count > 0)
        hand.focus_canvas()
        hand.key(Qt.Key.Key_F5)
        window = hand.bench.window
        assert window.bottom_tabs.currentIndex() == PROBLEMS
        assert window.bottom_bar.count_of(PROBLEMS) >= 1
        assert any("cannot run" in text for text in hand.said)
        assert hand.services.engine.query_historical_executions().total_count == 0
        view = hand.bench.problems_panel.view
        hand.click(view.viewport(), view.visualRect(view.model().index(0, 0)).center())
        assert hand.editor.canvas.selection != ([], [])


class TestFromOutside:
    def test_a_graph_made_elsewhere_appears_in_the_list_and_opens_from_it(self, hand: Hand):
        graph_id = hand.services.graphs.create_graph(make_graph("From elsewhere"))
        model, panel = hand.bench.graphs_model, hand.bench.workflows
        hand.wait(lambda: model.rowCount() == 1)
        assert model.index(0).data() == "From elsewhere"
        hand.bench.window.left_tabs.setCurrentWidget(panel)
        at = panel.view.visualRect(model.index(0)).center()
        QTest.mouseClick(panel.view.viewport(), LEFT, pos=at)
        QTest.mouseDClick(panel.view.viewport(), LEFT, pos=at)
        hand.wait(lambda: hand.editor.graph_id == graph_id)
        assert hand.graph == make_graph("From elsewhere")

    def test_a_run_started_elsewhere_lights_up_on_its_open_workflow(self, hand: Hand):
        graph_id = open_stored(hand, make_graph())
        run_id = hand.services.engine.execute_workflow(graph_id)
        hand.wait(lambda: hand.bench.runs.shown_run_id == run_id)
        hand.wait(lambda: hand.bench.runs.shown and shown(hand).status is RunStatus.COMPLETED)
        assert shown(hand).nodes["halve"].status is StepStatus.COMPLETED
        assert hand.bench.runs_model.row_of(run_id) == 0

    def test_a_run_of_a_workflow_that_is_not_open_is_shown_when_it_is_chosen(self, hand: Hand):
        graph_id = hand.services.graphs.create_graph(make_graph())
        run_id = hand.services.engine.execute_workflow(graph_id)
        hand.wait(lambda: hand.bench.runs_model.row_of(run_id) == 0)
        choose_run(hand, 0)
        hand.wait(lambda: hand.bench.runs.shown_run_id == run_id)
        assert hand.editor.graph_id == graph_id
        assert not hand.editor.read_only, "it is the newest version"

    def test_a_run_of_an_old_version_opens_that_version_read_only(self, hand: Hand):
        graph_id = open_stored(hand, make_graph())
        run_id = hand.run()
        newer = GraphDefinition(name="Sum", nodes=make_graph().nodes[:1])
        hand.editor.document.replace(newer, "test")
        hand.handlers.refresh()
        hand.bench.runs.clear(hand.editor)
        choose_run(hand, hand.bench.runs_model.row_of(run_id))
        hand.wait(lambda: hand.editor.read_only)
        assert len(hand.graph.nodes) == 3
        assert shown(hand).nodes["halve"].status is StepStatus.COMPLETED
        assert not hand.editor.edit("remove", ["add"])
        assert len(hand.graph.nodes) == 3
        assert hand.editor.graph_id == graph_id

    def test_a_change_from_elsewhere_is_taken_over_where_nothing_is_unsaved(self, hand: Hand):
        graph_id = open_stored(hand, make_graph())
        hand.services.graphs.update_graph(graph_id, make_graph("Renamed"))
        hand.wait(lambda: hand.graph.name == "Renamed")
        assert hand.editor.document.is_clean
        assert hand.editor.version == 2

    def test_a_change_from_elsewhere_does_not_overwrite_unsaved_work(self, hand: Hand):
        graph_id = open_stored(hand, make_graph())
        hand.editor.edit("set_parameter", "add", "a", 8)
        hand.services.graphs.update_graph(graph_id, make_graph("Renamed"))
        hand.wait(lambda: any("changed from outside" in text for text in hand.said))
        assert hand.graph.name == "Sum"
        hand.bench.window.actions_by_name["save"].trigger()
        answer(hand, "conflict_box", "Cancel")
        assert hand.services.graphs.get_summary(graph_id).version == 2, "not written over"
        assert not hand.editor.document.is_clean
        with pytest.raises(ConflictError):
            hand.services.graphs.update_graph(graph_id, make_graph(), 1)

    @pytest.mark.parametrize("by", ["saving", "running"])
    @pytest.mark.parametrize("words", ["Keep both", "Replace theirs"])
    def test_who_changed_a_workflow_that_was_changed_elsewhere_says_which_one_stays(
        self, hand: Hand, by: str, words: str
    ):
        graph_id = open_stored(hand, make_graph())
        hand.editor.edit("set_parameter", "add", "a", 8)
        hand.services.graphs.update_graph(graph_id, make_graph("Theirs"))
        hand.wait(lambda: any("changed from outside" in text for text in hand.said))
        if by == "saving":
            hand.bench.window.actions_by_name["save"].trigger()
        else:
            hand.focus_canvas()
            hand.key(Qt.Key.Key_F5)
        answer(hand, "conflict_box", words)
        hand.wait(lambda: hand.editor.version not in {None, 1} or hand.editor.graph_id != graph_id)
        assert hand.services.graphs.get_graph(graph_id, 2).name == "Theirs"
        if words == "Keep both":
            assert hand.services.graphs.get_summary(graph_id).version == 2
            assert hand.editor.version == 1
        else:
            assert (hand.editor.graph_id, hand.editor.version) == (graph_id, 3)
        kept = hand.services.graphs.get_graph(hand.editor.graph_id)
        assert (kept.name, kept.nodes[0].parameters["a"]) == ("Sum", 8)
        if by == "running":
            hand.wait(lambda: hand.bench.runs.shown is not None and shown(hand).status.is_final)
            run = hand.services.engine.get_execution_status(hand.bench.runs.shown_run_id)
            assert (run.graph_id, run.graph_version) == (hand.editor.graph_id, hand.editor.version)
            assert run.current_state.data["sum"] == 11

    def test_what_is_on_the_canvas_is_run_not_what_somebody_has_stored_since(self, hand: Hand):
        graph_id = open_stored(hand, make_graph())
        hand.editor.edit("set_parameter", "add", "a", 8)
        theirs = GraphDefinition(name="Theirs", nodes=(NodeDefinition(id="x", function_name="refuse"),))
        hand.services.graphs.update_graph(graph_id, theirs)
        hand.wait(lambda: any("changed from outside" in text for text in hand.said))
        hand.editor.document.undo_stack.undo()
        run = hand.services.engine.get_execution_status(hand.run())
        assert (run.graph_version, run.current_state.data["sum"]) == (1, 5)

    def test_a_workflow_deleted_elsewhere_stays_open_and_can_be_run_again(self, hand: Hand):
        graph_id = open_stored(hand, make_graph())
        hand.services.graphs.delete_graph(graph_id)
        hand.wait(lambda: hand.editor.graph_id is None)
        assert hand.bench.window.status.saved.text() == "Not saved"
        hand.run()
        assert hand.editor.graph_id not in {None, graph_id}

    def test_a_tool_registered_later_is_in_the_palette(self, hand: Hand):
        count = hand.bench.palette.model.tool_count
        hand.services.registry.register_tool("late", lambda: 1, "Comes late")
        hand.wait(lambda: hand.bench.palette.model.tool_count == count + 1)


class TestFiles:
    def test_a_workflow_is_saved_and_opened_again(self, hand: Hand, tmp_path: Path):
        hand.place("add", 10, 20)
        path = tmp_path / "mine.workflow.json"
        hand.focus_canvas()
        hand.key(Qt.Key.Key_S, CONTROL)
        dialog = hand.bench.window.findChild(QFileDialog)
        dialog.setDirectory(str(tmp_path))
        dialog.selectFile(str(path))
        dialog.accept()
        hand.wait(path.exists)
        hand.wait(lambda: hand.editor.document.is_clean)
        assert json.loads(path.read_text())["nodes"][0]["function_name"] == "add"
        saved = hand.graph
        hand.bench.filing.close_editor(hand.editor)
        hand.bench.filing.open_file(path)
        hand.wait(lambda: hand.editor.document.file_path == path.resolve())
        assert hand.graph == saved == load_graph_file(path)
        assert hand.bench.settings.recent_files == [path]

    def test_a_file_that_is_no_workflow_is_refused_with_the_reason(self, hand: Hand, tmp_path: Path):
        path = tmp_path / "odd.json"
        path.write_text('{"nodes": 7}')
        hand.bench.filing.open_file(path)
        hand.wait(lambda: hand.said)
        assert "odd.json" in hand.said[-1]

    def test_saving_a_file_that_cannot_be_written_says_so_and_keeps_it_unsaved(
        self, hand: Hand, tmp_path: Path
    ):
        hand.place("add", 0, 0)
        hand.bench.filing.save_to(hand.editor, tmp_path / "missing" / "x.workflow.json")
        hand.wait(lambda: hand.said)
        assert not hand.editor.document.is_clean

    def test_p37_a_file_with_a_lost_tool_opens_and_loses_nothing(self, hand: Hand, tmp_path: Path):
        path = tmp_path / "lost.workflow.json"
        node = NodeDefinition(id="gone", function_name="no_such_tool", parameters={"x": [1, 2]})
        save_graph_file(path, GraphDefinition(name="Lost", nodes=(node,)))
        hand.bench.filing.open_file(path)
        hand.wait(lambda: hand.graph.nodes == (node,))
        hand.wait(lambda: hand.bench.problems_model.rowCount() > 0)
        hand.bench.filing.save_to(hand.editor, path)
        hand.wait(lambda: any("Saved" in text for text in hand.said))
        assert load_graph_file(path).nodes == (node,)

    def test_closing_asks_about_unsaved_changes_and_cancel_keeps_everything(self, hand: Hand):
        hand.place("add", 0, 0)
        left = []
        hand.bench.leave_allowed.connect(lambda: left.append(True))
        hand.bench.window.close()
        answer(hand, "unsaved_box", "Cancel")
        assert hand.bench.window.isVisible()
        assert left == []
        assert len(hand.graph.nodes) == 1
        hand.wait(lambda: hand.bench.window.findChild(QMessageBox, "unsaved_box") is None)
        hand.bench.window.close()
        answer(hand, "unsaved_box", "Don't save")
        hand.wait(lambda: left == [True])

    def test_saving_from_the_question_saves_and_then_closes(self, hand: Hand):
        graph_id = open_stored(hand, make_graph())
        hand.editor.edit("set_parameter", "add", "a", 9)
        left = []
        hand.bench.leave_allowed.connect(lambda: left.append(True))
        hand.bench.window.close()
        answer(hand, "unsaved_box", "Save")
        hand.wait(lambda: left == [True])
        assert hand.services.graphs.get_graph(graph_id).nodes[0].parameters["a"] == 9

    def test_a_workflow_is_deleted_from_the_database_after_a_question(self, hand: Hand):
        hand.services.graphs.create_graph(make_graph())
        hand.wait(lambda: hand.bench.graphs_model.rowCount() == 1)
        hand.bench.library.ask_delete(hand.bench.graphs_model.graph_at(0).id)
        answer(hand, "delete_box", "Delete")
        hand.wait(lambda: hand.bench.graphs_model.rowCount() == 0)

    def test_a_clean_window_closes_without_a_question(self, hand: Hand):
        left = []
        hand.bench.leave_allowed.connect(lambda: left.append(True))
        hand.bench.window.close()
        assert left == [True]

    def test_a_picture_is_exported(self, hand: Hand, tmp_path: Path):
        open_stored(hand, make_graph())
        for name in ("graph.svg", "graph.png"):
            hand.bench.filing.export(hand.editor, tmp_path / name)
            assert (tmp_path / name).stat().st_size > 1_000


class TestLooks:
    def test_the_theme_is_switched_by_key_and_remembered(self, hand: Hand):
        hand.focus_canvas()
        hand.key(Qt.Key.Key_L, CONTROL | SHIFT)
        assert theme.current_theme() is theme.LIGHT
        assert hand.bench.settings.theme == "light"
        picture = hand.bench.window.grab().toImage()
        assert picture.pixelColor(4, 4).lightness() > 200
        hand.key(Qt.Key.Key_L, CONTROL | SHIFT)
        assert theme.current_theme() is theme.DARK

    def test_docks_are_hidden_shown_and_remembered(self, hand: Hand):
        window = hand.bench.window
        hand.focus_canvas()
        hand.key(Qt.Key.Key_1, CONTROL)
        assert not window.left_dock.isVisible()
        layout = window.save_layout()
        hand.key(Qt.Key.Key_1, CONTROL)
        assert window.left_dock.isVisible()
        window.lay_out(layout)
        assert not window.left_dock.isVisible()
        for key, index in (
            (Qt.Key.Key_4, LOG),
            (Qt.Key.Key_5, STATE),
            (Qt.Key.Key_6, PROBLEMS),
            (Qt.Key.Key_3, RUNS),
        ):
            hand.key(key, CONTROL)
            assert window.bottom_tabs.currentIndex() == index

    def test_the_command_palette_finds_and_does(self, hand: Hand):
        hand.focus_canvas()
        hand.key(Qt.Key.Key_P, CONTROL | SHIFT)
        hand.type("theme")
        hand.key(Qt.Key.Key_Return)
        assert theme.current_theme() is theme.LIGHT
        hand.bench.toggle_theme()

    def test_escape_closes_the_command_palette(self, hand: Hand):
        hand.focus_canvas()
        hand.key(Qt.Key.Key_P, CONTROL | SHIFT)
        palette = hand.handlers._commands
        assert palette.isVisible()
        hand.key(Qt.Key.Key_Escape)
        assert not palette.isVisible()

    def test_tabs_show_what_is_modified_and_switch_what_the_docks_show(self, hand: Hand):
        open_stored(hand, make_graph("One"))
        hand.run()
        lines = hand.bench.log_model.rowCount()
        assert lines > 0
        open_stored(hand, make_graph("Two"))
        tabs = hand.bench.editors.tabs
        assert [tabs.bar.tabText(i) for i in range(tabs.bar.count())] == ["One", "Two"]
        assert hand.bench.log_model.rowCount() == 0
        hand.editor.edit("set_parameter", "add", "a", 9)
        assert tabs.is_marked(1)
        hand.click(tabs.bar, tabs.bar.tabRect(0).center() - QPoint(20, 0))
        assert hand.editor.document.title == "One"
        hand.wait(lambda: hand.bench.log_model.rowCount() == lines)

    def test_a_double_click_on_an_edge_leads_to_its_condition(self, hand: Hand):
        open_stored(hand, make_graph())
        key = hand.graph.edges[1].key
        hand.editor.canvas.condition_edit_requested.emit(key)
        hand.wait(
            lambda: (
                QApplication.focusWidget() is not None
                and hand.bench.inspector.isAncestorOf(QApplication.focusWidget())
            )
        )
        hand.key(Qt.Key.Key_A, CONTROL)
        hand.type("result > 1")
        assert hand.editor.document.find_edge(key).condition == "result > 1"


def choose_run(hand: Hand, row: int) -> None:
    """Click a row of the runs."""
    hand.bench.window.show_bottom(RUNS)
    view = hand.bench.runs_panel.view
    hand.click(view.viewport(), view.visualRect(view.model().index(row, 1)).center())


def wire_by_mouse(hand: Hand, source: str, out: str, target: str, into: str) -> None:
    """Drag from a port to another."""
    view = hand.editor.canvas.focusProxy()
    start, end = (
        view.mapFromScene(view.nodes[node].find_port(port, is_output=is_output).center())
        for node, port, is_output in ((source, out, True), (target, into, False))
    )
    QTest.mousePress(view.viewport(), LEFT, pos=start)
    for share in (0.2, 0.5, 0.8, 1.0):
        QTest.mouseMove(view.viewport(), start + (end - start) * share)
        QApplication.processEvents()
    QTest.mouseRelease(view.viewport(), LEFT, pos=end)
    hand.wait(lambda: hand.graph.edges)


def type_parameter(hand: Hand, node_id: str, name: str, text: str) -> None:
    """Select a node and type into a field of the inspector."""
    hand.editor.canvas.select([node_id])
    row = hand.bench.inspector.current.node_page.form.rows[name]
    hand.focus(row.editor.field)
    hand.key(Qt.Key.Key_A, CONTROL)
    hand.type(text)
