"""A question with a few answers, in the program's own dress. It never blocks: the answer comes as a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QGridLayout, QLabel, QMessageBox, QPushButton, QSizePolicy, QSpacerItem, QWidget

Answer = tuple[str, QMessageBox.ButtonRole, Callable[[], object] | None]
"""What the button says, what kind it is, and what follows from it."""

LEAST_WIDTH = 420
YES = QMessageBox.ButtonRole.AcceptRole
DISCARD = QMessageBox.ButtonRole.DestructiveRole
NO = QMessageBox.ButtonRole.RejectRole


def ask(
    window: QWidget, name: str, title: str, text: str, advice: str, answers: Sequence[Answer]
) -> QMessageBox:
    """Ask over ``window``. The first answer is the default; Escape and closing mean the one that is ``NO``."""
    box = QMessageBox(window)
    box.setObjectName(name)
    box.setIcon(QMessageBox.Icon.NoIcon)
    box.setWindowTitle(title)
    box.setText(text)
    box.setInformativeText(advice)
    for label in box.findChildren(QLabel):
        label.setTextFormat(Qt.TextFormat.PlainText)  # names are in it, and may look like HTML
    follow: dict[QPushButton, Callable[[], object] | None] = {}
    for number, (words, role, then) in enumerate(answers):
        button = box.addButton(words, role)
        button.setIcon(QIcon())
        button.setObjectName(words)
        if number == 0:
            box.setDefaultButton(button)
            button.setProperty("danger" if role == DISCARD else "accent", "true")
            button.style().unpolish(button)  # it was dressed when it was added
            button.style().polish(button)
        if role == NO:
            box.setEscapeButton(button)
        follow[button] = then

    def answered(_: int) -> None:
        clicked = box.clickedButton()
        then = next((then for button, then in follow.items() if button is clicked), None)
        box.deleteLater()
        if then is not None:
            then()

    grid = box.layout()
    if isinstance(grid, QGridLayout):  # without this, long sentences are broken after a few words
        room = QSpacerItem(LEAST_WIDTH, 0, QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Minimum)
        grid.addItem(room, grid.rowCount(), 0, 1, grid.columnCount())
    box.finished.connect(answered)
    box.open()
    return box
