"""Deleting runs in the window, with real clicks, and seeing others delete them."""

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu

from tests.gui.window.conftest import Gate, Hand
from tests.gui.window.test_steering import make_chain
from tests.gui.window.test_window import answer, open_stored

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)


def run_ids_in_table(hand: Hand) -> list[str]:
    model = hand.bench.runs_model
    return [model.run_at(row).run_id for row in range(model.rowCount())]


def place_of(hand: Hand, run_id: str) -> QPoint:
    view = hand.bench.runs_panel.view
    return view.visualRect(view.model().index(hand.bench.runs_model.row_of(run_id), 1)).center()


def click_row(hand: Hand, run_id: str, modifier: Qt.KeyboardModifier) -> None:
    QTest.mouseClick(
        hand.bench.runs_panel.view.viewport(), Qt.MouseButton.LeftButton, modifier, place_of(hand, run_id)
    )
    hand.settle()


def open_menu(hand: Hand, run_id: str) -> QAction:
    """The menu of a run; its entry for deleting."""
    panel = hand.bench.runs_panel
    panel.view.customContextMenuRequested.emit(place_of(hand, run_id))
    hand.wait(lambda: panel.findChild(QMenu) is not None)
    return next(action for action in panel.findChild(QMenu).actions() if action.text().startswith("Delete"))


def make_runs(hand: Hand, count: int) -> list[str]:
    graph_id = open_stored(hand, make_chain("add", "add"))
    hand.bench.window.bottom_tabs.setCurrentWidget(hand.bench.runs_panel)
    made = [hand.services.engine.execute_workflow(graph_id) for _ in range(count)]
    for run_id in made:
        hand.services.engine.wait(run_id, 20)
    hand.wait(lambda: set(run_ids_in_table(hand)) == set(made))
    hand.wait(lambda: not hand.bench.runs_model.active)
    return made


def test_selected_runs_are_deleted_after_a_question_and_cancel_keeps_them(hand: Hand) -> None:
    first, second, third = make_runs(hand, 3)
    click_row(hand, third, Qt.KeyboardModifier.NoModifier)
    click_row(hand, second, Qt.KeyboardModifier.ControlModifier)
    action = open_menu(hand, second)
    assert action.text() == "Delete 2 ended runs…"
    action.trigger()
    answer(hand, "delete_runs_box", "Cancel")
    hand.settle()
    assert len(run_ids_in_table(hand)) == 3
    action.trigger()
    answer(hand, "delete_runs_box", "Delete")
    hand.wait(lambda: run_ids_in_table(hand) == [first])
    hand.wait(lambda: hand.said[-1:] == ["2 runs are deleted."])
    assert hand.services.states.query_runs().total_count == 1
    assert hand.bench.runs is not None
    assert hand.bench.runs.shown_run_id not in (second, third)


def test_a_run_that_has_not_ended_cannot_be_deleted(hand: Hand, gate: Gate) -> None:
    graph_id = open_stored(hand, make_chain("wait_for_it"))
    hand.bench.window.bottom_tabs.setCurrentWidget(hand.bench.runs_panel)
    run_id = hand.services.engine.execute_workflow(graph_id)
    hand.wait(lambda: run_ids_in_table(hand) == [run_id])
    assert not open_menu(hand, run_id).isEnabled()
    gate.opened.set()
    hand.services.engine.wait(run_id, 20)


def test_what_others_delete_goes_from_the_table(hand: Hand) -> None:
    made = make_runs(hand, 4)
    hand.services.engine.prune_runs(runs=1)
    hand.wait(lambda: len(run_ids_in_table(hand)) == 1)
    assert run_ids_in_table(hand)[0] in made
