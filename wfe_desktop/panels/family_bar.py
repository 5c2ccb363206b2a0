"""The bar above the canvas that leads from a run to the one that started it, and from a step to the runs that it started."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QPushButton, QSizePolicy, QWidget

from wfe_desktop.forms.controls import words
from wfe_desktop.theme import SPACE, current_theme, icon_pixmap

MOST_LISTED = 50


class RunsButton(QPushButton):
    """Leads to a run; to one of several by a menu. Hidden where there is none. ``run_requested(run_id)``."""

    run_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._run_ids: tuple[str, ...] = ()
        self.clicked.connect(self._choose)
        self.hide()

    def show_runs(self, run_ids: Sequence[str]) -> None:
        """Lead to these runs, in the order of a step's items."""
        self._run_ids = tuple(run_ids)
        self.setText("Show its run" if len(run_ids) == 1 else f"Show one of its {len(run_ids):,} runs…")
        self.setVisible(bool(run_ids))

    def _choose(self) -> None:
        if len(self._run_ids) == 1:
            self.run_requested.emit(self._run_ids[0])
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for number, run_id in enumerate(self._run_ids[:MOST_LISTED]):
            action = QAction(f"Item {number} · run {run_id}", menu)
            action.triggered.connect(lambda _=False, run_id=run_id: self.run_requested.emit(run_id))
            menu.addAction(action)
        if len(self._run_ids) > MOST_LISTED:
            menu.addSeparator()
            rest = QAction("The others are in the table of runs", menu)
            rest.setEnabled(False)
            menu.addAction(rest)
        menu.popup(self.mapToGlobal(self.rect().bottomLeft()))


class FamilyBar(QWidget):
    """Hidden until there is something to say. ``run_requested(run_id)``."""

    run_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "true")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        row = QHBoxLayout(self)
        row.setContentsMargins(4 * SPACE, SPACE + SPACE // 2, 3 * SPACE, SPACE + SPACE // 2)
        row.setSpacing(2 * SPACE)
        self._parent_run_id = ""
        self._sign = QLabel()
        self.text = words()
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.children_button = RunsButton()
        self.children_button.run_requested.connect(self.run_requested)
        self.parent_button = QPushButton("Show the run that started it")
        self.parent_button.clicked.connect(lambda: self.run_requested.emit(self._parent_run_id))
        row.addWidget(self._sign)
        row.addWidget(self.text, 1)
        row.addWidget(self.children_button)
        row.addWidget(self.parent_button)
        self._draw()
        self.hide()

    def show_family(self, text: str, parent_run_id: str | None, run_ids: Sequence[str]) -> None:
        """Lead to the run's parent, and to the runs of the selected step, as far as there are any."""
        self.text.setText(text)
        self.text.setToolTip(text)
        self._parent_run_id = parent_run_id or ""
        self.parent_button.setVisible(parent_run_id is not None)
        self.children_button.show_runs(run_ids)
        self.show()

    def changeEvent(self, event: QEvent) -> None:
        """The sign has the theme's colour."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._draw()

    def _draw(self) -> None:
        self._sign.setPixmap(icon_pixmap("link", current_theme().text_second, 4 * SPACE))
