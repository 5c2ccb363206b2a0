"""Each gesture, with real mouse and key events: it asks, and changes nothing by itself."""

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import QContextMenuEvent, QDragEnterEvent, QDropEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from engine.model.graph import EdgeDefinition
from engine.model.tool import PortType
from wfe_desktop.canvas.adapter import PendingWire
from wfe_desktop.canvas.spec import ERROR_OUT, FLOW_OUT
from wfe_desktop.models.palette import TOOL_MIME

LOOP = ("suggest", "analyze", "success", None, None)
GATE_TO_SUGGEST = ("gate", "suggest", "success", None, None)
SHIFT = Qt.KeyboardModifier.ShiftModifier


def without(graph, node_id):
    return graph.model_copy(
        update={
            "nodes": tuple(node for node in graph.nodes if node.id != node_id),
            "edges": tuple(edge for edge in graph.edges if node_id not in (edge.from_node, edge.to_node)),
        }
    )


def test_dragging_a_node_moves_it_and_asks_once_for_its_new_place(review, hand, heard):
    asked = heard(review.move_requested)
    start = hand.node("gate")
    hand.drag(start, start + QPoint(60, 30))
    assert asked == [({"gate": (320.0, 70.0)},)]
    assert review.node_position("gate") == (320.0, 70.0)


def test_dragging_one_of_the_selected_nodes_moves_them_all(review, hand, heard):
    review.select(["gate", "suggest"])
    asked = heard(review.move_requested)
    start = hand.node("gate")
    hand.drag(start, start + QPoint(0, 40))
    assert asked == [({"gate": (260.0, 80.0), "suggest": (640.0, 40.0)},)]


def test_a_click_selects_and_asks_for_no_move(review, hand, heard):
    moves, selections = heard(review.move_requested), heard(review.selection_changed)
    hand.click(hand.node("gate"))
    assert selections == [(["gate"], [])]
    assert moves == []


def test_escape_puts_dragged_nodes_back(review, hand, heard):
    asked = heard(review.move_requested)
    start = hand.node("gate")
    hand.press(start)
    hand.move(start + QPoint(80, 80), Qt.MouseButton.LeftButton)
    assert review.node_position("gate") == (340.0, 120.0)
    hand.key(Qt.Key.Key_Escape)
    hand.release(start + QPoint(80, 80))
    assert review.node_position("gate") == (260.0, 40.0)
    assert asked == []


def test_a_wire_dropped_on_a_parameter_asks_for_the_edge(review, hand, heard):
    asked = heard(review.connect_requested)
    hand.drag(hand.port("analyze", "report", is_output=True), hand.port("gate", "report", is_output=False))
    assert asked == [
        (EdgeDefinition(from_node="analyze", to_node="gate", from_port="report", to_port="report"),)
    ]
    assert len(review._stage.pipes) == 3, "the canvas draws it when the document says so"


def test_a_wire_can_be_drawn_backwards(review, hand, heard):
    asked = heard(review.connect_requested)
    hand.drag(hand.port("suggest", "limit", is_output=False), hand.port("gate", "score", is_output=True))
    assert asked == [
        (EdgeDefinition(from_node="gate", to_node="suggest", from_port="score", to_port="limit"),)
    ]


def test_flow_dropped_anywhere_on_a_node_asks_for_an_edge_without_ports(review, hand, heard):
    asked = heard(review.connect_requested)
    hand.drag(hand.flow_out("analyze"), hand.node("suggest"))
    assert asked == [(EdgeDefinition(from_node="analyze", to_node="suggest"),)]


def test_the_error_port_shows_under_the_pointer_and_asks_for_an_error_edge(review, hand, heard):
    asked = heard(review.connect_requested)
    item = hand.viewer.nodes["analyze"]
    assert not item.shows_error_port()
    hand.move(hand.node("analyze"))
    assert item.shows_error_port()
    hand.drag(hand.port("analyze", ERROR_OUT, is_output=True), hand.flow_in("suggest"))
    assert asked == [(EdgeDefinition(from_node="analyze", to_node="suggest", kind="error"),)]


