"""Steps that run another workflow, in the window: choosing it, watching it, and the way there and back."""

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu, QWidget

from engine import WaitForSignal
from engine.model.graph import GraphDefinition, NodeDefinition
from engine.model.status import RunStatus, StepStatus
from tests.gui.window.conftest import Gate, Hand
from tests.gui.window.test_steering import F5, press, wait_until
from tests.gui.window.test_window import open_stored, shown
from wfe_desktop.forms.editors import WorkflowEditor
from wfe_desktop.panels.runs import RunsPanel

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)

CHILD = GraphDefinition(
    name="Child", nodes=(NodeDefinition(id="gate", function_name="wait_for_it", save_as="said"),)
)


def run_child(node_id: str, **fields: object) -> NodeDefinition:
    return NodeDefinition(id=node_id, function_name="run_workflow", parameters={"graph": "Child"}, **fields)


def start(hand: Hand, *nodes: NodeDefinition) -> str:
    """Run a parent of these nodes, and wait until the engine has started a child; the parent's id."""
    hand.services.graphs.create_graph(CHILD)
    open_stored(hand, GraphDefinition(name="Parent", nodes=nodes))
    press(hand, F5)
    hand.wait(hand.editor.family_bar.isVisible)
    assert hand.bench.runs is not None
    return hand.bench.runs.shown_run_id


def choose(hand: Hand, text: str) -> None:
    """Click on an entry of the menu that is open."""
    hand.wait(lambda: isinstance(QApplication.activePopupWidget(), QMenu))
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    action = next(action for action in menu.actions() if action.text().startswith(text))
    QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(action).center())


def wait_until_shown(hand: Hand, name: str) -> None:
    hand.wait(lambda: hand.graph.name == name and hand.bench.runs and hand.bench.runs.shown is not None)
    hand.settle()


def in_sight(widget: QWidget) -> bool:
    return widget.isVisible()


def test_the_workflow_is_chosen_from_those_there_are(hand: Hand, gate: Gate):
    hand.services.graphs.create_graph(CHILD)
    twins = [hand.services.graphs.create_graph(GraphDefinition(name="Twin")) for _ in range(2)]
    hand.wait(lambda: len(hand.bench.graphs_model.references()) == 3)
    node_id = hand.place("run_workflow", 0, 0)
    panel = hand.bench.inspector.current
    assert panel is not None
    editor = panel.node_page.form.rows["graph"].editor
    assert isinstance(editor, WorkflowEditor)
    hand.click(editor.choose_button)
    choose(hand, "Child")
    assert hand.editor.document.find_node(node_id).parameters == {"graph": "Child"}
    assert editor.line.text() == "Child"
    hand.click(editor.choose_button)
    choose(hand, "Twin (")
    assert hand.editor.document.find_node(node_id).parameters["graph"] in twins
    hand.editor.document.undo_stack.undo()
    assert editor.line.text() == "Child"
    hand.focus(editor.line)
    editor.line.selectAll()
    hand.type("Later")
    assert hand.editor.document.find_node(node_id).parameters == {"graph": "Later"}


def test_a_workflow_that_is_not_stored_is_a_problem_until_somebody_stores_it(hand: Hand):
    hand.editor.document.replace(GraphDefinition(name="Parent", nodes=(run_child("review"),)), "test")
    problems = hand.bench.problems_model

    def is_told(text: str) -> bool:
        return any(text in problems.index(row, 0).data() for row in range(problems.rowCount()))

    hand.wait(lambda: is_told('there is no workflow with the id or name "Child"; store it first'))
    graph_id = hand.services.graphs.create_graph(CHILD)
    hand.wait(lambda: problems.rowCount() == 0)
    hand.services.graphs.delete_graph(graph_id)
    hand.wait(lambda: is_told('the workflow "Child" was deleted; name one that is stored'))


def test_a_node_says_that_its_child_runs_and_leads_to_it_and_back(hand: Hand, gate: Gate):
    parent = start(hand, run_child("review", label="Review"))
    hand.wait(lambda: shown(hand).nodes["review"].runs_child)
    viewer = hand.editor.canvas.focusProxy()
    run = viewer.nodes["review"].run
    assert (run.status, run.note) == (StepStatus.RUNNING, "child")
    bar = hand.editor.family_bar
    hand.wait(lambda: bar.text.text() == "“Review” waits for the workflow that it runs")
    assert not in_sight(bar.parent_button)
    hand.click(bar.children_button)
    wait_until_shown(hand, "Child")
    bar = hand.editor.family_bar
    hand.wait(lambda: bar.text.text() == "The step “review” of a run of “Parent” started this run")
    assert bar.isVisible()
    assert not in_sight(bar.children_button)
    gate.opened.set()
    wait_until(hand, RunStatus.COMPLETED)
    hand.click(bar.parent_button)
    wait_until_shown(hand, "Parent")
    assert hand.bench.runs is not None
    assert hand.bench.runs.shown_run_id == parent
    wait_until(hand, RunStatus.COMPLETED)
    hand.wait(lambda: hand.editor.family_bar.text.text() == "“Review” ran another workflow")


