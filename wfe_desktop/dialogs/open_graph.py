"""Choose a workflow of the database."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from wfe_desktop.models.graphs import ID_ROLE, GraphsModel
from wfe_desktop.panels.workflows import WorkflowsPanel


class OpenGraphDialog(QDialog):
    """``chosen(graph_id)`` when the user opens one. Show it with ``open()``; the list stays live."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget, model: GraphsModel) -> None:
        super().__init__(parent)
        self.setWindowTitle("Open from database")
        self.resize(480, 460)
        self.panel = WorkflowsPanel(model)
        self._open = QPushButton("Open")
        self._open.setProperty("accent", "true")
        self._open.setDefault(True)
        cancel = QPushButton("Cancel")
        buttons = QHBoxLayout()
        buttons.setContentsMargins(16, 8, 16, 16)
        buttons.addStretch(1)
        buttons.addWidget(cancel)
        buttons.addWidget(self._open)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.addWidget(self.panel, 1)
        column.addLayout(buttons)
        cancel.clicked.connect(self.reject)
        self._open.clicked.connect(self._take_current)
        self.panel.open_requested.connect(self._take)
        model.modelReset.connect(self._settle)
        self._settle()
        self.panel.search.setFocus()

    def _settle(self) -> None:
        model = self.panel.model
        self.panel.view.setCurrentIndex(model.index(0))
        self._open.setEnabled(model.rowCount() > 0)

    def _take_current(self) -> None:
        index = self.panel.view.currentIndex()
        if index.isValid():
            self._take(index.data(ID_ROLE))

    def _take(self, graph_id: str) -> None:
        self.accept()
        self.chosen.emit(graph_id)
