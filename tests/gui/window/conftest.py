"""The whole window with a real engine on a database of the test's own."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from engine.config import AppConfig
from engine.execution.services import Services, open_services
from engine.model.graph import GraphDefinition
from engine.tools.context import ToolContext
from wfe_desktop import theme
from wfe_desktop.background import Background
from wfe_desktop.bridge import EngineBridge
from wfe_desktop.document.autosave import Autosave
from wfe_desktop.editors import Editor, Sample
from wfe_desktop.handlers import Handlers
from wfe_desktop.messages import Message, Messages
from wfe_desktop.samples import SAMPLES, load_sample
from wfe_desktop.settings import Settings
from wfe_desktop.workbench import Workbench


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def halve(number: int) -> float:
    """Half of a number."""
    return number / 2


def refuse(reason: str = "no") -> None:
    """Fail, always."""
    raise ValueError(reason)


class Gate:
    """A tool that waits until the test opens it, or until it is cancelled."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def wait_for_it(self, context: ToolContext) -> str:
        """Wait."""
        while not self.opened.wait(0.01):
            if context.cancelled:
                return "cancelled"
        return "opened"


class Hand:
    """A user's hand on the window: moves the pointer, presses buttons and keys, waits for what follows."""

    def __init__(
        self, bench: Workbench, handlers: Handlers, services: Services, bridge: EngineBridge, qtbot: QtBot
    ) -> None:
        self.bench, self.handlers = bench, handlers
        self.services, self.bridge, self.qtbot = services, bridge, qtbot

    @property
    def editor(self) -> Editor:
        """The open workflow in front."""
        editor = self.bench.editors.current
        assert editor is not None
        return editor

    @property
    def graph(self) -> GraphDefinition:
        """Its graph."""
        return self.editor.document.graph

    @property
    def said(self) -> list[str]:
        """All messages so far."""
        return [message.text for message in self.bench.messages.history]

    def key(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key where the focus is."""
        target = QApplication.focusWidget() or self.bench.window
        QTest.keyClick(target, key, modifiers)

    def type(self, text: str) -> None:
        """Type where the focus is."""
        self.wait(lambda: QApplication.focusWidget() is not None)
        for letter in text:
            QTest.keyClicks(QApplication.focusWidget(), letter)

    def click(self, widget: QWidget, at: QPoint | None = None) -> None:
        """Click into a widget."""
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=at or widget.rect().center())

    def focus_canvas(self) -> None:
        """Give the canvas the keyboard."""
        self.focus(self.editor.canvas.focusProxy())

    def focus(self, widget: QWidget) -> None:
        """Give a widget the keyboard."""
        self.bench.window.activateWindow()
        widget.setFocus()
        self.wait(widget.hasFocus)

    def wait(self, condition: Callable[[], object], timeout_ms: int = 20_000) -> None:
        """Wait until it holds."""
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=timeout_ms)

    def settle(self) -> None:
        """Wait until nothing is being done in the background, and everything that was told has arrived."""
        self.wait(lambda: self.bench.background.pending + self.bridge.pending == 0)

    def place(self, tool: str, x: float, y: float) -> str:
        """Find a tool with the keyboard and place it; its node's id."""
        before = {node.id for node in self.graph.nodes}
        self.handlers.search_at(QPointF(x, y), self.editor.canvas.mapToGlobal(QPoint(60, 60)))
        self.wait(lambda: QApplication.focusWidget() is not None)
        self.type(tool)
        self.key(Qt.Key.Key_Return)
        self.wait(lambda: len(self.graph.nodes) > len(before))
        return next(node.id for node in self.graph.nodes if node.id not in before)

    def run(self) -> str:
        """Press F5 and wait for the end; the run's id."""
        runs = self.bench.runs
        assert runs is not None
        before = runs.shown_run_id
        self.focus_canvas()
        self.key(Qt.Key.Key_F5)
        self.wait(lambda: runs.shown_run_id not in {"", before})
        self.wait(lambda: runs.shown is not None and runs.shown.status.is_final)
        self.wait(lambda: (run := self.bench.runs_model.find_run(runs.shown_run_id)) and run.status.is_final)
        self.settle()
        return runs.shown_run_id


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """An open engine."""
    services = open_services(
        AppConfig(
            database_url=f"sqlite:///{tmp_path / 'test.db'}",
            workspace=tmp_path,
            workers=4,
            synchronous="normal",
        )
    )
    for tool in (add, halve, refuse):
        services.registry.register_tool(tool.__name__, tool, tool.__doc__ or "", category="Test")
    yield services
    assert services.close()


@pytest.fixture
def gate(services: Services) -> Iterator[Gate]:
    """A registered tool ``wait_for_it`` that ends when the test says so."""
    gate = Gate()
    services.registry.register_tool("wait_for_it", gate.wait_for_it, "Wait", category="Test")
    yield gate
    gate.opened.set()


@pytest.fixture
def hand(qtbot: QtBot, services: Services, tmp_path: Path) -> Iterator[Hand]:
    """The window, shown, with the engine attached and an empty workflow open."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply_theme(app, theme.DARK)
    messages = Messages()
    reported: list[Message] = []
    messages.posted.connect(reported.append)
    background = Background(messages.report)
    autosave = Autosave(tmp_path / "recovery")
    bench = Workbench(Settings(tmp_path / "settings.ini"), messages, background, autosave)
    handlers = Handlers(bench)
    bridge = EngineBridge()
    bench.attach(services, bridge)
    bench.set_samples([Sample(name, load_sample(name)) for name in SAMPLES])
    bench.filing.new()
    bench.window.show()
    qtbot.waitExposed(bench.window)
    bench.window.activateWindow()
    hand = Hand(bench, handlers, services, bridge, qtbot)
    hand.settle()
    yield hand
    hand.settle()
    bench.detach()
    bridge.close()
    background.close()
    autosave.close()
    bench.window.let_go()
    bench.window.deleteLater()
    bench.deleteLater()
    QApplication.sendPostedEvents(None, 52)  # QEvent.Type.DeferredDelete
    QApplication.processEvents()
