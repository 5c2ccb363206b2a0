import pytest
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QMainWindow

from tests.unit.document.helpers import make_catalog, make_graph
from wfe_desktop.document.document import WorkflowDocument
from wfe_desktop.panels.inspector import InspectorPanel
from wfe_desktop.theme import DARK, apply_theme


@pytest.fixture(scope="session")
def themed(qapp):
    apply_theme(qapp, DARK)
    return qapp


@pytest.fixture
def document(themed):
    return WorkflowDocument(make_graph(), make_catalog())


@pytest.fixture
def panel(document, qtbot):
    """The inspector in a window that has the document's undo actions, as the program's has."""
    window = QMainWindow()
    qtbot.addWidget(window)
    for action, keys in (
        (document.undo_stack.createUndoAction(window), "Ctrl+Z"),
        (document.undo_stack.createRedoAction(window), "Ctrl+Shift+Z"),
    ):
        action.setShortcut(QKeySequence(keys))
        window.addAction(action)
    panel = InspectorPanel(document, resources={"gpu": 2, "db": 4})
    window.setCentralWidget(panel)
    window.resize(340, 900)
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    yield panel  # noqa: PT022 - the fixture holds the window meanwhile
