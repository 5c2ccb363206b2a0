"""What a step was given is shown in the inspector of the run's node."""

import pytest

from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from tests.gui.window.conftest import Hand
from tests.gui.window.test_window import make_graph, open_stored
from wfe_desktop.panels import inspector_given
from wfe_desktop.panels.inspector_given import GivenView

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)


def look_at(hand: Hand, node_id: str) -> GivenView:
    """Select a node and open its tab Result."""
    hand.editor.select(node_id)
    panel = hand.bench.inspector.current
    assert panel is not None
    hand.wait(lambda: panel.node_page.node_id == node_id)
    panel.node_page.tabs.setCurrentIndex(2)
    return panel.node_page.result.given


def test_the_arguments_of_a_step_are_shown_beside_its_result(hand: Hand):
    open_stored(hand, make_graph())
    hand.run()
    given = look_at(hand, "halve")
    hand.wait(given.arguments.isVisible)
    assert given.arguments.area.toPlainText() == '{\n  "number": 5\n}'
    assert not given.state.isVisible()
    look_at(hand, "add")
    hand.wait(lambda: '"b": 3' in given.arguments.area.toPlainText())
    look_at(hand, "never")
    assert not given.isVisible(), "a step that was skipped was given nothing"


def test_the_state_is_shown_for_a_tool_that_takes_it_and_the_list_for_one_step_an_item(hand: Hand):
    def count(state: dict) -> dict:
        return {"n": state.get("n", 0) + 1}

    hand.services.registry.register_tool("count", count, "Count", category="Test")
    nodes = (
        NodeDefinition(id="first", function_name="count"),
        NodeDefinition(id="second", function_name="count"),
        NodeDefinition(id="each", function_name="halve", for_each="[2, 4]", bindings={"number": "item"}),
    )
    edges = (
        EdgeDefinition(from_node="first", to_node="second"),
        EdgeDefinition(from_node="second", to_node="each"),
    )
    open_stored(hand, GraphDefinition(name="Count", nodes=nodes, edges=edges))
    hand.run()
    given = look_at(hand, "second")
    hand.wait(given.state.isVisible)
    assert given.state.area.toPlainText() == '{\n  "n": 1\n}'
    assert not given.arguments.isVisible()
    look_at(hand, "each")
    hand.wait(given.arguments.isVisible)
    assert given.arguments.area.toPlainText() == "[\n  2,\n  4\n]"
    assert not given.state.isVisible()


def test_a_step_that_could_not_be_given_anything_says_so(hand: Hand):
    node = NodeDefinition(id="halve", function_name="halve", bindings={"number": "[1][5]"})
    open_stored(hand, GraphDefinition(name="Nothing", nodes=(node,)))
    hand.run()
    given = look_at(hand, "halve")
    hand.wait(given.error.isVisible)
    assert given.error.text() == "Nothing: it could not be started."


def test_a_long_run_is_followed_only_when_the_user_asks(hand: Hand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inspector_given, "FOLLOWED_BY_ITSELF", 1)
    open_stored(hand, make_graph())
    hand.run()
    given = look_at(hand, "halve")
    hand.wait(given.ask_button.isVisible)
    hand.settle()
    assert not given.arguments.isVisible()
    hand.click(given.ask_button)
    hand.wait(given.arguments.isVisible)
    assert not given.ask_button.isVisible()
