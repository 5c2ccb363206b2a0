"""Running again from a step, with real keys and clicks on a real engine."""

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QApplication, QMenu

from engine.model.graph import GraphDefinition
from engine.model.status import RunStatus, StepStatus
from tests.gui.window.conftest import Gate, Hand
from tests.gui.window.test_steering import (
    CONTROL,
    F5,
    F10,
    choose,
    held,
    make_chain,
    menu_entry,
    press,
    set_breakpoint,
    steps_done,
    wait_until,
    wait_until_paused_at,
)
from tests.gui.window.test_window import open_stored, shown
from wfe_desktop.dialogs.fork_form import SHOWN_AT_MOST, ForkForm, Wish
from wfe_desktop.models.log import Column as LogColumn
from wfe_desktop.models.runs import ORIGIN_ROLE
from wfe_desktop.models.runs import Column as RunColumn

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)


def summing(*tools: str) -> GraphDefinition:
    """A chain of tools whose results go into the state: under their own names."""
    chain = make_chain(*tools)
    nodes = [
        node.model_copy(update={"save_as": node.id} if node.function_name == "add" else {})
        for node in chain.nodes
    ]
    return chain.model_copy(update={"nodes": tuple(nodes)})


def run_to(hand: Hand, graph: GraphDefinition, status: RunStatus) -> str:
    open_stored(hand, graph)
    press(hand, F5)
    wait_until(hand, status)
    return shown(hand).run_id


def wait_for_form(hand: Hand) -> ForkForm:
    hand.wait(lambda: isinstance(QApplication.activeModalWidget(), ForkForm))
    form = QApplication.activeModalWidget()
    assert isinstance(form, ForkForm)
    hand.wait(form.isActiveWindow)
    return form


def open_form(hand: Hand, *node_ids: str) -> ForkForm:
    """Select nodes and press the keys."""
    hand.editor.canvas.select(list(node_ids))
    press(hand, F10, CONTROL)
    return wait_for_form(hand)


def run_form(hand: Hand, form: ForkForm, old: str, status: RunStatus = RunStatus.COMPLETED) -> str:
    """Click Run and wait until the new run is shown and stands there; its id."""
    hand.click(form.run_button)
    runs = hand.bench.runs
    assert runs is not None
    hand.wait(lambda: runs.shown_run_id not in {"", old} and runs.shown_status is status)
    hand.wait(lambda: (row := hand.bench.runs_model.find_run(runs.shown_run_id)) and row.status is status)
    hand.settle()
    return runs.shown_run_id


def taken(hand: Hand) -> set[str]:
    return {node_id for node_id, step in shown(hand).nodes.items() if step.taken_from is not None}


def state_of(hand: Hand, run_id: str) -> dict[str, object]:
    return hand.services.engine.get_execution_status(run_id).current_state.data


def pop_up(hand: Hand, text: str) -> None:
    """Choose an entry of the menu that was just opened."""
    hand.wait(lambda: isinstance(QApplication.activePopupWidget(), QMenu))
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    action = next(action for action in menu.actions() if action.text() == text)
    hand.click(menu, menu.actionGeometry(action).center())


