"""The keyboard shortcuts, and what mouse and keys do on the canvas."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from wfe_desktop.actions import ACTIONS, Menu, plain_text

GESTURES = (
    ("Drag from a port", "Connect two nodes; dropped on the empty canvas, choose the next tool"),
    ("Double-click the canvas", "Search for a tool and place it there"),
    ("Double-click a node, or Return", "Edit it"),
    ("Double-click an edge, or Return", "Edit its condition"),
    ("Drag on the empty canvas", "Select what is inside; with Shift or Ctrl, add it"),
    ("Alt and drag", "Cut the edges that are crossed"),
    ("Arrow keys", "Select the next node in that direction; with Ctrl, move the selected ones"),
    ("Drag with the middle button, or Space and drag", "Move the view"),
    ("Wheel", "Zoom at the pointer; with Shift, move sideways"),
    ("Escape", "Give up what is being done; select nothing"),
)


class ShortcutsDialog(QDialog):
    """A list to read; it does not change anything."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        self.resize(880, 680)
        content = QWidget()
        grid = QGridLayout(content)
        grid.setContentsMargins(20, 12, 20, 12)
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(6)
        row = 0
        for menu in Menu:
            specs = [spec for spec in ACTIONS if spec.menu is menu and spec.keys]
            row = self._add_heading(grid, row, plain_text(menu.value), bool(specs))
            for spec in specs:
                row = self._add_line(grid, row, plain_text(spec.text), spec.keys)
        row = self._add_heading(grid, row, "On the canvas", present=True)
        for gesture, what in GESTURES:
            row = self._add_line(grid, row, what, (gesture,))
        grid.setColumnStretch(0, 1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(content)
        close = QPushButton("Close")
        close.setDefault(True)
        close.clicked.connect(self.accept)
        buttons = QHBoxLayout()
        buttons.setContentsMargins(20, 8, 20, 16)
        buttons.addStretch(1)
        buttons.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 0, 0)
        column.addWidget(area)
        column.addLayout(buttons)

    @staticmethod
    def _add_heading(grid: QGridLayout, row: int, text: str, present: bool) -> int:
        if not present:
            return row
        label = QLabel(text)
        label.setProperty("role", "section")
        label.setContentsMargins(0, 10, 0, 2)
        grid.addWidget(label, row, 0)
        return row + 1

    @staticmethod
    def _add_line(grid: QGridLayout, row: int, text: str, keys: tuple[str, ...]) -> int:
        grid.addWidget(QLabel(text), row, 0)
        marks = QHBoxLayout()
        marks.setSpacing(6)
        for key in keys:
            mark = QLabel(key)
            mark.setProperty("role", "key")
            marks.addWidget(mark)
        marks.addStretch(1)
        grid.addLayout(marks, row, 1)
        return row + 1
