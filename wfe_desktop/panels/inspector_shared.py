"""What a step shares with others, in the tab Policies: the tokens it takes, and results that are used again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from wfe_desktop.forms.controls import ComboBox, LineEdit, SmallButton, mark_invalid, words
from wfe_desktop.theme import SPACE

MOST = 1_000_000
_NUMBER_WIDTH = 64


class ResourceRow(QWidget):
    """One resource: its name, how many tokens, and of how many there are."""

    edited = Signal(int)
    removed = Signal()
    left = Signal()

    def __init__(self, name: str, limit: int | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACE)
        label = words(name)
        label.setProperty("code", "true")
        label.setToolTip(name)
        self.number = LineEdit()
        self.number.setFixedWidth(_NUMBER_WIDTH)
        self.number.setAccessibleName(f"Tokens of {name}")
        self.number.setToolTip("How many tokens a try of the step takes.")
        self.number.textEdited.connect(self._edit)
        self.number.left.connect(self.left)
        of = words("not configured" if limit is None else f"of {limit:,}", "second")
        of.setToolTip(f"Start the program with --resource {name}=N to configure it." if limit is None else "")
        remove = SmallButton("Take the resource out", icon_name="close")
        remove.clicked.connect(self.removed)
        row.addWidget(label, 1)
        row.addWidget(self.number)
        row.addWidget(of)
        row.addWidget(remove)

    def show_count(self, count: int) -> None:
        """Show a number, unless what is being typed means the same, or nothing."""
        if not self.number.hasFocus() or (self._read() is not None and self._read() != count):
            self.number.setText(str(count))

    @property
    def fault(self) -> str | None:
        """What is wrong with what is typed."""
        return None if self._read() is not None else f"Takes a whole number from 1 to {MOST:,}."

    def _read(self) -> int | None:
        text = self.number.text().strip()
        if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= MOST:
            return None
        return int(text)

    def _edit(self) -> None:
        count = self._read()
        self.edited.emit(0 if count is None else count)


class ResourcesForm(QWidget):
    """The resources of a node, a row each, and a choice of those that are configured for another."""

    edited = Signal(object)
    """The resources now, as a dict."""
    left = Signal()

    def __init__(self, limits: Mapping[str, int], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: dict[str, ResourceRow] = {}
        self._limits = limits
        self._shown: dict[str, int] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE + SPACE // 2)
        title = words("Resources", "heading")
        title.setToolTip(
            "Tokens that a try of the step takes. It waits until it can have all of them; all runs share them."
        )
        layout.addWidget(title)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(SPACE)
        layout.addLayout(self._rows)
        self.message = words(role="error", wrap=True)
        layout.addWidget(self.message)
        adding = QHBoxLayout()
        adding.setSpacing(SPACE)
        self.name = ComboBox()
        self.name.setEditable(True)
        self.name.setAccessibleName("Another resource")
        field = LineEdit()
        field.setPlaceholderText("such as gpu")
        self.name.setLineEdit(field)
        self.add_button = QPushButton("Add")
        self.add_button.clicked.connect(self._add)
        field.returnPressed.connect(self._add)
        adding.addWidget(self.name, 1)
        adding.addWidget(self.add_button)
        layout.addLayout(adding)
        self._offer()

    def show_resources(self, resources: Mapping[str, int], find_problem: Callable[[str], str | None]) -> None:
        """Show the resources. A number that is none stays in its field, with the reason."""
        if list(resources) != list(self.rows):
            self._rebuild(resources)
        self._shown = dict(resources)
        for name, count in resources.items():
            self.rows[name].show_count(count)
        self._check(find_problem)

    def _rebuild(self, resources: Mapping[str, int]) -> None:
        for row in self.rows.values():
            self._rows.removeWidget(row)
            row.hide()
            row.deleteLater()
        self.rows = {name: self._make(name) for name in resources}
        for row in self.rows.values():
            self._rows.addWidget(row)
        self._offer()

    def _make(self, name: str) -> ResourceRow:
        row = ResourceRow(name, self._limits.get(name))
        row.edited.connect(lambda count: self._set(name, count))
        row.removed.connect(lambda: self._remove(name))
        row.left.connect(self.left)
        return row

    def _offer(self) -> None:
        typed = self.name.currentText()
        self.name.clear()
        self.name.addItems([name for name in self._limits if name not in self.rows])
        self.name.setCurrentIndex(-1)
        self.name.setEditText("" if typed in self.rows else typed)

    def _check(self, find_problem: Callable[[str], str | None]) -> None:
        first = ""
        for name, row in self.rows.items():
            fault = row.fault or find_problem(f"resources.{name}")
            mark_invalid(row.number, fault)
            first = first or fault or ""
        self.message.setText(first)
        self.message.setVisible(bool(first))

    def _set(self, name: str, count: int) -> None:
        if count:
            self.edited.emit({**self._shown, name: count})
        else:
            self._check(lambda _field: None)

    def _remove(self, name: str) -> None:
        self.left.emit()
        self.edited.emit({kept: count for kept, count in self._shown.items() if kept != name})
        self.left.emit()

    def _add(self) -> None:
        name = self.name.currentText().strip()
        if name and name not in self.rows:
            self.left.emit()
            self.edited.emit({**self._shown, name: 1})
            self.left.emit()
            if name in self.rows:
                self.rows[name].number.setFocus()
                self.rows[name].number.selectAll()
