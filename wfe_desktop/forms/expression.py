"""The field for an expression: checked while it is typed, completed with what there is to name."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Sequence
from functools import cached_property

from PySide6.QtCore import QStringListModel, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QCompleter, QHBoxLayout, QWidget

from engine.errors import ExpressionError
from engine.flow.expression_operations import FUNCTIONS
from engine.flow.expressions import check_expression
from engine.model.graph import GraphDefinition
from engine.model.tool import Catalog
from wfe_desktop.document.names import step_reference
from wfe_desktop.forms.controls import ButtonStrip, LineEdit
from wfe_desktop.theme import SPACE

_WORD = re.compile(r"[A-Za-z_][\w.]*$")
_MAX_SHOWN = 12
_ROOTS = ("state", "steps", "visit", "run")
_ITEM = ("item", "index")


def find_fault(text: str, *, item_allowed: bool = False, result_allowed: bool = True) -> str | None:
    """What is wrong with an expression, as a sentence; None where nothing is.

    ``item_allowed``: it belongs to a node with for_each. ``result_allowed``: to an edge, or the workflow itself.
    """
    try:
        check_expression(text, item_allowed=item_allowed, result_allowed=result_allowed)
    except ExpressionError as error:
        return error.message
    return None


def known_state_keys(graph: GraphDefinition, catalog: Catalog) -> set[str]:
    """The state keys that the graph itself is known to write or read by name."""
    keys = {node.save_as for node in graph.nodes if node.save_as} | set(graph.reducers)
    for function_name in {node.function_name for node in graph.nodes}:
        tool = catalog.get(function_name)
        if tool is not None:
            keys.update(tool.state_reads, tool.state_writes)
            if not tool.takes_state:
                keys.update(port.name for port in tool.inputs if port.required)
    return keys


def completions(
    graph: GraphDefinition, catalog: Catalog, source: str | None = None, *, with_item: bool = False
) -> list[str]:
    """What an expression may name here.

    ``source``: the node whose ``result`` is in reach (for conditions). ``with_item``: so is an item (of for_each).
    """
    found = [
        *(_ITEM if with_item else ()),
        *_ROOTS,
        *(f"state.{key}" for key in sorted(known_state_keys(graph, catalog)) if _is_name(key)),
    ]
    found.append("state.get(")
    if source is not None:
        found += ["result", *_result_fields(graph, catalog, source, "result")]
    for node in graph.nodes[:500]:
        step = step_reference(node.id)
        found += [f"{step}.result", *_result_fields(graph, catalog, node.id, f"{step}.result")]
        found += [f"{step}.status", f"{step}.error"]
    found += [f"{name}(" for name in sorted(FUNCTIONS)]
    return found


def _result_fields(graph: GraphDefinition, catalog: Catalog, node_id: str, prefix: str) -> list[str]:
    node = graph.find_node(node_id)
    tool = catalog.get(node.function_name) if node is not None else None
    return [f"{prefix}.{port.name}" for port in (tool.outputs[1:] if tool else ()) if _is_name(port.name)]


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


class ExpressionEdit(QWidget):
    """A line for an expression, in the code face."""

    edited = Signal(str)
    left = Signal()

    def __init__(self, strip: ButtonStrip | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.line = _CompletingLine(self)
        self.line.setPlaceholderText("an expression, such as state.text")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACE)
        row.addWidget(self.line)
        if strip is not None:
            self.line.hold(strip)
        self.line.textEdited.connect(self.edited)
        self.line.left.connect(self.left)
        self.line.returnPressed.connect(self.left)

    @property
    def text(self) -> str:
        """What is typed."""
        return self.line.text()

    def show_text(self, text: str) -> None:
        """Show an expression; one that is shown already keeps its caret."""
        if text != self.line.text():
            self.line.setText(text)
            if not self.line.hasFocus():
                self.line.setCursorPosition(0)

    def offer(self, find_words: Callable[[], Sequence[str]]) -> None:
        """Where completion finds what it suggests: asked when something is typed."""
        self.line.find_words = find_words


class _CompletingLine(LineEdit):
    """Completes the dotted name before the caret. Ctrl+Space shows everything."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, code=True)
        self.find_words: Callable[[], Sequence[str]] = list
        self._words: list[str] = []
        self._model: QStringListModel | None = None
        self._is_inserting = False
        self.textEdited.connect(lambda: self._suggest(least=1))

    @cached_property
    def _completer(self) -> QCompleter:
        """Made when something is typed: a form has many lines in which nothing ever is."""
        self._model = QStringListModel(self)
        completer = QCompleter(self._model, self)
        completer.setWidget(self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchStartsWith)
        completer.setMaxVisibleItems(_MAX_SHOWN)
        completer.activated[str].connect(self._insert)
        popup = completer.popup()
        assert popup is not None
        popup.setProperty("popup", "true")
        popup.setProperty("code", "true")
        return completer

    @property
    def popup(self) -> QAbstractItemView:
        popup = self._completer.popup()
        assert popup is not None
        return popup

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_offering = self._model is not None and self.popup.isVisible()
        if is_offering and event.key() in (
            Qt.Key.Key_Return,
            Qt.Key.Key_Enter,
            Qt.Key.Key_Escape,
            Qt.Key.Key_Tab,
            Qt.Key.Key_Backtab,
        ):
            event.ignore()  # the popup's: take the choice, or close it
            return
        if event.key() == Qt.Key.Key_Space and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._suggest(least=0)
            return
        super().keyPressEvent(event)

    def _ask(self) -> None:
        words = list(dict.fromkeys(self.find_words()))
        if words != self._words and self._model is not None:
            self._words = words
            self._model.setStringList(words)

    def _word(self) -> str:
        match = _WORD.search(self.text()[: self.cursorPosition()])
        return match.group() if match else ""

    def _suggest(self, *, least: int) -> None:
        word = self._word()
        popup = self.popup
        if self._is_inserting:
            return
        if len(word) >= least:
            self._ask()
        self._completer.setCompletionPrefix(word)
        count = self._completer.completionCount()
        is_whole = count == 1 and self._completer.currentCompletion() == word
        if len(word) < least or count == 0 or is_whole:
            popup.hide()
            return
        place = self.rect()
        place.setWidth(max(self.width(), popup.sizeHintForColumn(0) + 8 * SPACE))
        place.setHeight(self.height() + SPACE // 2)
        self._completer.complete(place)

    def _insert(self, chosen: str) -> None:
        caret = self.cursorPosition()
        start = caret - len(self._word())
        self.setText(self.text()[:start] + chosen + self.text()[caret:])
        self.setCursorPosition(start + len(chosen))
        self._is_inserting = True  # what was just chosen is not offered again
        self.textEdited.emit(self.text())
        self._is_inserting = False
