"""Undo commands. Each swaps one graph for another: there is one kind, and nothing to invert."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtGui import QUndoCommand

from engine.model.graph import GraphDefinition
from wfe_desktop.document.edits import same_graph

Show = Callable[[GraphDefinition], None]
_MERGEABLE = 1


class ReplaceGraph(QUndoCommand):
    """Puts ``new`` in the place of ``old``.

    Commands with the same ``merge_key`` that follow each other become one: typing in a field is one step to undo.
    """

    def __init__(
        self,
        text: str,
        old: GraphDefinition,
        new: GraphDefinition,
        show: Show,
        merge_key: tuple[object, ...] | None = None,
    ) -> None:
        super().__init__(text)
        self.old, self.new = old, new
        self._show = show
        self.merge_key = merge_key

    def id(self) -> int:
        """Qt merges only commands that have an id, and the same one."""
        return -1 if self.merge_key is None else _MERGEABLE

    def redo(self) -> None:
        """Show the new graph. Qt also calls this when the command is pushed."""
        self._show(self.new)

    def undo(self) -> None:
        """Show the old graph."""
        self._show(self.old)

    def mergeWith(self, other: QUndoCommand) -> bool:  # noqa: N802
        """Take over what ``other`` did; typed and deleted again is no step at all."""
        if not isinstance(other, ReplaceGraph) or other.merge_key != self.merge_key:
            return False
        self.new = other.new
        self.setObsolete(same_graph(self.old, self.new))
        return True