def test_a_refused_wire_says_why_beside_the_pointer_and_asks_for_nothing(review, hand, heard):
    questions = []

    def check(edge):
        questions.append(edge)
        return '"report" gives an object; "threshold" takes a number.'

    review.connection_check = check
    asked = heard(review.connect_requested)
    start, end = (
        hand.port("analyze", "report", is_output=True),
        hand.port("gate", "threshold", is_output=False),
    )
    hand.press(start)
    hand.move(start + QPoint(20, 5), Qt.MouseButton.LeftButton)
    bubble = hand.viewer.bubble
    assert bubble.isHidden()
    hand.move(end, Qt.MouseButton.LeftButton)
    assert bubble.isVisible()
    assert bubble.text() == '"report" gives an object; "threshold" takes a number.'
    hand.release(end)
    assert bubble.isVisible(), "still to be read after the drop"
    assert asked == []
    assert {(edge.from_port, edge.to_port) for edge in questions} == {("report", "threshold")}


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        (("analyze", "report", True), ("gate", "score", True), "Connect an output to an input."),
        (("gate", "threshold", False), ("suggest", "limit", False), "Connect an input to an output."),
        (("analyze", FLOW_OUT, True), ("gate", "threshold", False), "This edge carries order, no value."),
        (
            ("analyze", "report", True),
            ("gate", "threshold", False),
            '"report" gives object; "threshold" takes number.',
        ),
    ],
)
def test_kinds_that_do_not_go_together_are_refused_without_asking(review, hand, heard, start, end, sentence):
    asked = heard(review.connect_requested)
    hand.drag(hand.port(start[0], start[1], is_output=start[2]), hand.port(end[0], end[1], is_output=end[2]))
    assert hand.viewer.bubble.text().startswith(sentence)
    assert asked == []


def test_while_a_wire_is_dragged_ports_that_cannot_take_it_are_out_of_play(review, hand):
    start = hand.port("gate", "score", is_output=True)
    hand.press(start)
    hand.move(start + QPoint(30, 30), Qt.MouseButton.LeftButton)
    drag = review._stage.scenery.drag
    nodes = hand.viewer.nodes
    assert drag.accepts(nodes["suggest"].find_port("limit", is_output=False))
    assert not drag.accepts(nodes["analyze"].find_port("source", is_output=False))
    hand.key(Qt.Key.Key_Escape)
    assert review._stage.scenery.drag is None


def test_a_wire_dropped_on_the_canvas_asks_for_a_node_to_end_it(review, hand, heard):
    searches = heard(review.search_requested)
    end = hand.at(500, 330)
    hand.drag(hand.port("gate", "score", is_output=True), end)
    ((scene, screen, pending),) = searches
    assert pending == PendingWire("gate", "score", is_output=True, type=PortType.NUMBER)
    assert (scene - QPointF(500, 330)).manhattanLength() < 2
    assert screen == hand.viewport.mapToGlobal(end)


def test_delete_and_backspace_ask_for_what_is_selected(review, hand, heard):
    asked = heard(review.delete_requested)
    review.select(["gate"], [LOOP])
    hand.key(Qt.Key.Key_Delete)
    hand.key(Qt.Key.Key_Backspace)
    assert asked == [(["gate"], [LOOP])] * 2
    assert set(review.positions()) == {"analyze", "gate", "suggest"}


def test_delete_with_nothing_selected_asks_for_nothing(review, hand, heard):
    asked = heard(review.delete_requested)
    hand.key(Qt.Key.Key_Delete)
    assert asked == []


def test_a_rubber_band_selects_the_nodes_it_touches(review, hand, heard):
    said = heard(review.selection_changed)
    hand.drag(hand.at(-60, -60), hand.at(300, 60))
    assert [(set(nodes), keys) for nodes, keys in said] == [({"analyze", "gate"}, [])]


