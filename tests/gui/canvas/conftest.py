"""A canvas with a small code review on it, and a hand to use it."""

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from engine.model.tool import InputPort, OutputPort, PortType, Tool
from wfe_desktop.canvas.adapter import CanvasWidget
from wfe_desktop.canvas.spec import FLOW_IN, FLOW_OUT
from wfe_desktop.theme import DARK, apply_theme


def make_tool(name, category, inputs=(), outputs=()):
    return Tool(
        name,
        lambda: None,
        f"What {name} does.",
        category,
        name,
        tuple(InputPort(port, kind, {}, required=True) for port, kind in inputs),
        tuple(OutputPort(port, kind, {}) for port, kind in outputs),
    )


CATALOG = {
    tool.name: tool
    for tool in (
        make_tool("analyze", "Code review", [("source", PortType.TEXT)], [("report", PortType.OBJECT)]),
        make_tool(
            "gate",
            "Control",
            [("report", PortType.OBJECT), ("threshold", PortType.NUMBER)],
            [("score", PortType.NUMBER)],
        ),
        make_tool("suggest", "Code review", [("limit", PortType.NUMBER)], [("code", PortType.TEXT)]),
    )
}

GRAPH = GraphDefinition(
    name="Review",
    nodes=(
        NodeDefinition(id="analyze", function_name="analyze", bindings={"source": "state.code"}),
        NodeDefinition(id="gate", function_name="gate", parameters={"threshold": 70}),
        NodeDefinition(id="suggest", function_name="suggest"),
    ),
    edges=(
        EdgeDefinition(from_node="analyze", to_node="gate"),
        EdgeDefinition(from_node="gate", to_node="suggest", condition="result.score < 70"),
        EdgeDefinition(from_node="suggest", to_node="analyze", condition="visit < 3"),
    ),
    entry_point="analyze",
    ui={
        "nodes": {
            "analyze": {"x": 0, "y": 0},
            "gate": {"x": 260, "y": 40},
            "suggest": {"x": 640, "y": 0},
        }
    },
)


class Hand:
    """Real mouse and key events on a canvas, and where things are on it."""

    def __init__(self, canvas):
        self.canvas = canvas
        self.viewer = canvas._viewer
        self.viewport = self.viewer.viewport()

    def at(self, x, y):
        return self.viewer.mapFromScene(QPointF(x, y))

    def node(self, node_id):
        """A point on the head of a node."""
        item = self.viewer.nodes[node_id]
        return self.viewer.mapFromScene(item.pos() + QPointF(item.anatomy.width / 2, 30))

    def port(self, node_id, name, *, is_output):
        return self.viewer.mapFromScene(
            self.viewer.nodes[node_id].find_port(name, is_output=is_output).center()
        )

    def flow_out(self, node_id):
        return self.port(node_id, FLOW_OUT, is_output=True)

    def flow_in(self, node_id):
        return self.port(node_id, FLOW_IN, is_output=False)

    def pill(self, key):
        return self.viewer.mapFromScene(self.canvas._stage.pipes[key].pill.pos())

    def move(self, point, buttons=Qt.MouseButton.NoButton, modifiers=Qt.KeyboardModifier.NoModifier):
        # QTest.mouseMove takes no buttons, and offscreen there is no pointer to move.
        place = QPointF(point)
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            place,
            QPointF(self.viewport.mapToGlobal(point)),
            Qt.MouseButton.NoButton,
            buttons,
            modifiers,
        )
        QApplication.sendEvent(self.viewport, event)

    def press(self, point, button=Qt.MouseButton.LeftButton, modifiers=Qt.KeyboardModifier.NoModifier):
        QTest.mousePress(self.viewport, button, modifiers, point)

    def release(self, point, button=Qt.MouseButton.LeftButton, modifiers=Qt.KeyboardModifier.NoModifier):
        QTest.mouseRelease(self.viewport, button, modifiers, point)

    def click(self, point, modifiers=Qt.KeyboardModifier.NoModifier):
        QTest.mouseClick(self.viewport, Qt.MouseButton.LeftButton, modifiers, point)

    def drag(self, start, end, *, button=Qt.MouseButton.LeftButton, modifiers=Qt.KeyboardModifier.NoModifier):
        self.press(start, button, modifiers)
        for step in range(1, 9):
            self.move(start + (end - start) * (step / 8), button, modifiers)
        self.release(end, button, modifiers)

    def double_click(self, point):
        self.click(point)
        QTest.mouseDClick(self.viewport, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, point)

    def key(self, key, modifiers=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(self.viewer, key, modifiers)


@pytest.fixture
def graph():
    return GRAPH


@pytest.fixture
def catalog():
    return CATALOG


@pytest.fixture
def canvas(qtbot, qapp, collected_on_the_gui_thread):
    apply_theme(qapp, DARK)
    widget = CanvasWidget()
    qtbot.addWidget(widget)
    widget.resize(1100, 640)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


@pytest.fixture
def review(canvas):
    canvas.show_graph(GRAPH, CATALOG)
    canvas.zoom_100()
    return canvas


@pytest.fixture
def hand(review):
    return Hand(review)


@pytest.fixture
def heard():
    """``heard(signal)``: a list that receives what the signal says from now on."""

    def listen(signal):
        said = []
        signal.connect(lambda *args: said.append(args))
        return said

    return listen


@pytest.fixture
def blank():
    return QPoint(40, 600)
