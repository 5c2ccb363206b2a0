"""The log of one run: the events as people read them, bounded, filtered without a copy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from engine.model.run import EventRecord
from wfe_desktop.tips import plain_tip

Index: TypeAlias = QModelIndex | QPersistentModelIndex
MOST_LINES = 100_000
DROPPED_AT_ONCE = 10_000
LEVEL_ROLE = Qt.ItemDataRole.UserRole + 1
NODE_ROLE = Qt.ItemDataRole.UserRole + 2

_FAILURES = frozenset({"execution_error", "workflow_cancelled"})
_ODD_STEPS = frozenset({"retrying", "waiting", "cancelled"})


class Level(IntEnum):
    """How much a line matters; a filter shows its level and those above."""

    DETAIL = 0
    INFO = 1
    WARNING = 2
    ERROR = 3


class Column(IntEnum):
    """The columns, in order."""

    TIME = 0
    NODE = 1
    MESSAGE = 2


@dataclass(frozen=True, slots=True)
class LogLine:
    """``at`` is the local time of day to the millisecond; ``text`` holds one line. ``visit`` is 0 where it is of no step."""

    seq: int
    at: str
    level: Level
    node: str
    text: str
    visit: int = 0

    @classmethod
    def from_record(cls, record: EventRecord) -> LogLine:
        """The line for an event. Control characters are shown as blanks, so no line can be forged."""
        at = record.timestamp.astimezone()
        text = record.message
        if not text.isprintable():
            text = "".join(c if c.isprintable() else " " for c in text)
        return cls(
            record.seq,
            f"{at:%H:%M:%S}.{at.microsecond // 1000:03}",
            level_of(record),
            record.node_id or "",
            text,
            record.data.get("visit", 0),
        )


def level_of(record: EventRecord) -> Level:
    """How much an event matters to somebody who reads the log."""
    step = record.data.get("execution_event")
    if step == "failed" or record.event_type in _FAILURES:
        return Level.ERROR if record.event_type != "workflow_cancelled" else Level.WARNING
    if step in _ODD_STEPS or record.data.get("level") == "warning":
        return Level.WARNING
    return Level.DETAIL if step in {"started", "skipped"} else Level.INFO


class LogModel(QAbstractTableModel):
    """Lines of one run, oldest first. The oldest are dropped beyond ``most_lines``.

    ``set_filter`` chooses what is shown; lines are kept either way.
    """

    def __init__(self, most_lines: int = MOST_LINES) -> None:
        super().__init__()
        self._most_lines = most_lines
        self._lines: list[LogLine] = []
        self._shown: list[LogLine] = self._lines  # the same list while nothing is filtered out
        self._level = Level.DETAIL
        self._needle = ""
        self.last_seq = 0

    @property
    def line_count(self) -> int:
        """Lines that are kept, shown or not."""
        return len(self._lines)

    def line_at(self, row: int) -> LogLine:
        """The line in this row."""
        return self._shown[row]

    def clear(self) -> None:
        """Forget all lines."""
        self.beginResetModel()
        self._lines = []
        self.last_seq = 0
        self._choose()
        self.endResetModel()

    def append(self, records: Iterable[EventRecord]) -> None:
        """Add events in journal order. Those that are there already are left out."""
        self.append_lines([LogLine.from_record(record) for record in records if record.seq > self.last_seq])

    def append_lines(self, lines: list[LogLine]) -> None:
        """Add lines in journal order that were made elsewhere; none of them may be there already."""
        if not lines:
            return
        self.last_seq = lines[-1].seq
        self._drop_oldest(len(lines))
        if self._shown is self._lines:
            self._insert(self._lines, lines)
        else:
            self._lines.extend(lines)
            self._insert(self._shown, [line for line in lines if self._is_wanted(line)])

    def set_filter(self, level: Level, needle: str) -> None:
        """Show lines of this level and above that contain ``needle`` (any case) in their node or text."""
        if (level, needle.casefold()) == (self._level, self._needle):
            return
        self.beginResetModel()
        self._level, self._needle = level, needle.casefold()
        self._choose()
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(Column)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        line = self._shown[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return (line.at, line.node, line.text)[index.column()]
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(line.text) if index.column() == Column.MESSAGE else None
            case _ if role == LEVEL_ROLE:
                return int(line.level)
            case _ if role == NODE_ROLE:
                return line.node
            case _:
                return None

    def text_of(self, rows: Iterable[int]) -> str:
        """These rows as plain text, for the clipboard."""
        lines = (self._shown[row] for row in sorted(rows))
        return "\n".join(f"{line.at}  {line.node:24}  {line.text}".rstrip() for line in lines)

    def _is_wanted(self, line: LogLine) -> bool:
        if line.level < self._level:
            return False
        return (
            not self._needle or self._needle in line.text.casefold() or self._needle in line.node.casefold()
        )

    def _choose(self) -> None:
        if self._level is Level.DETAIL and not self._needle:
            self._shown = self._lines
        else:
            self._shown = [line for line in self._lines if self._is_wanted(line)]

    def _insert(self, where: list[LogLine], lines: list[LogLine]) -> None:
        if lines:
            self.beginInsertRows(QModelIndex(), len(where), len(where) + len(lines) - 1)
            where.extend(lines)
            self.endInsertRows()

    def _drop_oldest(self, coming: int) -> None:
        surplus = len(self._lines) + coming - self._most_lines
        if surplus <= 0:
            return
        surplus = min(len(self._lines), max(surplus, min(DROPPED_AT_ONCE, self._most_lines // 10)))
        if self._shown is self._lines:
            self.beginRemoveRows(QModelIndex(), 0, surplus - 1)
            del self._lines[:surplus]
            self.endRemoveRows()
            return
        self.beginResetModel()
        del self._lines[:surplus]
        self._choose()
        self.endResetModel()
