"""The form before a run and the search for tools, with real keys and clicks."""

import pytest
from PySide6.QtCore import QPoint, Qt
from shiboken6 import isValid

from engine.flow.validation_reads import StateRead
from engine.model.tool import PortType
from tests.unit.document.helpers import make_catalog
from wfe_desktop.dialogs.run_form import RunForm
from wfe_desktop.dialogs.search_popup import SearchPopup, rank_tools

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support (raise|grabbing|propagate)")

Key = Qt.Key
CATALOG = make_catalog()
READS = {
    "code": StateRead("code", PortType.TEXT, required=True, schema={"type": "string"}),
    "limit": StateRead("limit", PortType.NUMBER, required=False, schema={"type": "integer", "minimum": 1}),
}


@pytest.fixture
def open_form(themed, qtbot):
    forms = []

    def make(reads=READS, values=None):
        form = RunForm(reads, values)
        forms.append(form)  # it deletes itself when it is closed
        form.open()
        qtbot.waitExposed(form)
        form.activateWindow()
        qtbot.waitUntil(form.isActiveWindow)
        return form

    yield make
    for form in filter(isValid, forms):
        form.close()


def test_enter_runs_with_what_is_filled_in(open_form, qtbot):
    form = open_form()
    area = form.rows["code"].editor.area
    assert area.hasFocus()
    qtbot.keyClicks(area, "x = 1")
    line = form.rows["limit"].editor.line
    line.setFocus()
    qtbot.keyClicks(line, "3")
    with qtbot.waitSignal(form.accepted_with) as accepted:
        qtbot.keyClick(line, Key.Key_Return)
    assert accepted.args == [{"code": "x = 1", "limit": 3}]


def test_ctrl_enter_runs_from_a_text_of_many_lines(open_form, qtbot):
    form = open_form()
    area = form.rows["code"].editor.area
    qtbot.keyClicks(area, "x")
    qtbot.keyClick(area, Key.Key_Return)
    qtbot.keyClicks(area, "y")
    with qtbot.waitSignal(form.accepted_with) as accepted:
        qtbot.keyClick(area, Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert accepted.args == [{"code": "x\ny"}]


def test_a_missing_or_wrong_value_is_pointed_out_and_nothing_runs(open_form, qtbot):
    form = open_form()
    line = form.rows["limit"].editor.line
    line.setFocus()
    qtbot.keyClicks(line, "0")
    with qtbot.assertNotEmitted(form.accepted_with):
        qtbot.mouseClick(form.run_button, Qt.MouseButton.LeftButton)
    assert form.rows["code"].message.text() == "The workflow needs a value here."
    assert form.rows["limit"].message.text() == "Must be at least 1."
    assert form.rows["code"].editor.area.hasFocus()
    assert form.isVisible()


def test_last_times_values_are_filled_in_and_other_keys_kept(open_form, qtbot):
    form = open_form(values={"code": "x", "extra": [1]})
    assert form.rows["code"].value == "x"
    assert form.state == {"code": "x", "extra": [1]}
    others = form.others.editor.area
    others.setFocus()
    qtbot.keyClick(others, Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClicks(others, '{"code": 1')
    with qtbot.assertNotEmitted(form.accepted_with):
        qtbot.mouseClick(form.run_button, Qt.MouseButton.LeftButton)
    assert form.others.message.text().startswith("This is not JSON")
    qtbot.keyClicks(others, "}")
    assert form.state == {"code": "x"}


def test_escape_runs_nothing(open_form, qtbot):
    form = open_form()
    accepted = []
    form.accepted_with.connect(accepted.append)
    qtbot.keyClick(form, Key.Key_Escape)
    qtbot.waitUntil(lambda: not isValid(form))
    assert accepted == []


def test_a_workflow_that_reads_nothing_can_still_be_given_keys(open_form, qtbot):
    form = open_form(reads={})
    area = form.others.editor.area
    assert area.hasFocus()
    qtbot.keyClicks(area, '{"n": 1}')
    with qtbot.waitSignal(form.accepted_with) as accepted:
        qtbot.keyClick(area, Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert accepted.args == [{"n": 1}]


# ------------------------------------------------------------------------------------------------ search


def found(text, recent=()):
    return [tool.name for tool in rank_tools(CATALOG.values(), text, recent)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["count", "read_file", "code.suggest"]),
        ("read", ["read_file"]),
        ("fix", ["code.suggest"]),
        ("rdfl", ["read_file"]),
        ("review", ["code.suggest"]),
        ("state", ["count"]),
        ("text", ["read_file"]),
        ("code sug", ["code.suggest"]),
        ("zzz", []),
    ],
)
def test_tools_are_found_by_a_few_letters(text, names):
    assert found(text)[: len(names) or 1] == names


def test_recent_tools_come_first():
    assert found("", ["code.suggest"])[0] == "code.suggest"


@pytest.fixture
def popup(themed, qtbot):
    popup = SearchPopup(CATALOG, ["read_file"])
    popup.open_at(QPoint(100, 100))
    qtbot.waitExposed(popup)
    yield popup
    if isValid(popup):
        popup.close()


def test_a_tool_is_chosen_by_keyboard_alone(popup, qtbot):
    assert popup.chosen_name == "read_file"
    qtbot.keyClick(popup.line, Key.Key_Down)
    assert popup.chosen_name == "count"
    qtbot.keyClick(popup.line, Key.Key_Up)
    qtbot.keyClick(popup.line, Key.Key_Up)
    assert popup.chosen_name == "code.suggest"
    with qtbot.waitSignal(popup.tool_chosen) as chosen:
        qtbot.keyClick(popup.line, Key.Key_Return)
    assert chosen.args == ["code.suggest"]


def test_typing_narrows_and_escape_closes(popup, qtbot):
    qtbot.keyClicks(popup.line, "cou")
    assert popup.chosen_name == "count"
    qtbot.keyClicks(popup.line, "zz")
    assert popup.chosen_name is None
    assert popup.nothing.text() == "No tool matches “couzz”."
    qtbot.keyClick(popup.line, Key.Key_Return)
    assert popup.isVisible()
    chosen = []
    popup.tool_chosen.connect(chosen.append)
    qtbot.keyClick(popup.line, Key.Key_Escape)
    qtbot.waitUntil(lambda: not isValid(popup))
    assert chosen == []


def test_a_click_takes_the_tool(popup, qtbot):
    place = popup.view.visualRect(popup.found.index(2)).center()
    with qtbot.waitSignal(popup.tool_chosen) as chosen:
        qtbot.mouseClick(popup.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert chosen.args == ["code.suggest"]


def test_the_popup_stays_on_the_screen(themed, qtbot):
    popup = SearchPopup(CATALOG)
    popup.open_at(QPoint(100_000, 100_000))
    assert popup.screen().availableGeometry().contains(popup.geometry())
    popup.close()


def test_the_models_rows_are_sound(popup, qtmodeltester):
    qtmodeltester.check(popup.found)
