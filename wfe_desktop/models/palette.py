"""The registered tools by category, searched as the user types, dragged to the canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from PySide6.QtCore import QAbstractItemModel, QByteArray, QMimeData, QModelIndex, QPersistentModelIndex, Qt

from engine.model.tool import Catalog, Tool

Index: TypeAlias = QModelIndex | QPersistentModelIndex
TOOL_MIME = "application/x-wfe-tool"
RECENT = "Recent"
CATEGORY_ROLE = Qt.ItemDataRole.UserRole + 1
TOOL_ROLE = Qt.ItemDataRole.UserRole + 2
COUNT_ROLE = Qt.ItemDataRole.UserRole + 3


@dataclass(slots=True, eq=False)
class _Group:
    name: str
    row: int
    tools: list[Tool] = field(default_factory=list)


def match_rank(tool: Tool, words: Sequence[str]) -> int | None:
    """How well a tool matches: 0 is best, None not at all. Every word must occur somewhere."""
    label, name = tool.label.casefold(), tool.name.casefold()
    rest = f"{tool.category} {tool.description}".casefold()
    rank = 0
    for word in words:
        if label.startswith(word) or name.startswith(word):
            continue
        if word in label or word in name:
            rank = max(rank, 1)
        elif word in rest:
            rank = max(rank, 2)
        else:
            return None
    return rank


class PaletteModel(QAbstractItemModel):
    """Two levels: categories (their count in ``COUNT_ROLE``) and their tools."""

    def __init__(self) -> None:
        super().__init__()
        self._catalog: Catalog = {}
        self._recent: list[str] = []
        self._needle = ""
        self._groups: list[_Group] = []

    def set_catalog(self, catalog: Catalog, recent: Sequence[str] = ()) -> None:
        """Show these tools; ``recent`` names come first in a group of their own."""
        self._catalog, self._recent = catalog, list(recent)
        self._rebuild()

    def set_recent(self, names: Sequence[str]) -> None:
        """The tools that were placed last."""
        if list(names) != self._recent:
            self._recent = list(names)
            self._rebuild()

    def set_filter(self, text: str) -> None:
        """Show only tools that match every word of ``text``."""
        if text.casefold() != self._needle:
            self._needle = text.casefold()
            self._rebuild()

    @property
    def tool_count(self) -> int:
        """Tools that are shown, each counted once."""
        return sum(len(group.tools) for group in self._groups if group.name != RECENT)

    def tool_at(self, index: Index) -> Tool | None:
        """The tool in this place; None for a category."""
        if not index.isValid() or index.internalPointer() is None:
            return None
        group: _Group = index.internalPointer()
        return group.tools[index.row()]

    def first_tool(self) -> QModelIndex:
        """The best match; an invalid index where nothing matches."""
        best: tuple[int, QModelIndex] | None = None
        words = self._needle.split()
        for group in self._groups:
            for row, tool in enumerate(group.tools):
                rank = match_rank(tool, words)
                if rank is not None and (best is None or rank < best[0]):
                    best = (rank, self.index(row, 0, self.index(group.row, 0)))
        return best[1] if best else QModelIndex()

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008 - Qt's own default
        if not self.hasIndex(row, column, parent):
            return QModelIndex()
        if not parent.isValid():
            return self.createIndex(row, column, None)
        return self.createIndex(row, column, self._groups[parent.row()])

    def parent(self, index: Index) -> QModelIndex:  # type: ignore[override]
        group: _Group | None = index.internalPointer() if index.isValid() else None
        return QModelIndex() if group is None else self.createIndex(group.row, 0, None)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        if not parent.isValid():
            return len(self._groups)
        if parent.internalPointer() is not None:
            return 0
        return len(self._groups[parent.row()].tools)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: ARG002, B008
        return 1

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        tool = self.tool_at(index)
        if tool is None:
            return self._group_data(self._groups[index.row()], role)
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.AccessibleTextRole:
                return tool.label
            case Qt.ItemDataRole.ToolTipRole:
                return f"{tool.label}  ({tool.name})\n{tool.description}".strip()
            case _ if role == CATEGORY_ROLE:
                return tool.category
            case _ if role == TOOL_ROLE:
                return tool.name
            case _:
                return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid():
            return Qt.ItemFlag.NoItemFlags
        if self.tool_at(index) is None:
            return Qt.ItemFlag.ItemIsEnabled
        return (
            Qt.ItemFlag.ItemIsEnabled
            | Qt.ItemFlag.ItemIsSelectable
            | Qt.ItemFlag.ItemIsDragEnabled
            | Qt.ItemFlag.ItemNeverHasChildren
        )

    def mimeTypes(self) -> list[str]:  # noqa: N802
        return [TOOL_MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:  # noqa: N802
        data = QMimeData()
        names = [tool.name for tool in map(self.tool_at, indexes) if tool is not None]
        if names:
            data.setData(TOOL_MIME, QByteArray(names[0].encode()))
        return data

    def supportedDragActions(self) -> Qt.DropAction:  # noqa: N802
        return Qt.DropAction.CopyAction

    def _group_data(self, group: _Group, role: int) -> Any:
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return group.name
            case _ if role == CATEGORY_ROLE:
                return group.name
            case _ if role == COUNT_ROLE:
                return None if group.name == RECENT else len(group.tools)
            case _:
                return None

    def _rebuild(self) -> None:
        self.beginResetModel()
        words = self._needle.split()
        by_category: dict[str, list[Tool]] = {}
        for tool in self._catalog.values():
            if match_rank(tool, words) is not None:
                by_category.setdefault(tool.category, []).append(tool)
        recent = [self._catalog[name] for name in self._recent if name in self._catalog]
        self._groups = [_Group(RECENT, 0, recent)] if recent and not words else []
        for name in sorted(by_category, key=str.casefold):
            tools = sorted(by_category[name], key=lambda tool: tool.label.casefold())
            self._groups.append(_Group(name, len(self._groups), tools))
        self.endResetModel()
