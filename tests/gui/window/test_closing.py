"""What is left of the window once it has closed: nothing, so that nothing is destroyed later, elsewhere, in no order."""

import gc
import threading
import weakref
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.execution.services import Services
from wfe_desktop.background import Background
from wfe_desktop.bridge import EngineBridge
from wfe_desktop.document.autosave import Autosave
from wfe_desktop.editors import Sample
from wfe_desktop.messages import Messages
from wfe_desktop.samples import SAMPLES, load_sample
from wfe_desktop.settings import Settings
from wfe_desktop.workbench import Workbench

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)


def open_run_and_close(
    services: Services, folder: Path, qtbot: QtBot
) -> list[tuple[str, weakref.ref[QObject]]]:
    """A window with a sample that was run, closed again. Weak references to its parts, by name."""
    messages = Messages()
    background = Background(messages.report)
    autosave = Autosave(folder / "recovery")
    bench = Workbench(Settings(folder / "settings.ini"), messages, background, autosave)
    bridge = EngineBridge()
    bench.attach(services, bridge)
    bench.set_samples([Sample(name, load_sample(name)) for name in SAMPLES])
    bench.open_sample("math_processing")
    bench.window.show()
    qtbot.waitExposed(bench.window)
    editor = bench.editors.current
    assert editor is not None
    assert bench.runs is not None
    bench.runs.start(editor, {"value": 1})
    qtbot.waitUntil(lambda: bool(bench.runs and bench.runs.shown_status))
    parts = [
        bench,
        messages,
        background,
        bridge,
        editor,
        bench.runs,
        bench.steering,
        *[part for part in vars(bench).values() if isinstance(part, QObject)],
        *bench.window.findChildren(QObject),
    ]
    left = [(f"{type(part).__name__} {part.objectName()}", weakref.ref(part)) for part in parts if part]
    bench.detach()
    bridge.close()
    background.close()
    background._pool.shutdown()
    autosave.close()
    bench.window.let_go()
    bench.window.deleteLater()
    bench.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    return left


def test_p39_nothing_is_left_of_a_window_that_has_closed(services, tmp_path, qtbot):
    left = open_run_and_close(services, tmp_path, qtbot)
    gc.collect()
    assert [name for name, part in left if part() is not None] == []
    assert [type(widget).__name__ for widget in QApplication.topLevelWidgets()] == []


class Witness:
    """Says on which thread it died."""

    def __init__(self, deaths: list[int]) -> None:
        self._deaths = deaths

    def __del__(self) -> None:
        self._deaths.append(threading.get_ident())


def test_what_waits_for_an_answer_dies_on_the_gui_thread(qtbot):
    background = Background(lambda _: None)
    deaths: list[int] = []
    gate, began = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        gate.wait(10)

    witness = Witness(deaths)
    background.run(work, lambda _, witness=witness: None)
    del witness
    began.wait(10)
    background.close()
    assert deaths == [threading.get_ident()]
    gate.set()
    background._pool.shutdown()