class TestForking:
    def test_a_failed_run_is_run_again_from_the_step_with_another_state(self, hand: Hand):
        old = run_to(hand, summing("add", "add", "refuse"), RunStatus.FAILED)
        form = open_form(hand, "b")
        assert form.wish == Wish({}, [], as_it_is_now=False)
        assert form.version.isHidden() or not form.version.parentWidget().isVisible()
        assert form.state_row.value == {"a": 2}
        field = form.state_row.editor.field
        field.setFocus()
        field.selectAll()
        hand.type('{"more": [1.0]}')
        assert form.wish == Wish({"more": [1.0]}, ["a"], as_it_is_now=False)
        new = run_form(hand, form, old, RunStatus.FAILED)
        assert state_of(hand, new) == {"more": [1.0], "b": 2}
        assert (taken(hand), steps_done(hand)) == ({"a"}, ["a", "b"])
        assert hand.bench.runs_model.rowCount() == 2

    def test_taken_over_steps_are_drawn_so_and_the_runs_say_where_they_come_from(self, hand: Hand):
        old = run_to(hand, summing("add", "add", "add"), RunStatus.COMPLETED)
        new = run_form(hand, open_form(hand, "c"), old)
        viewer = hand.editor.canvas.focusProxy()
        assert {name: item.run.taken_from for name, item in viewer.nodes.items()} == {
            "a": old,
            "b": old,
            "c": None,
        }
        hand.editor.canvas.zoom_100()
        hand.editor.canvas.center_on("a")
        over = viewer.mapFromScene(viewer.nodes["a"].scenePos()) + QPoint(40, 40)
        assert f"Taken over from run {old}" in viewer.gestures.tooltip(over)
        timeline = hand.bench.runs_panel.timeline
        assert [(row[0], len(row[2])) for row in timeline._rows] == [("a", 0), ("b", 0), ("c", 1)]
        assert f"taken over from run {old}" in timeline._explain(QPoint(20, 32 + 10))
        model = hand.bench.runs_model
        row = model.index(model.row_of(new), RunColumn.RUN)
        assert row.data(ORIGIN_ROLE) == f"from run …{old[-4:]}"
        assert f"forked from run {old}" in row.data(Qt.ItemDataRole.ToolTipRole)
        assert row.siblingAtColumn(RunColumn.STEPS).data() == "3"
        first = hand.bench.log_model.index(0, LogColumn.MESSAGE).data()
        assert first == f'Run of "Chain" accepted, forked from run {old}'
        # Read again from the journal it looks the same.
        assert hand.bench.runs is not None
        hand.bench.runs.show_run(old)
        hand.wait(lambda: hand.bench.runs and hand.bench.runs.shown and shown(hand).run_id == old)
        hand.bench.runs.clear(hand.editor)
        hand.bench.runs.show_run(new)
        hand.wait(lambda: hand.bench.runs and hand.bench.runs.shown and shown(hand).run_id == new)
        hand.settle()
        assert taken(hand) == {"a", "b"}

    def test_the_workflow_as_it_is_now_is_stored_and_used(self, hand: Hand):
        old = run_to(hand, summing("add", "add", "refuse"), RunStatus.FAILED)
        hand.editor.edit("set_parameter", "b", "a", 40)
        form = open_form(hand, "b")
        assert form.wish.as_it_is_now
        new = run_form(hand, form, old, RunStatus.FAILED)
        run = hand.services.engine.get_execution_status(new)
        assert (run.graph_version, run.current_state.data) == (2, {"a": 2, "b": 41})
        assert taken(hand) == {"a"}
        assert hand.editor.version == 2

    def test_the_version_that_ran_can_be_chosen_and_is_shown_beside(self, hand: Hand):
        old = run_to(hand, summing("add", "add", "add"), RunStatus.COMPLETED)
        hand.editor.canvas.select(["c"])
        press(hand, Qt.Key.Key_Delete)
        assert hand.bench.runs is not None
        form = open_form(hand, "b")
        form.version.setCurrentIndex(form.version.findData("then"))
        new = run_form(hand, form, old)
        assert hand.services.engine.get_execution_status(new).graph_version == 1
        assert hand.editor.read_only
        assert taken(hand) == {"a"}

    def test_a_workflow_that_goes_another_way_is_refused_in_the_dialog_and_nothing_runs(self, hand: Hand):
        run_to(hand, summing("add", "add", "add"), RunStatus.COMPLETED)
        hand.editor.edit("remove", [], [edge.key for edge in hand.graph.edges])
        for one, other in (("b", "a"), ("a", "c")):
            hand.editor.edit(
                "connect_nodes",
                make_chain("add", "add").edges[0].model_copy(update={"from_node": one, "to_node": other}),
            )
        form = open_form(hand, "c")
        hand.click(form.run_button)
        hand.wait(form.fault.isVisible)
        assert form.fault.text().startswith(
            'version 2 of "Chain" does not come to "a", as the run did; fork from "a"'
        )
        assert form.run_button.isEnabled()
        form.version.setCurrentIndex(form.version.findData("then"))
        hand.click(form.run_button)
        hand.wait(lambda: hand.bench.runs_model.rowCount() == 2)
        hand.settle()

    def test_what_is_no_json_object_is_refused_at_the_field(self, hand: Hand):
        run_to(hand, summing("add", "add"), RunStatus.COMPLETED)
        form = open_form(hand, "b")
        field = form.state_row.editor.field
        for text, said in (("[1]", "object"), ("{", "not JSON"), ("", "{} is an empty one")):
            field.setFocus()
            field.selectAll()
            hand.key(Qt.Key.Key_Delete)
            hand.type(text)
            hand.click(form.run_button)
            assert said in form.state_row.message.text()
        hand.key(Qt.Key.Key_Escape)
        hand.settle()
        assert hand.bench.runs_model.rowCount() == 1

    def test_a_state_that_is_too_large_to_show_is_used_but_for_what_is_set(self, hand: Hand):
        large = {"text": "x" * SHOWN_AT_MOST, "n": 1}
        form = ForkForm("b", ["a"], large, 1, is_changed=False)
        hand.qtbot.addWidget(form)
        assert form.wish == Wish({}, [], as_it_is_now=False)
        form.state_row.show_value({"n": 2, "text": large["text"]})
        assert form.wish == Wish({"n": 2}, [], as_it_is_now=False)

    def test_without_a_selected_step_it_is_the_start_and_a_step_that_never_started_has_none(self, hand: Hand):
        action = hand.bench.window.actions_by_name["fork_run"]
        open_stored(hand, summing("refuse", "add"))
        assert not action.isEnabled()
        press(hand, F5)
        wait_until(hand, RunStatus.FAILED)
        old = shown(hand).run_id
        hand.editor.canvas.select(["b"])
        assert not action.isEnabled()
        hand.editor.canvas.select(["a"])
        assert (action.isEnabled(), action.text()) == (True, "Run again from &here…")
        hand.editor.canvas.select([])
        assert (action.isEnabled(), action.text()) == (True, "Run again from t&he start…")
        form = open_form(hand)
        run_form(hand, form, old, RunStatus.FAILED)
        assert taken(hand) == set()
        assert shown(hand).nodes["a"].status is StepStatus.FAILED

    def test_a_fork_pauses_at_the_breakpoints_of_the_workflow(self, hand: Hand):
        run_to(hand, summing("add", "add", "add"), RunStatus.COMPLETED)
        set_breakpoint(hand, "b")
        hand.click(open_form(hand, "b").run_button)
        wait_until_paused_at(hand, "b")
        assert (taken(hand), held(hand), steps_done(hand)) == ({"a"}, {"b"}, ["a"])
        press(hand, F5)
        wait_until(hand, RunStatus.COMPLETED)

    def test_a_run_that_still_runs_can_be_forked(self, hand: Hand, gate: Gate):
        old = run_to(hand, summing("add", "wait_for_it"), RunStatus.RUNNING)
        hand.wait(lambda: "b" in shown(hand).nodes)
        new = run_form(hand, open_form(hand, "b"), old, RunStatus.RUNNING)
        gate.opened.set()
        wait_until(hand, RunStatus.COMPLETED)
        assert (shown(hand).run_id, taken(hand)) == (new, {"a"})