def test_shift_adds_to_the_selection_and_takes_from_it(review, hand):
    hand.click(hand.node("analyze"))
    hand.click(hand.node("gate"), SHIFT)
    assert set(review.selection[0]) == {"analyze", "gate"}
    hand.click(hand.node("analyze"), SHIFT)
    assert review.selection[0] == ["gate"]


def test_a_click_on_the_canvas_selects_nothing(review, hand, blank):
    review.select(["gate"], [LOOP])
    hand.click(blank)
    assert review.selection == ([], [])


def test_a_click_on_a_condition_selects_its_edge(review, hand, heard):
    said = heard(review.selection_changed)
    hand.click(hand.pill(LOOP))
    assert said == [([], [LOOP])]


def test_a_click_on_the_line_of_an_edge_selects_it(review, hand):
    path = review._stage.pipes[LOOP].path()
    hand.click(hand.viewer.mapFromScene(path.pointAtPercent(0.72)))
    assert review.selection == ([], [LOOP])


def test_a_double_click_on_a_condition_asks_to_edit_it(review, hand, heard):
    asked = heard(review.condition_edit_requested)
    hand.double_click(hand.pill(GATE_TO_SUGGEST))
    assert asked == [(GATE_TO_SUGGEST,)]


def test_a_double_click_on_a_node_asks_to_open_it(review, hand, heard):
    asked = heard(review.open_node_requested)
    hand.double_click(hand.node("gate"))
    assert asked == [("gate",)]


def test_a_double_click_on_the_canvas_asks_for_a_search_there(review, hand, heard):
    asked = heard(review.search_requested)
    place = hand.at(420, 300)
    hand.double_click(place)
    ((scene, screen, pending),) = asked
    assert (scene - QPointF(420, 300)).manhattanLength() < 2
    assert screen == hand.viewport.mapToGlobal(place)
    assert pending is None


def test_tab_asks_for_a_search_where_the_pointer_is(review, hand, heard):
    asked = heard(review.search_requested)
    hand.viewer.setFocus()
    hand.move(hand.at(420, 300))
    hand.key(Qt.Key.Key_Tab)
    assert len(asked) == 1
    assert (asked[0][0] - QPointF(420, 300)).manhattanLength() < 2


