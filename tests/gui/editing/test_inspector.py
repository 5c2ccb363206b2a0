"""The inspector, with real keys and clicks."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QPushButton, QWidget

from engine.model.problem import Problem, Severity
from engine.model.run import CurrentState, RunSnapshot, StepInfo
from engine.model.status import RunStatus, StepStatus
from tests.unit.document.helpers import make_catalog, make_graph
from wfe_desktop.document.document import WorkflowDocument
from wfe_desktop.document.edits import same_graph
from wfe_desktop.panels.inspector_edge import ALWAYS, OTHERWISE, WHEN
from wfe_desktop.theme import DARK, LIGHT, apply_theme

# What the offscreen platform says when a list or a completion opens.
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support (raise|grabbing|propagate)")

Key = Qt.Key
FLOW = ("suggest", "count", "success", None, None)
WIRE = ("read", "suggest", "success", None, "note")


def click(qtbot, widget: QWidget) -> None:
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)


def type_into(qtbot, widget: QWidget, text: str) -> None:
    """Clicks into a field, selects what is there and types."""
    click(qtbot, widget)
    qtbot.keyClick(widget, Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    if text:
        qtbot.keyClicks(widget, text)
    else:
        qtbot.keyClick(widget, Key.Key_Delete)


def parameters(document: WorkflowDocument, node_id: str = "suggest"):
    return document.find_node(node_id).parameters


def row(panel, name):
    return panel.node_page.form.rows[name]


@pytest.fixture
def suggest(panel):
    panel.show_selection(["suggest"], [])
    return panel


# ------------------------------------------------------------------------------------------------ the form


def test_each_parameter_has_the_widget_of_its_type(suggest):
    kinds = {name: type(row.editor).__name__ for name, row in suggest.node_page.form.rows.items()}
    assert kinds == {
        "limit": "LineEditor",
        "report": "AreaEditor",
        "style": "ChoiceEditor",
        "explain": "SwitchEditor",
        "rate": "LineEditor",
        "note": "LineEditor",
        "tags": "AreaEditor",
    }
    assert row(suggest, "limit").hint.text() == "integer · 1–50"
    assert row(suggest, "limit").editor.line.placeholderText() == "5 (default)"


def test_typing_a_number_is_one_step_to_undo_and_ctrl_z_in_the_field_undoes_it(suggest, document, qtbot):
    line = row(suggest, "limit").editor.line
    type_into(qtbot, line, "42")
    assert parameters(document) == {"limit": 42}
    assert document.undo_stack.count() == 1
    qtbot.keyClick(line, Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert parameters(document) == {}
    assert line.text() == ""
    assert line.hasFocus()
    assert same_graph(document.graph, make_graph())
    qtbot.keyClick(line, Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert line.text() == "42"


def test_a_wrong_value_is_kept_as_typed_and_explained(suggest, document, qtbot):
    limit = row(suggest, "limit")
    type_into(qtbot, limit.editor.line, "70")
    assert parameters(document) == {"limit": 70}
    assert limit.message.text() == "Must be at most 50."
    assert limit.message.isVisible()
    assert limit.editor.line.property("invalid") == "true"
    assert limit.editor.line.accessibleDescription() == "Must be at most 50."
    type_into(qtbot, limit.editor.line, "many")
    assert parameters(document) == {"limit": "many"}
    assert limit.message.text() == "Takes a whole number."
    type_into(qtbot, limit.editor.line, "7")
    assert not limit.message.isVisible()
    assert limit.editor.line.property("invalid") == "false"


def test_clearing_a_field_removes_the_value(suggest, document, qtbot):
    line = row(suggest, "note").editor.line
    document.remove(edge_keys=[WIRE])
    document.set_binding("suggest", "note", None)
    type_into(qtbot, line, "hello")
    assert parameters(document) == {"note": "hello"}
    type_into(qtbot, line, "")
    assert parameters(document) == {}


def test_small_numbers_keep_their_notation_while_typed(suggest, document, qtbot):
    rate = row(suggest, "rate").editor.line
    type_into(qtbot, rate, "1e-9")
    assert parameters(document)["rate"] == 1e-9
    assert rate.text() == "1e-9"


def test_null_is_set_and_taken_back_explicitly(suggest, document, qtbot):
    rate = row(suggest, "rate")
    click(qtbot, rate.null_button)
    assert parameters(document) == {"rate": None}
    assert rate.editor.line.placeholderText() == "null"
    click(qtbot, rate.reset_button)
    assert parameters(document) == {}
    assert rate.editor.line.placeholderText() == "0.5 (default)"
    assert rate.editor.line.hasFocus()


def test_the_switch_says_whether_it_is_set(suggest, document, qtbot):
    switch = row(suggest, "explain").editor.switch
    assert (switch.isChecked(), switch.text()) == (True, "On (default)")
    switch.setFocus()
    qtbot.keyClick(switch, Key.Key_Space)
    assert parameters(document) == {"explain": False}
    assert switch.text() == "Off"
    click(qtbot, row(suggest, "explain").reset_button)
    assert parameters(document) == {}
    assert switch.text() == "On (default)"


def test_a_choice_is_made_by_keyboard_and_unset_again(suggest, document, qtbot):
    combo = row(suggest, "style").editor.combo
    combo.setFocus()
    qtbot.keyClick(combo, Key.Key_Down)
    assert parameters(document) == {"style": "concise"}
    qtbot.keyClick(combo, Key.Key_Down)
    assert parameters(document) == {"style": "long"}
    document.undo_stack.setIndex(0)
    assert combo.currentText() == "concise (default)"


def test_json_is_checked_while_it_is_typed(suggest, document, qtbot):
    tags = row(suggest, "tags")
    click(qtbot, tags.editor.area.viewport())
    qtbot.keyClicks(tags.editor.area, '["a",')
    assert tags.message.text().startswith("This is not JSON:")
    qtbot.keyClicks(tags.editor.area, ' "b"]')
    assert parameters(document) == {"tags": ["a", "b"]}
    assert not tags.message.isVisible()
    assert tags.editor.area.toPlainText() == '["a", "b"]'
    assert document.undo_stack.count() == 1


def test_a_change_from_elsewhere_leaves_caret_and_focus_where_they_are(suggest, document, qtbot):
    line = row(suggest, "limit").editor.line
    type_into(qtbot, line, "42")
    line.setCursorPosition(1)
    document.set_label("count", "Another label")
    document.add_node("read_file", 0, 0)
    document.set_catalog(make_catalog())
    assert row(suggest, "limit").editor.line is line
    assert line.hasFocus()
    assert line.cursorPosition() == 1
    qtbot.keyClicks(line, "0")
    assert parameters(document) == {"limit": 402}


def test_text_with_line_breaks_gets_an_area_that_keeps_them(suggest, document):
    document.remove(edge_keys=[WIRE])
    document.set_binding("suggest", "note", None)
    document.set_parameter("suggest", "note", "one\ntwo")
    editor = row(suggest, "note").editor
    assert type(editor).__name__ == "AreaEditor"
    assert editor.area.toPlainText() == "one\ntwo"
    assert parameters(document) == {"note": "one\ntwo"}


def test_tab_walks_through_the_fields(suggest, qtbot):
    line = row(suggest, "limit").editor.line
    click(qtbot, line)
    qtbot.keyClick(line, Key.Key_Tab)
    assert row(suggest, "limit").fx_button.hasFocus()
    qtbot.keyClick(row(suggest, "limit").fx_button, Key.Key_Tab)
    assert row(suggest, "report").editor.area.hasFocus()
    qtbot.keyClick(row(suggest, "report").editor.area, Key.Key_Tab)
    assert row(suggest, "report").fx_button.hasFocus()


# ------------------------------------------------------------------------------------------------ expressions


def test_fx_turns_the_value_into_an_expression_and_back(suggest, document, qtbot):
    limit = row(suggest, "limit")
    type_into(qtbot, limit.editor.line, "7")
    click(qtbot, limit.fx_button)
    assert document.find_node("suggest").bindings["limit"] == "7"
    assert "limit" not in parameters(document)
    assert limit.expression.line.hasFocus()
    assert not limit.editor.isVisible()
    click(qtbot, limit.fx_off_button)
    assert parameters(document) == {"limit": 7}
    assert limit.editor.line.hasFocus()
    document.undo_stack.setIndex(0)
    assert same_graph(document.graph, make_graph())


def test_an_expression_is_checked_while_it_is_typed(suggest, document, qtbot):
    limit = row(suggest, "limit")
    click(qtbot, limit.fx_button)
    assert limit.expression.text == "state.limit"
    type_into(qtbot, limit.expression.line, "state.x +")
    assert limit.message.isVisible()
    assert document.find_node("suggest").bindings["limit"] == "state.x +"
    qtbot.keyClicks(limit.expression.line, " 1")
    assert not limit.message.isVisible()
    type_into(qtbot, limit.expression.line, "")
    assert "limit" not in document.find_node("suggest").bindings
    assert limit.message.text().startswith("Type an expression")
    assert limit.expression.line.hasFocus()
    qtbot.keyClicks(limit.expression.line, "visit")
    assert document.find_node("suggest").bindings["limit"] == "visit"


def test_an_expression_left_empty_gives_way_to_the_value(suggest, qtbot):
    limit = row(suggest, "limit")
    click(qtbot, limit.fx_button)
    type_into(qtbot, limit.expression.line, "")
    suggest.node_page.header.title.setFocus()
    assert limit.editor.isVisible()
    assert not limit.message.isVisible()


def test_completion_offers_steps_and_takes_the_choice(suggest, document, qtbot):
    limit = row(suggest, "limit")
    click(qtbot, limit.fx_button)
    line = limit.expression.line
    type_into(qtbot, line, "1 + steps.rea")
    popup = line.popup
    assert popup.isVisible()
    offered = [popup.model().index(i, 0).data() for i in range(popup.model().rowCount())]
    assert offered == ["steps.read.result", "steps.read.status", "steps.read.error"]
    qtbot.keyClick(popup, Key.Key_Down)
    qtbot.keyClick(popup, Key.Key_Return)
    assert line.text() == "1 + steps.read.result"
    assert document.find_node("suggest").bindings["limit"] == "1 + steps.read.result"
    assert not popup.isVisible()


def test_a_wire_is_shown_followed_and_cut(suggest, document, qtbot):
    note = row(suggest, "note")
    (jump,) = [b for b in note.findChildren(QPushButton) if b.text().startswith("from ")]
    assert jump.text() == "from Read file · result"
    with qtbot.waitSignal(suggest.select_requested) as asked:
        click(qtbot, jump)
    assert asked.args == [["read"], []]
    cut = next(b for b in note.findChildren(type(note.fx_button)) if b.toolTip() == "Disconnect the wire")
    click(qtbot, cut)
    assert document.find_edge(WIRE) is None
    assert note.expression.isVisible()  # the binding counts where no wire comes


def test_a_lost_tool_keeps_its_values_editable(panel, document, qtbot):
    document.set_node_field("read", "function_name", "gone")
    panel.show_selection(["read"], [])
    assert "not registered" in panel.node_page.form.notice.text()
    area = row(panel, "path").editor.area
    assert area.toPlainText() == "a.py"
    type_into(qtbot, area.viewport(), "")
    assert parameters(document, "read") == {"path": "a.py"} or parameters(document, "read") == {}


def test_a_tool_of_any_parameters_takes_another_one(panel, document, qtbot):
    panel.show_selection(["count"], [])
    form = panel.node_page.form
    type_into(qtbot, form.new_name, "step")
    qtbot.keyClick(form.new_name, Key.Key_Return)
    area = form.rows["step"].editor.area
    assert area.hasFocus()
    qtbot.keyClicks(area, "5")
    assert parameters(document, "count") == {"step": 5}


def test_a_problem_of_a_parameter_is_shown_at_its_field(suggest):
    problem = Problem(
        Severity.WARNING, "x", "Nothing gives this.", node_id="suggest", field="parameters.limit"
    )
    suggest.show_problems([problem])
    assert row(suggest, "limit").message.text() == "Nothing gives this."
    suggest.show_problems([])
    assert not row(suggest, "limit").message.isVisible()


# ------------------------------------------------------------------------------------------------ the node


def test_the_label_is_typed_in_the_title_and_empty_is_the_tools(suggest, document, qtbot):
    title = suggest.node_page.header.title
    type_into(qtbot, title, "My step")
    assert document.find_node("suggest").label == "My step"
    assert document.undo_stack.count() == 1
    type_into(qtbot, title, "")
    assert document.find_node("suggest").label is None
    assert title.text() == ""
    qtbot.keyClick(title, Key.Key_Return)
    assert title.text() == "Suggest fixes"


def test_the_id_is_renamed_when_the_field_is_left(suggest, document, qtbot):
    suggest.node_page.tabs.setCurrentIndex(1)
    line = suggest.node_page.policies.rows["id"].editor.line
    type_into(qtbot, line, "fix")
    assert document.find_node("fix") is None
    with qtbot.waitSignal(suggest.select_requested) as asked:
        qtbot.keyClick(line, Key.Key_Return)
    assert asked.args == [["fix"], []]
    assert document.find_node("fix") is not None
    assert suggest.node_page.isVisible()
    type_into(qtbot, line, "read")
    qtbot.keyClick(line, Key.Key_Return)
    assert suggest.node_page.policies.rows["id"].message.text() == 'Another node already has the id "read".'


def test_policies_are_set_and_reset(suggest, document, qtbot):
    suggest.node_page.tabs.setCurrentIndex(1)
    policies = suggest.node_page.policies
    qtbot.mouseClick(policies.start, Qt.MouseButton.LeftButton, pos=QPoint(10, policies.start.height() // 2))
    assert document.graph.entry_point == "suggest"
    type_into(qtbot, policies.rows["save_as"].editor.line, "fixes")
    type_into(qtbot, policies.rows["join"].editor.line, "2")
    combo = policies.rows["on_error"].editor.combo
    combo.setFocus()
    qtbot.keyClicks(combo, "cont")
    area = policies.rows["default_result"].editor.area
    assert area.isVisible()
    qtbot.keyClicks(area, '{"ok": false}')
    node = document.find_node("suggest")
    assert (node.save_as, node.join, node.on_error, node.default_result) == (
        "fixes",
        2,
        "continue",
        {"ok": False},
    )
    type_into(qtbot, policies.rows["join"].editor.line, "some")
    assert policies.rows["join"].message.text() == 'Join must be "all", "any" or a number from 1 to 10,000.'
    assert document.find_node("suggest").join == 2
    document.undo_stack.setIndex(0)
    assert same_graph(document.graph, make_graph())


def snapshot(**steps: StepInfo) -> RunSnapshot:
    now = datetime.now(UTC)
    results = {"read": list(range(20_000)), "suggest": {"fixed": True}}
    return RunSnapshot(
        "r", "g", 1, "Sample", RunStatus.RUNNING, CurrentState({}, []), now, now, None, None, steps, results
    )


def test_the_result_of_the_shown_run_is_told(suggest):
    page = suggest.node_page
    assert "Press F5" in page.result.empty.text()
    now = datetime.now(UTC)
    suggest.show_run(snapshot(suggest=StepInfo("suggest", StepStatus.RUNNING, 2, 1, now, 0.184)))
    assert (page.status.text(), page.header.subtitle.text()) == ("Running", "code.suggest · visit 2")
    assert '"fixed": true' in page.result.result.area.toPlainText()
    suggest.show_selection(["count"], [])
    assert page.result.empty.text() == "The run that is shown has not come to this node."
    assert not page.status.isVisible()
    suggest.show_run(None)
    assert "Press F5" in page.result.empty.text()


def test_a_large_result_is_folded_with_its_size(panel, qtbot):
    panel.show_selection(["read"], [])
    panel.node_page.tabs.setCurrentIndex(2)
    panel.show_run(snapshot(read=StepInfo("read", StepStatus.FAILED, 1, 1, None, 2.0, "It broke.")))
    view = panel.node_page.result.result
    assert not view.area.isVisible()
    assert view.size_label.text() == "list of 20,000 · 168.9 KB"
    assert panel.node_page.result.error.toPlainText() == "It broke."
    click(qtbot, view.unfold_button)
    assert view.area.isVisible()
    assert view.area.toPlainText().startswith("[\n  0,")
    click(qtbot, view.copy_button)
    assert len(QGuiApplication.clipboard().text()) > 100_000


def test_help_describes_the_tool(suggest, qtbot):
    suggest.node_page.tabs.setCurrentIndex(3)
    texts = [label.text() for label in suggest.node_page.help.findChildren(QWidget) if hasattr(label, "text")]
    assert "Suggests fixes" in texts
    assert "integer · 1–50 · 5 by default" in texts
    show = next(b for b in suggest.node_page.help.findChildren(QPushButton))
    click(qtbot, show)
    assert any('"maximum": 50' in area.toPlainText() for area in suggest.node_page.help.findChildren(QWidget) if hasattr(area, "toPlainText"))  # fmt: skip


# ------------------------------------------------------------------------------------------------ edges


def test_a_condition_is_typed_checked_and_undone(panel, document, qtbot):
    panel.show_selection([], [FLOW])
    page = panel.edge_page
    assert page.choices[ALWAYS].isChecked()
    assert page.header.title.text() == "Suggest fixes → Count"
    click(qtbot, page.choices[WHEN])
    assert page.condition.line.hasFocus()
    assert page.message.text() == "Type a condition."
    qtbot.keyClicks(page.condition.line, "result.score >")
    assert page.message.isVisible()
    qtbot.keyClicks(page.condition.line, "= 70")
    assert not page.message.isVisible()
    assert document.find_edge(FLOW).condition == "result.score >= 70"
    assert document.undo_stack.count() == 1
    qtbot.keyClick(page.condition.line, Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert document.find_edge(FLOW).condition is None


def test_else_and_always_are_chosen(panel, document, qtbot):
    panel.show_selection([], [FLOW])
    click(qtbot, panel.edge_page.choices[OTHERWISE])
    assert document.find_edge(FLOW).condition == "else"
    assert not panel.edge_page.condition.isVisible()
    click(qtbot, panel.edge_page.choices[ALWAYS])
    assert document.find_edge(FLOW).condition is None


def test_a_condition_that_is_asked_for_can_be_typed_at_once(panel, document, qtbot):
    panel.edit_condition(FLOW)
    assert panel.edge_page.condition.line.hasFocus()
    qtbot.keyClicks(panel.edge_page.condition.line, "visit < 3")
    assert document.find_edge(FLOW).condition == "visit < 3"


def test_an_edge_becomes_an_error_edge_and_stays_shown(panel, document, qtbot):
    panel.show_selection([], [FLOW])
    combo = panel.edge_page.kind
    combo.setFocus()
    with qtbot.waitSignal(panel.select_requested) as asked:
        qtbot.keyClick(combo, Key.Key_Down)
    changed = ("suggest", "count", "error", None, None)
    assert asked.args == [[], [changed]]
    assert document.find_edge(changed) is not None
    assert panel.edge_page.isVisible()
    assert panel.edge_page.key == changed


def test_a_wire_to_a_parameter_of_another_type_is_refused_with_the_reason(panel, document, qtbot):
    panel.show_selection([], [WIRE])
    combo = panel.edge_page.to_port
    combo.setFocus()
    qtbot.keyClick(combo, Key.Key_Home)
    assert panel.edge_page.refusal.text() == '"Read file" gives text; "limit" takes a number.'
    assert combo.currentText() == "note"
    assert document.find_edge(WIRE) is not None


def test_an_edge_is_removed_and_the_workflow_shown(panel, document, qtbot):
    panel.show_selection([], [WIRE])
    click(qtbot, panel.edge_page.remove_button)
    assert document.find_edge(WIRE) is None
    assert panel.graph_page.isVisible()


# ------------------------------------------------------------------------------------------------ the workflow


def test_nothing_selected_shows_the_workflow_and_its_name_can_be_typed(panel, document, qtbot):
    page = panel.graph_page
    assert page.isVisible()
    assert page.header.subtitle.text() == "3 nodes · 3 edges"
    type_into(qtbot, page.header.title, "New name")
    assert document.title == "New name"
    type_into(qtbot, page.header.title, "")
    qtbot.keyClick(page.header.title, Key.Key_Return)
    assert page.header.title.text() == document.title


def test_exit_conditions_limits_and_reducers_are_edited(panel, document, qtbot):
    page = panel.graph_page
    click(qtbot, page.exits.add_button)
    qtbot.keyClicks(page.exits.lines[1].line, "state.done")
    assert document.graph.exit_conditions == ("steps['read'].status == 'failed'", "state.done")
    type_into(qtbot, page.rows["max_steps"].editor.line, "0")
    assert page.rows["max_steps"].message.isVisible()
    assert document.graph.max_steps == 100_000
    type_into(qtbot, page.rows["max_steps"].editor.line, "50")
    assert document.graph.max_steps == 50
    type_into(qtbot, page.reducers.new_key, "notes")
    qtbot.keyClick(page.reducers.new_key, Key.Key_Return)
    assert document.graph.reducers == {"notes": "append"}
    document.undo_stack.setIndex(0)
    assert same_graph(document.graph, make_graph())
    assert len(page.exits.lines) == 1


def test_the_entry_is_chosen_from_the_nodes(panel, document, qtbot):
    entry = panel.graph_page.entry
    assert entry.currentText() == "Read file"
    entry.showPopup()
    assert [entry.itemText(i) for i in range(entry.count())][1:] == ["Read file", "Suggest fixes", "Count"]
    view = entry.view()
    qtbot.keyClick(view, Key.Key_Home)
    qtbot.keyClick(view, Key.Key_Return)
    assert document.graph.entry_point is None


# ------------------------------------------------------------------------------------------------ several, themes


def test_several_things_are_counted_duplicated_and_deleted(panel, document, qtbot):
    panel.show_selection(["read", "suggest"], [FLOW])
    page = panel.many_page
    assert (page.header.title.text(), page.header.subtitle.text()) == ("3 selected", "2 nodes · 1 edge")
    with qtbot.waitSignal(panel.select_requested) as asked:
        click(qtbot, page.duplicate_button)
    assert asked.args == [["read_2", "suggest_2"], []]
    click(qtbot, page.delete_button)
    assert [node.id for node in document.graph.nodes] == ["count", "read_2", "suggest_2"]
    assert panel.graph_page.isVisible()


def test_another_document_is_shown_and_the_old_one_let_go(panel, document, qtbot):
    other = WorkflowDocument()
    panel.show_selection(["read"], [])
    panel.set_document(other)
    document.set_label("read", "x")
    assert panel.graph_page.header.title.text() == "Untitled workflow"
    assert "Drag a tool" in panel.graph_page.hint.text()
    panel.set_document(None)


def test_a_change_of_theme_keeps_what_is_typed(suggest, document, qtbot):
    line = row(suggest, "limit").editor.line
    type_into(qtbot, line, "4")
    app = QApplication.instance()
    apply_theme(app, LIGHT)
    qtbot.keyClicks(line, "2")
    apply_theme(app, DARK)
    assert parameters(document) == {"limit": 42}


def test_a_text_is_shown_as_it_is_and_broken_where_the_panel_ends(panel, document, qtbot):
    text = "# Review\n\n" + "words that go on and on, " * 40
    run = snapshot(read=StepInfo("read", StepStatus.COMPLETED, 1, 1, None, 0.1))
    panel.show_run(replace(run, results={"read": text}))
    panel.show_selection(["read"], [])
    panel.node_page.tabs.setCurrentIndex(2)
    area = panel.node_page.result.result.area
    qtbot.waitUntil(area.isVisible)
    assert area.toPlainText() == text
    widths = {area.document().findBlockByNumber(i).layout().lineAt(0).width() for i in range(3)}
    assert max(widths) <= area.viewport().width()
    assert area.horizontalScrollBar().maximum() == 0
