"""The table of runs: pages of the history, kept up to date by folding events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, TypeAlias

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal

from engine.model.events import (
    FailureTakenOver,
    JournalEntry,
    RunAccepted,
    RunCancelled,
    RunCompleted,
    RunContinued,
    RunFailed,
    RunIdled,
    RunPaused,
    RunResumed,
    RunRetried,
    RunStarted,
    RunWaiting,
    RunWoken,
    StepStarted,
    StepTakenOver,
)
from engine.model.run import HistoryPage, RunSummary, to_datetime, to_microseconds
from engine.model.status import RunStatus
from wfe_desktop.models.times import describe_duration, describe_moment
from wfe_desktop.tips import plain_tip

Index: TypeAlias = QModelIndex | QPersistentModelIndex
PAGE = 50
STATUS_ROLE = Qt.ItemDataRole.UserRole + 1
RUN_ROLE = Qt.ItemDataRole.UserRole + 2
ORIGIN_ROLE = Qt.ItemDataRole.UserRole + 3
ORIGIN_SIGN_ROLE = Qt.ItemDataRole.UserRole + 4


class Column(IntEnum):
    """The columns, in order."""

    STATUS = 0
    RUN = 1
    STARTED = 2
    TOOK = 3
    STEPS = 4


HEADERS = {
    Column.STATUS: "",
    Column.RUN: "Run",
    Column.STARTED: "Started",
    Column.TOOK: "Took",
    Column.STEPS: "Steps",
}


@dataclass(slots=True)
class RunRow:
    """One run. Times are microseconds since 1970 UTC; ``seq`` is the last event that it includes."""

    run_id: str
    graph_id: str
    graph_version: int
    name: str
    status: RunStatus
    accepted_us: int
    started_us: int | None = None
    ended_us: int | None = None
    steps: int = 0
    error: str | None = None
    forked_from: str | None = None
    parent_run_id: str | None = None
    seq: int = 0

    def describe_origin(self) -> str:
        """The run that it comes from, in a few words; empty where it comes from none."""
        if self.parent_run_id is not None:
            return f"for run …{self.parent_run_id[-4:]}"
        return f"from run …{self.forked_from[-4:]}" if self.forked_from is not None else ""

    @classmethod
    def from_summary(cls, run: RunSummary, seq: int) -> RunRow:
        """A row of the history as it stood at ``seq``."""
        return cls(
            run_id=run.run_id,
            graph_id=run.graph_id,
            graph_version=run.graph_version,
            name=run.graph_name,
            status=run.status,
            accepted_us=to_microseconds(run.accepted_at),
            started_us=to_microseconds(run.started_at) if run.started_at else None,
            ended_us=to_microseconds(run.completed_at) if run.completed_at else None,
            steps=run.step_count,
            error=run.error_message,
            forked_from=run.forked_from,
            parent_run_id=run.parent_run_id,
            seq=seq,
        )

    def fold(self, entry: JournalEntry) -> bool:
        """Take an event in; false where it changes nothing that is shown or is included already."""
        if entry.seq <= self.seq:
            return False
        self.seq = entry.seq
        match entry.event:
            case RunStarted(at=at):
                self.status, self.started_us = RunStatus.RUNNING, at
            case (
                StepStarted(attempt=attempt, item=item)
                | StepTakenOver(attempt=attempt, item=item)
                | FailureTakenOver(attempt=attempt, item=item)
            ):
                if attempt > 1 or item is not None:
                    return False
                self.steps += 1
            case RunContinued() | RunResumed() | RunWoken():
                self.status = RunStatus.RUNNING
            case RunRetried():
                self.status, self.ended_us, self.error = RunStatus.RUNNING, None, None
            case RunPaused():
                self.status = RunStatus.PAUSED
            case RunWaiting() | RunIdled():
                self.status = RunStatus.WAITING
            case RunCompleted(at=at):
                self.status, self.ended_us = RunStatus.COMPLETED, at
            case RunFailed(at=at, error=error):
                self.status, self.ended_us, self.error = RunStatus.FAILED, at, error
            case RunCancelled(at=at):
                self.status, self.ended_us = RunStatus.CANCELLED, at
            case _:
                return False
        return True


class RunsModel(QAbstractTableModel):
    """Runs, newest first. It asks for older pages by ``page_requested(offset, limit)`` and is given them by ``add_page``.

    ``now_us`` is the clock (microseconds since 1970); ``tick`` refreshes what is told relative to it.
    """

    page_requested = Signal(int, int)
    run_accepted = Signal(str, str)

    def __init__(self, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        super().__init__()
        self._now_us = now_us
        self._rows: list[RunRow] = []
        self._by_id: dict[str, RunRow] = {}
        self._has_more = True
        self._loading = False
        self.with_children = False
        """Whether runs that steps of others started are in the table, too; ``reload`` after a change."""

    # ------------------------------------------------------------------------------------------------ reading

    def row_of(self, run_id: str) -> int:
        """Where the run is; -1 where it is not loaded."""
        row = self._by_id.get(run_id)
        return -1 if row is None else self._rows.index(row)

    def run_at(self, row: int) -> RunRow:
        """The run in this row."""
        return self._rows[row]

    def find_run(self, run_id: str) -> RunRow | None:
        """The run, where it is loaded."""
        return self._by_id.get(run_id)

    @property
    def active(self) -> list[RunRow]:
        """Runs that have not ended."""
        return [row for row in self._rows if not row.status.is_final]

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(Column)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation is Qt.Orientation.Horizontal:
            return HEADERS[Column(section)]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], Column(index.column())
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._text(row, column)
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(self._explanation(row))
            case Qt.ItemDataRole.AccessibleTextRole:
                return self._explanation(row)
            case _ if role == STATUS_ROLE:
                return row.status.value
            case _ if role == RUN_ROLE:
                return row.run_id
            case _ if role == ORIGIN_ROLE:
                return row.describe_origin()
            case _ if role == ORIGIN_SIGN_ROLE:
                return "history" if row.parent_run_id is None else "link"
            case _:
                return None

    # ----------------------------------------------------------------------------------------------- changing

    def canFetchMore(self, parent: Index) -> bool:
        return not parent.isValid() and self._has_more and not self._loading

    def fetchMore(self, parent: Index) -> None:
        if self.canFetchMore(parent):
            self._loading = True
            self.page_requested.emit(len(self._rows), PAGE)

    def add_page(self, page: HistoryPage, seq: int) -> None:
        """Append a page of the history that was read when ``seq`` was the journal's last event."""
        self._loading = False
        self._has_more = page.has_more
        rows = [RunRow.from_summary(run, seq) for run in page.executions if run.run_id not in self._by_id]
        if not rows:
            return
        first = len(self._rows)
        self.beginInsertRows(QModelIndex(), first, first + len(rows) - 1)
        self._rows.extend(rows)
        self._by_id.update((row.run_id, row) for row in rows)
        self.endInsertRows()

    def page_failed(self) -> None:
        """The page could not be read; scrolling asks again."""
        self._loading = False

    def reload(self) -> None:
        """Forget everything and read the history again."""
        self.beginResetModel()
        self._rows.clear()
        self._by_id.clear()
        self._has_more, self._loading = True, False
        self.endResetModel()
        self.fetchMore(QModelIndex())

    def remove(self, run_ids: Iterable[str]) -> None:
        """These were deleted."""
        for run_id in run_ids:
            if (row := self._by_id.pop(run_id, None)) is not None:
                place = self._rows.index(row)
                self.beginRemoveRows(QModelIndex(), place, place)
                del self._rows[place]
                self.endRemoveRows()

    def fold(self, entries: Iterable[JournalEntry]) -> None:
        """Take events in, in journal order; each changed row is announced once."""
        changed: set[str] = set()
        for entry in entries:
            row = self._by_id.get(entry.run_id)
            if row is None:
                if isinstance(entry.event, RunAccepted) and self._is_wanted(entry.event):
                    self._insert(entry, entry.event)
            elif row.fold(entry):
                changed.add(entry.run_id)
        self._announce(changed)

    def tick(self) -> None:
        """Let views read the relative times again."""
        if self._rows:
            top, bottom = self.index(0, Column.STARTED), self.index(len(self._rows) - 1, Column.TOOK)
            self.dataChanged.emit(top, bottom, [Qt.ItemDataRole.DisplayRole])

    def _is_wanted(self, event: RunAccepted) -> bool:
        return self.with_children or event.parent_run_id is None

    def _insert(self, entry: JournalEntry, event: RunAccepted) -> None:
        row = RunRow(
            run_id=entry.run_id,
            graph_id=event.graph_id,
            graph_version=event.graph_version,
            name=event.graph_name,
            status=RunStatus.PENDING,
            accepted_us=event.at,
            forked_from=event.forked_from,
            parent_run_id=event.parent_run_id,
            seq=entry.seq,
        )
        self.beginInsertRows(QModelIndex(), 0, 0)
        self._rows.insert(0, row)
        self._by_id[entry.run_id] = row
        self.endInsertRows()
        if event.parent_run_id is None:
            self.run_accepted.emit(entry.run_id, event.graph_id)

    def _announce(self, run_ids: set[str]) -> None:
        for row, run in enumerate(self._rows if run_ids else ()):
            if run.run_id in run_ids:
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(Column) - 1), [])
                run_ids.discard(run.run_id)
                if not run_ids:
                    return

    def _text(self, row: RunRow, column: Column) -> str | None:
        match column:
            case Column.STATUS:
                return None
            case Column.RUN:
                return row.name
            case Column.STARTED:
                now = to_datetime(self._now_us()).astimezone()
                return describe_moment(to_datetime(row.accepted_us), now)
            case Column.TOOK:
                return self._took(row)
            case Column.STEPS:
                return str(row.steps)

    def _took(self, row: RunRow) -> str:
        if row.status in (RunStatus.WAITING, RunStatus.PAUSED):
            return row.status.value
        if row.started_us is None:
            return "–"
        until = row.ended_us if row.ended_us is not None else self._now_us()
        return describe_duration(max(0, until - row.started_us) / 1e6)

    def _explanation(self, row: RunRow) -> str:
        started: datetime = to_datetime(row.accepted_us).astimezone()
        lines = [
            f"{row.name}, {row.status.value}",
            f"started {started:%Y-%m-%d %H:%M:%S}, {row.steps} steps, version {row.graph_version} of the workflow",
            f"run {row.run_id}",
        ]
        if row.parent_run_id is not None:
            lines.append(f"started by a step of run {row.parent_run_id}")
        if row.forked_from is not None:
            lines.append(f"forked from run {row.forked_from}")
        if row.error:
            lines.insert(1, row.error)
        return "\n".join(lines)