def test_the_parent_s_workflow_is_named_where_the_table_does_not_have_that_run(hand: Hand, gate: Gate):
    parent = start(hand, run_child("review"))
    hand.wait(lambda: hand.bench.runs_model.row_of(parent) >= 0)
    hand.bench.runs_model.remove([parent])
    hand.wait(lambda: in_sight(hand.editor.family_bar.children_button))
    hand.click(hand.editor.family_bar.children_button)
    wait_until_shown(hand, "Child")
    text = hand.editor.family_bar.text
    hand.wait(lambda: text.text() == "The step “review” of a run of “Parent” started this run")
    gate.opened.set()
    wait_until(hand, RunStatus.COMPLETED)


def test_the_inspector_leads_to_the_run_too(hand: Hand, gate: Gate):
    start(hand, run_child("review"))
    hand.editor.canvas.select(["review"])
    panel = hand.bench.inspector.current
    assert panel is not None
    panel.node_page.tabs.setCurrentIndex(2)
    button = panel.node_page.result.runs_button
    hand.wait(button.isVisible)
    hand.wait(lambda: panel.node_page.status.text() == "Runs a workflow")
    hand.click(button)
    wait_until_shown(hand, "Child")
    gate.opened.set()
    wait_until(hand, RunStatus.COMPLETED)


def test_of_many_runs_one_is_chosen_and_the_node_counts_those_that_are_done(hand: Hand, gate: Gate):
    start(hand, run_child("each", for_each="[1, 2, 3]", max_parallel=2))
    viewer = hand.editor.canvas.focusProxy()
    hand.wait(lambda: viewer.nodes["each"].run.note == "0/3")
    bar = hand.editor.family_bar
    hand.wait(lambda: bar.children_button.text() == "Show one of its 2 runs…")
    hand.click(bar.children_button)
    choose(hand, "Item 1 ·")
    wait_until_shown(hand, "Child")
    gate.opened.set()
    wait_until(hand, RunStatus.COMPLETED)
    hand.wait(hand.editor.family_bar.isVisible)
    hand.click(hand.editor.family_bar.parent_button)
    wait_until_shown(hand, "Parent")
    wait_until(hand, RunStatus.COMPLETED)
    hand.wait(lambda: hand.editor.family_bar.children_button.text() == "Show one of its 3 runs…")


def test_a_child_that_waits_for_somebody_is_seen_from_its_parent(hand: Hand):
    hand.services.registry.register_tool("ask", lambda: WaitForSignal("go"), "", category="Test")
    asking = GraphDefinition(name="Child", nodes=(NodeDefinition(id="ask", function_name="ask"),))
    hand.services.graphs.create_graph(asking)
    open_stored(hand, GraphDefinition(name="Parent", nodes=(run_child("review"),)))
    press(hand, F5)
    bar = hand.editor.family_bar
    said = "“Run workflow” runs a workflow that waits for somebody: its run says for what"
    hand.wait(lambda: bar.isVisible() and bar.text.text() == said)
    hand.click(bar.children_button)
    wait_until_shown(hand, "Child")
    hand.wait(hand.editor.waiting_bar.isVisible)
    hand.services.engine.cancel_execution(hand.bench.runs.shown_run_id)
    wait_until(hand, RunStatus.CANCELLED)


def open_menu(panel: RunsPanel, row: int) -> None:
    place = panel.view.visualRect(panel.model.index(row, 1)).center()
    panel.view.customContextMenuRequested.emit(QPoint(place))


def test_child_runs_are_in_the_table_when_they_are_asked_for(hand: Hand, gate: Gate):
    parent = start(hand, run_child("review"))
    table, panel = hand.bench.runs_model, hand.bench.runs_panel
    hand.wait(lambda: table.rowCount() == 1)
    open_menu(panel, 0)
    choose(hand, "Child runs in the table")
    hand.wait(lambda: table.rowCount() == 2)
    child = table.run_at(0)
    assert (child.name, child.parent_run_id) == ("Child", parent)
    assert child.describe_origin() == f"for run …{parent[-4:]}"
    panel.run_chosen.emit(child.run_id)
    wait_until_shown(hand, "Child")
    open_menu(panel, 0)
    choose(hand, "Show the run that started it")
    wait_until_shown(hand, "Parent")
    open_menu(panel, 0)
    choose(hand, "Child runs in the table")
    hand.wait(lambda: [table.run_at(row).run_id for row in range(table.rowCount())] == [parent])
    gate.opened.set()
    wait_until(hand, RunStatus.COMPLETED)