class TestMenus:
    def test_the_node_menu_has_it(self, hand: Hand):
        run_to(hand, summing("add", "add"), RunStatus.COMPLETED)
        viewer = hand.editor.canvas.focusProxy()
        hand.editor.canvas.context_menu_requested.emit("b", viewer.nodes["b"].scenePos(), QPoint(50, 50))
        pop_up(hand, "Run again from &here…")
        form = wait_for_form(hand)
        assert form.state_row.value == {"a": 2}
        hand.key(Qt.Key.Key_Escape)

    def test_the_menu_of_the_timeline_has_it_for_the_visit_of_the_bar(self, hand: Hand):
        run_to(hand, summing("add", "add"), RunStatus.COMPLETED)
        timeline = hand.bench.runs_panel.timeline
        at = QPoint(40, 32 + 25 + 10)
        timeline.contextMenuEvent(
            QContextMenuEvent(QContextMenuEvent.Reason.Mouse, at, timeline.viewport().mapToGlobal(at))
        )
        pop_up(hand, "Run again from here…")
        assert wait_for_form(hand).state_row.value == {"a": 2}
        hand.key(Qt.Key.Key_Escape)

    def test_the_menu_of_a_log_line_has_it_where_the_line_is_of_a_step(self, hand: Hand):
        run_to(hand, summing("add", "add"), RunStatus.COMPLETED)
        hand.bench.window.show_bottom(1)
        view, model = hand.bench.log_panel.view, hand.bench.log_model
        rows = [row for row in range(model.rowCount()) if model.line_at(row).node == "b"]
        index = model.index(rows[-1], LogColumn.MESSAGE)
        view.scrollTo(index)
        view.customContextMenuRequested.emit(view.visualRect(index).center())
        pop_up(hand, "Run again from here…")
        assert wait_for_form(hand).state_row.value == {"a": 2}
        hand.key(Qt.Key.Key_Escape)
        view.scrollTo(model.index(0, 0))
        view.customContextMenuRequested.emit(view.visualRect(model.index(0, 0)).center())
        hand.wait(lambda: isinstance(QApplication.activePopupWidget(), QMenu))
        menu = QApplication.activePopupWidget()
        assert isinstance(menu, QMenu)
        assert [action.isEnabled() for action in menu.actions()] == [False, False, True]
        menu.close()

    def test_the_menu_of_a_run_runs_it_again_from_the_start_and_leads_to_its_origin(self, hand: Hand):
        old = run_to(hand, summing("add", "add"), RunStatus.COMPLETED)
        choose(hand, menu_entry(hand, 0, "Run again from the start…"))
        run_form(hand, wait_for_form(hand), old)
        choose(hand, menu_entry(hand, 0, "Show the run that it was forked from"))
        hand.wait(lambda: hand.bench.runs and hand.bench.runs.shown_run_id == old)
        hand.settle()
