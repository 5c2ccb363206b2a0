"""A JSON value as a tree that is built as far as it is opened."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, Qt

from wfe_desktop.models.times import describe_size

Index: TypeAlias = QModelIndex | QPersistentModelIndex
CHUNK = 200
LONGEST_LINE = 300
FOLDED_FROM = 4_000
KIND_ROLE = Qt.ItemDataRole.UserRole + 1


class _Item:
    """A value in its place. ``children`` are those that were asked for so far."""

    __slots__ = ("_pending", "children", "key", "parent", "row", "value")

    def __init__(self, key: str, value: Any, parent: _Item | None, row: int) -> None:
        self.key, self.value, self.parent, self.row = key, value, parent, row
        self.children: list[_Item] = []
        self._pending: Any = None

    @property
    def size(self) -> int:
        return len(self.value) if isinstance(self.value, (dict, list)) else 0

    def load(self, most: int) -> list[_Item]:
        """Make up to ``most`` further children."""
        if self._pending is None:
            pairs = self.value.items() if isinstance(self.value, dict) else enumerate(self.value)
            self._pending = iter(pairs)
        loaded = len(self.children)
        made: list[_Item] = []
        for key, value in self._pending:
            made.append(_Item(str(key), value, self, loaded + len(made)))
            if len(made) == most:
                break
        return made


def describe_value(value: Any) -> str:
    """A value on one line; containers and long texts are folded to their size."""
    match value:
        case dict():
            return f"{{}} {len(value)} {'key' if len(value) == 1 else 'keys'}"
        case list():
            return f"[] {len(value)} {'item' if len(value) == 1 else 'items'}"
        case str() if len(value) > FOLDED_FROM:
            head = json.dumps(value[:80], ensure_ascii=False)[:-1]
            return f'{head}…"  {describe_size(len(value.encode()))}'
        case _:
            text = json.dumps(value, ensure_ascii=False)
            return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…"


def kind_of(value: Any) -> str:
    """``object``, ``list``, ``text``, ``number``, ``boolean`` or ``null``."""
    match value:
        case dict():
            return "object"
        case list():
            return "list"
        case str():
            return "text"
        case bool():
            return "boolean"
        case None:
            return "null"
        case _:
            return "number"


class JsonTreeModel(QAbstractItemModel):
    """Two columns: the key and the value. ``set_value`` replaces everything; children appear 200 at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._root = _Item("", {}, None, 0)

    def set_value(self, value: dict[str, Any] | list[Any]) -> None:
        """Show another value."""
        self.beginResetModel()
        self._root = _Item("", value, None, 0)
        self._root.children = self._root.load(CHUNK)
        self.endResetModel()

    def value_at(self, index: Index) -> Any:
        """The JSON value in this place."""
        return self._item(index).value

    def path_of(self, index: Index) -> list[str]:
        """The keys from the top to this place."""
        path: list[str] = []
        item: _Item | None = self._item(index)
        while item is not None and item.parent is not None:
            path.append(item.key)
            item = item.parent
        return path[::-1]

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008 - Qt's own default
        if not self.hasIndex(row, column, parent):
            return QModelIndex()
        return self.createIndex(row, column, self._item(parent).children[row])

    def parent(self, index: Index) -> QModelIndex:  # type: ignore[override]
        above = self._item(index).parent if index.isValid() else None
        if above is None or above is self._root:
            return QModelIndex()
        return self.createIndex(above.row, 0, above)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.column() > 0 else len(self._item(parent).children)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: ARG002, B008
        return 2

    def hasChildren(self, parent: Index = QModelIndex()) -> bool:  # noqa: B008, N802
        return parent.column() <= 0 and self._item(parent).size > 0

    def canFetchMore(self, parent: Index) -> bool:
        item = self._item(parent)
        return parent.column() <= 0 and len(item.children) < item.size

    def fetchMore(self, parent: Index) -> None:
        item = self._item(parent)
        first = len(item.children)
        count = min(CHUNK, item.size - first)
        if count <= 0:
            return
        self.beginInsertRows(QModelIndex(parent), first, first + count - 1)
        item.children.extend(item.load(count))
        self.endInsertRows()

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation is Qt.Orientation.Horizontal:
            return ("Key", "Value")[section]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        item = self._item(index)
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return item.key if index.column() == 0 else describe_value(item.value)
            case _ if role == KIND_ROLE:
                return kind_of(item.value)
            case _:
                return None

    def _item(self, index: Index) -> _Item:
        if not index.isValid():
            return self._root
        item: _Item = index.internalPointer()
        return item
