"""Point 11 of the security of the server: what comes from graphs, runs and requests is shown as text, never obeyed."""

from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtWidgets import QLabel

from engine.model.graph import GraphDefinition, NodeDefinition
from tests.gui.window.conftest import Hand
from wfe_desktop.dialogs.question import NO, ask
from wfe_desktop.tips import plain_tip

EVIL = '<h1>Big</h1><img src="file:///etc/passwd">'


def test_a_tooltip_is_the_text_it_was_given():
    assert plain_tip("a & b\nc") == "a & b\nc"
    assert plain_tip(f"{EVIL}\nc") == (
        "<qt>&lt;h1&gt;Big&lt;/h1&gt;&lt;img src=&quot;file:///etc/passwd&quot;&gt;<br>c</qt>"
    )


def test_names_that_look_like_html_are_names_in_every_label_and_tooltip(hand: Hand):
    node = NodeDefinition(id="a", function_name="add", label=EVIL, parameters={"a": 1})
    graph = GraphDefinition(name=EVIL, description=EVIL, nodes=(node,))
    graph_id = hand.services.graphs.create_graph(graph)
    hand.bench.library.open_graph(graph_id)
    hand.wait(lambda: hand.editor.graph_id == graph_id)
    hand.run()
    hand.settle()
    ask(hand.bench.window, "box", EVIL, EVIL, EVIL, (("Close", NO, None),))
    shown = [label for label in hand.bench.window.findChildren(QLabel) if "<h1>" in label.text()]
    assert shown
    assert all(label.textFormat() is Qt.TextFormat.PlainText for label in shown)
    tips = [widget.toolTip() for widget in hand.bench.window.findChildren(QLabel)]
    models = (hand.bench.graphs_model, hand.bench.runs_model, hand.bench.log_model)
    for model in models:
        for row in range(model.rowCount(QModelIndex())):
            tips += [
                index.data(Qt.ItemDataRole.ToolTipRole) or ""
                for column in range(3)
                if (index := model.index(row, column)).isValid()
            ]
    about_it = [tip for tip in tips if "Big" in tip]
    assert about_it
    assert not [tip for tip in about_it if "<h1>" in tip]
