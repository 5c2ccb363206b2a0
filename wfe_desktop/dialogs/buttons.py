"""The buttons at the foot of a dialog that asks for something."""

from __future__ import annotations

from PySide6.QtWidgets import QDialog, QHBoxLayout, QPushButton

from wfe_desktop.panels.inspector_parts import MARGIN
from wfe_desktop.theme import SPACE


def make_buttons(dialog: QDialog, go: str, leave: str) -> tuple[QHBoxLayout, QPushButton, QPushButton]:
    """A row with the button that accepts the dialog, which Enter presses, and the one that leaves it; and the two."""
    row = QHBoxLayout()
    row.setContentsMargins(MARGIN, 3 * SPACE, MARGIN, 3 * SPACE)
    row.setSpacing(2 * SPACE)
    leave_button = QPushButton(leave)
    leave_button.setAutoDefault(False)
    leave_button.clicked.connect(dialog.reject)
    go_button = QPushButton(go)
    go_button.setProperty("accent", "true")
    go_button.setDefault(True)
    go_button.clicked.connect(dialog.accept)
    row.addStretch(1)
    row.addWidget(leave_button)
    row.addWidget(go_button)
    return row, go_button, leave_button