def test_a_tool_dropped_from_the_palette_asks_for_its_node(review, hand, heard):
    asked = heard(review.node_requested)
    mime = QMimeData()
    mime.setData(TOOL_MIME, b"gate")
    place = hand.at(400, 300)
    enter = QDragEnterEvent(
        place, Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(hand.viewport, enter)
    assert enter.isAccepted()
    drop = QDropEvent(
        QPointF(place),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(hand.viewport, drop)
    ((name, x, y),) = asked
    assert name == "gate"
    assert abs(x - 400) < 2
    assert abs(y - 300) < 2


def test_a_file_dropped_on_the_canvas_is_not_taken(review, hand, heard):
    asked = heard(review.node_requested)
    mime = QMimeData()
    mime.setText("file:///etc/passwd")
    enter = QDragEnterEvent(
        QPoint(50, 50),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(hand.viewport, enter)
    assert not enter.isAccepted()
    assert asked == []


def test_alt_and_drag_cuts_the_edges_it_crosses(review, hand, heard):
    asked = heard(review.disconnect_requested)
    hand.drag(hand.at(540, -60), hand.at(540, 120), modifiers=Qt.KeyboardModifier.AltModifier)
    assert asked == [([GATE_TO_SUGGEST],)]
    assert len(review._stage.pipes) == 3


def test_the_middle_button_and_space_pan(review, hand, blank):
    before = review.view_rect.topLeft()
    hand.drag(blank, blank + QPoint(50, -30), button=Qt.MouseButton.MiddleButton)
    assert review.view_rect.topLeft() - before == QPointF(-50, 30)
    QTest.keyPress(hand.viewer, Qt.Key.Key_Space)
    hand.drag(hand.node("gate"), hand.node("gate") + QPoint(-50, 30))
    QTest.keyRelease(hand.viewer, Qt.Key.Key_Space)
    assert review.view_rect.topLeft() == before
    assert review.node_position("gate") == (260.0, 40.0)


def test_the_wheel_zooms_at_the_pointer(review, hand, heard):
    said = heard(review.zoom_changed)
    point = QPointF(hand.node("gate"))
    under = hand.viewer.mapToScene(point.toPoint())
    for turned in (120, 120, -240, -240):
        wheel = QWheelEvent(
            point,
            QPointF(hand.viewport.mapToGlobal(point)),
            QPoint(),
            QPoint(0, turned),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(hand.viewport, wheel)
        assert (hand.viewer.mapToScene(point.toPoint()) - under).manhattanLength() < 4
    assert len(said) == 4
    assert review.zoom < 1.0


def test_while_the_wheel_turns_nodes_are_scaled_and_sharp_again_when_it_rests(review, hand, qtbot):
    review.grab()
    place = QPointF(hand.node("gate"))
    wheel = QWheelEvent(
        place,
        QPointF(hand.viewport.mapToGlobal(place)),
        QPoint(),
        QPoint(0, -240),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(hand.viewport, wheel)
    pictures, gate = review._stage.scenery.pictures, hand.viewer.nodes["gate"]
    review.grab()
    assert pictures.find_any(gate)[0] == pytest.approx(1.0)
    qtbot.waitUntil(lambda: not review._stage.scenery.zooming)
    review.grab()
    assert pictures.find_any(gate)[0] == pytest.approx(review.zoom)


def test_a_right_click_selects_what_is_there_and_asks_for_its_menu(review, hand, heard, blank):
    asked = heard(review.context_menu_requested)
    for point in (hand.node("gate"), hand.pill(LOOP), blank):
        event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, point, hand.viewport.mapToGlobal(point))
        QApplication.sendEvent(hand.viewport, event)
    assert [about for about, _, _ in asked] == ["gate", LOOP, None]
    assert review.selection == ([], [LOOP])


def test_arrows_walk_from_node_to_node_and_with_control_nudge(review, hand, heard):
    hand.key(Qt.Key.Key_Right)
    assert review.selection[0] == ["analyze"]
    hand.key(Qt.Key.Key_Right)
    assert review.selection[0] == ["gate"]
    hand.key(Qt.Key.Key_Left)
    assert review.selection[0] == ["analyze"]
    asked = heard(review.move_requested)
    hand.key(Qt.Key.Key_Down, Qt.KeyboardModifier.ControlModifier)
    assert asked == [({"analyze": (0.0, 8.0)},)]


def test_return_opens_the_selected_node_or_the_selected_edges_condition(review, hand, heard):
    nodes, edges = heard(review.open_node_requested), heard(review.condition_edit_requested)
    review.select(["gate"])
    hand.key(Qt.Key.Key_Return)
    review.select([], [LOOP])
    hand.key(Qt.Key.Key_Return)
    assert nodes == [("gate",)]
    assert edges == [(LOOP,)]


def test_the_tooltip_says_what_is_shortened(review, hand):
    tip = hand.viewer.gestures.tooltip
    assert "What gate does." in tip(hand.node("gate"))
    assert "state.code" in tip(hand.port("analyze", "source", is_output=False))
    assert "visit &lt; 3" in tip(hand.pill(LOOP))


def test_a_node_that_vanishes_under_the_hand_ends_the_gesture(review, hand, heard, graph, catalog):
    asked = heard(review.move_requested)
    start = hand.node("gate")
    hand.press(start)
    hand.move(start + QPoint(40, 0), Qt.MouseButton.LeftButton)
    review.show_graph(without(graph, "gate"), catalog)
    hand.move(start + QPoint(80, 0), Qt.MouseButton.LeftButton)
    hand.release(start + QPoint(80, 0))
    assert asked == []
