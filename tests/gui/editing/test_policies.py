"""The tab Policies, with real keys and clicks: retry, for_each, breakpoints."""

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QCheckBox, QLabel

from engine.model.graph import CachePolicy, RetryPolicy
from engine.model.problem import Problem, Severity
from tests.gui.editing.test_inspector import click, type_into
from wfe_desktop.document.edits import same_graph
from wfe_desktop.forms.controls import SmallButton
from wfe_desktop.panels.inspector_policies import PoliciesForm

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support (raise|grabbing|propagate)")

Key = Qt.Key
CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def policies(panel) -> PoliciesForm:
    panel.show_selection(["suggest"], [])
    panel.node_page.tabs.setCurrentIndex(1)
    return panel.node_page.policies


def node(document):
    return document.find_node("suggest")


def switch(qtbot, box: QCheckBox) -> None:
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(12, box.height() // 2))


def line(policies, name):
    return policies.rows[name].editor.line


# -------------------------------------------------------------------------------------------------- retry


def test_retry_is_switched_on_and_off_each_in_one_step(policies, document, qtbot):
    before = document.graph
    assert not policies.retry_box.isVisible()
    switch(qtbot, policies.retry)
    assert node(document).retry == RetryPolicy()
    assert policies.retry_box.isVisible()
    assert policies.retry_note.text() == "Waits 1 s, 2 s, each ±10%."
    switch(qtbot, policies.retry)
    assert node(document).retry is None
    assert document.undo_stack.count() == 2
    document.undo_stack.undo()
    assert policies.retry.isChecked()
    document.undo_stack.undo()
    assert same_graph(document.graph, before)


def test_typing_a_field_of_retry_is_one_step_to_undo(policies, document, qtbot):
    switch(qtbot, policies.retry)
    for name, text, value in (
        ("max_attempts", "30", 30),  # by way of 3, which is the default
        ("delay_s", "0.25", 0.25),
        ("backoff", "1.50", 1.5),
        ("max_delay_s", "25", 25.0),
        ("jitter", "0", 0.0),
    ):
        steps = document.undo_stack.count()
        type_into(qtbot, line(policies, name), text)
        assert getattr(node(document).retry, name) == value
        assert line(policies, name).text() == text
        assert document.undo_stack.count() == steps + 1
    qtbot.keyClick(line(policies, "jitter"), Key.Key_Z, CONTROL)
    assert node(document).retry.jitter == 0.1
    assert line(policies, "jitter").text() == ""
    assert line(policies, "jitter").hasFocus()


def test_a_wrong_value_of_retry_stays_with_its_reason_and_changes_nothing(policies, document, qtbot):
    switch(qtbot, policies.retry)
    before = document.graph
    growth = policies.rows["backoff"]
    type_into(qtbot, growth.editor.line, "0.5")
    assert growth.message.text() == "Must be at least 1."
    type_into(qtbot, line(policies, "max_attempts"), "many")
    assert policies.rows["max_attempts"].message.text() == "Takes a whole number."
    assert document.graph is before
    document.set_label("count", "Another label")
    assert growth.editor.line.text() == "0.5"
    assert growth.message.isVisible()
    assert line(policies, "max_attempts").text() == "many"
    type_into(qtbot, growth.editor.line, "2.5")
    assert node(document).retry.backoff == 2.5
    assert not growth.message.isVisible()


def test_names_of_exceptions_are_typed_with_commas_and_wrong_ones_are_explained(policies, document, qtbot):
    switch(qtbot, policies.retry)
    steps = document.undo_stack.count()
    row = policies.rows["on"]
    type_into(qtbot, row.editor.line, "TimeoutError, ")
    assert row.editor.line.text() == "TimeoutError, "
    qtbot.keyClicks(row.editor.line, "Key Error")
    assert node(document).retry.on == ("TimeoutError", "Key Error")
    assert row.message.text().startswith('No exception is called "Key Error".')
    type_into(qtbot, row.editor.line, "TimeoutError, KeyError")
    assert node(document).retry.on == ("TimeoutError", "KeyError")
    assert not row.message.isVisible()
    assert document.undo_stack.count() == steps + 1
    type_into(qtbot, row.editor.line, "")
    assert node(document).retry.on == ()


def test_another_node_shows_its_own_policies(panel, policies, document, qtbot):
    switch(qtbot, policies.retry)
    type_into(qtbot, line(policies, "backoff"), "0.5")
    panel.show_selection(["count"], [])
    assert not policies.retry.isChecked()
    panel.show_selection(["suggest"], [])
    assert policies.retry.isChecked()
    assert line(policies, "backoff").text() == ""


# ------------------------------------------------------------------------------------------------ for_each


def test_for_each_is_checked_while_it_is_typed_and_is_one_step(policies, document, qtbot):
    field = policies.for_each.expression.line
    assert not policies.rows["max_parallel"].isVisible()
    type_into(qtbot, field, "state.files[")
    assert node(document).for_each == "state.files["
    assert policies.for_each.message.text().startswith('cannot read "state.files["')
    assert field.property("invalid") == "true"
    qtbot.keyClicks(field, "0]")
    assert node(document).for_each == "state.files[0]"
    assert not policies.for_each.message.isVisible()
    assert policies.rows["max_parallel"].isVisible()
    type_into(qtbot, field, "item")
    assert "known only at a node with for_each" in policies.for_each.message.text()
    type_into(qtbot, field, "result")
    assert "result is known only on an edge" in policies.for_each.message.text()
    assert document.undo_stack.count() == 1
    type_into(qtbot, field, "")
    assert node(document).for_each is None
    assert not policies.rows["max_parallel"].isVisible()


def test_for_each_completes_names(policies, document, qtbot):
    field = policies.for_each.expression.line
    type_into(qtbot, field, "steps.re")
    assert field.popup.isVisible()
    qtbot.keyClick(field.popup, Key.Key_Down)
    qtbot.keyClick(field.popup, Key.Key_Return)
    assert node(document).for_each == "steps.read.result"


def test_item_and_index_are_known_where_the_node_has_for_each(panel, policies, document, qtbot):
    panel.node_page.tabs.setCurrentIndex(0)
    note = panel.node_page.form.rows["limit"]
    click(qtbot, note.fx_button)
    type_into(qtbot, note.expression.line, "index + item.size")
    assert "known only at a node with for_each" in note.message.text()
    document.set_node_field("suggest", "for_each", "state.files")
    assert not note.message.isVisible()
    type_into(qtbot, note.expression.line, "it")
    assert "item" in [
        note.expression.line.popup.model().index(row, 0).data()
        for row in range(note.expression.line.popup.model().rowCount())
    ]
    document.set_binding("suggest", "limit", "result + 1")
    assert "result is known only on an edge" in note.message.text()


def test_items_at_once_and_what_a_failing_item_does(policies, document, qtbot):
    type_into(qtbot, policies.for_each.expression.line, "state.files")
    type_into(qtbot, line(policies, "max_parallel"), "0")
    assert policies.rows["max_parallel"].message.text() == "Must be at least 1."
    assert node(document).max_parallel is None
    type_into(qtbot, line(policies, "max_parallel"), "8")
    assert node(document).max_parallel == 8
    combo = policies.rows["on_item_error"].editor.combo
    combo.setFocus()
    qtbot.keyClick(combo, Key.Key_Down)
    qtbot.keyClick(combo, Key.Key_Down)
    assert node(document).on_item_error == "collect"
    type_into(qtbot, line(policies, "max_parallel"), "")
    assert node(document).max_parallel is None


def test_what_validation_says_of_a_policy_is_shown_at_its_field(panel, policies, document, qtbot):
    type_into(qtbot, policies.for_each.expression.line, "steps.gone.result")
    problem = Problem(
        Severity.ERROR, "unknown-step", "there is no step gone", node_id="suggest", field="for_each"
    )
    panel.show_problems([problem])
    assert policies.for_each.message.text() == "there is no step gone"
    panel.show_problems([])
    assert not policies.for_each.message.isVisible()


def test_renaming_a_step_rewrites_for_each(document, policies):
    document.set_node_field("suggest", "for_each", "steps.read.result")
    document.rename_node("read", "reader")
    assert node(document).for_each == "steps.reader.result"


# ---------------------------------------------------------------------------------------------- breakpoints


def test_the_breakpoint_is_switched_here_too(policies, document, qtbot):
    switch(qtbot, policies.pause)
    assert document.breakpoints == ("suggest",)
    document.undo_stack.undo()
    assert not policies.pause.isChecked()


def test_a_breakpoint_does_not_come_back_with_another_node_of_the_same_id(document, policies):
    document.toggle_breakpoints(["suggest", "count"])
    document.remove(["suggest"])
    assert document.graph.ui["breakpoints"] == ["count"]
    document.clear_breakpoints()
    assert "breakpoints" not in document.graph.ui


# ---------------------------------------------------------------------------------------------- resources


def add_resource(qtbot, form, name):
    type_into(qtbot, form.name.lineEdit(), name)
    qtbot.keyClick(form.name.lineEdit(), Key.Key_Return)


def test_resources_are_added_counted_and_taken_out_each_in_one_step(policies, document, qtbot):
    form = policies.resources
    assert [form.name.itemText(i) for i in range(form.name.count())] == ["gpu", "db"]
    add_resource(qtbot, form, "gpu")
    assert node(document).resources == {"gpu": 1}
    assert [form.name.itemText(i) for i in range(form.name.count())] == ["db"]
    assert form.rows["gpu"].number.hasFocus()
    type_into(qtbot, form.rows["gpu"].number, "12")
    assert node(document).resources == {"gpu": 12}
    assert form.rows["gpu"].number.text() == "12"
    assert document.undo_stack.count() == 2
    form.name.setCurrentIndex(0)
    click(qtbot, form.add_button)
    assert node(document).resources == {"gpu": 12, "db": 1}
    click(qtbot, form.rows["gpu"].findChild(SmallButton))
    assert node(document).resources == {"db": 1}
    assert document.undo_stack.count() == 4
    for _ in range(4):
        document.undo_stack.undo()
    assert node(document).resources == {}
    assert not form.rows


def test_a_number_of_tokens_that_is_none_stays_with_its_reason_and_changes_nothing(policies, document, qtbot):
    form = policies.resources
    add_resource(qtbot, form, "gpu")
    before = document.graph
    for wrong in ("", "0", "1.5", "many"):
        type_into(qtbot, form.rows["gpu"].number, wrong)
        assert form.message.text() == "Takes a whole number from 1 to 1,000,000."
        assert form.message.isVisible()
        assert form.rows["gpu"].number.text() == wrong
    assert document.graph is before
    type_into(qtbot, form.rows["gpu"].number, "2")
    assert not form.message.isVisible()
    assert node(document).resources == {"gpu": 2}


def test_a_resource_that_is_none_is_refused_with_the_reason(policies, document, qtbot):
    before = document.graph
    add_resource(qtbot, policies.resources, "two words")
    assert document.graph is before
    assert policies.resources.message.text().startswith("A resource's name")
    assert policies.resources.message.isVisible()


def test_what_validation_says_of_a_resource_is_shown_at_it(policies, panel, document, qtbot):
    add_resource(qtbot, policies.resources, "tpu")
    labels = [label.text() for label in policies.resources.rows["tpu"].findChildren(QLabel)]
    assert "not configured" in labels
    message = '"suggest" takes the resource "tpu", which is not configured'
    panel.show_problems(
        [Problem(Severity.WARNING, "unknown-resource", message, node_id="suggest", field="resources.tpu")]
    )
    assert policies.resources.message.text() == message


# ---------------------------------------------------------------------------------------------- kept results


def test_using_results_again_is_switched_on_and_off_each_in_one_step(policies, document, qtbot):
    assert not policies.cache_box.isVisible()
    switch(qtbot, policies.cache)
    assert node(document).cache == CachePolicy()
    assert policies.cache_box.isVisible()
    type_into(qtbot, line(policies, "ttl_s"), "3600")
    assert node(document).cache == CachePolicy(ttl_s=3600)
    assert line(policies, "ttl_s").text() == "3600"
    assert document.undo_stack.count() == 2
    type_into(qtbot, line(policies, "ttl_s"), "0")
    assert policies.rows["ttl_s"].message.isVisible()
    assert node(document).cache == CachePolicy(ttl_s=3600)
    type_into(qtbot, line(policies, "ttl_s"), "")
    assert node(document).cache == CachePolicy()
    switch(qtbot, policies.cache)
    assert node(document).cache is None
    while document.undo_stack.canUndo():
        document.undo_stack.undo()
    assert node(document).cache is None


def test_what_validation_says_of_kept_results_is_shown_at_the_switch(policies, panel, document, qtbot):
    switch(qtbot, policies.cache)
    message = '"suggest": the results of "code.suggest" cannot be used again (cache): because'
    panel.show_problems([Problem(Severity.ERROR, "no-cache", message, node_id="suggest", field="cache")])
    assert policies.cache_problem.text() == message
    assert policies.cache_problem.isVisible()
