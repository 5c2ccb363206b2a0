"""The journal: appended to by the engine alone, read by everybody; and the list of runs derived from it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engine.config import AppConfig
from engine.errors import RunNotFound
from engine.model.events import JournalEntry
from engine.model.run import HistoryPage, RunSummary, to_datetime, to_microseconds
from engine.model.statistics import RunStatistics
from engine.model.status import RunStatus
from engine.storage.blocks import of_graph, of_run, runs_of
from engine.storage.codec import decode_event, encode_event
from engine.storage.database import Database, Row, open_database
from engine.storage.kept_results import NewResult, make_upsert
from engine.storage.removal import read_mark
from engine.storage.statistics import read_statistics
from engine.storage.tables import BLOCK, events, run_blocks, runs, stored_values

_insert_events = events.insert().values({column.name: sa.bindparam(column.name) for column in events.c})
_insert_runs = runs.insert().values({column.name: sa.bindparam(column.name) for column in runs.c})
_update_run = (
    runs.update()
    .where(runs.c.id == sa.bindparam("run_id"))
    .values(
        {
            name: sa.bindparam(f"new_{name}")
            for name in ("status", "started_at", "completed_at", "error_message", "step_count")
        }
    )
)
_UNFINISHED = [status.value for status in RunStatus if not status.is_final]


@dataclass(slots=True)
class Batch:
    """What one commit appends: entries in ``seq`` order, the runs that are new, and those whose status changed; and the
    results that are to be kept for use again, each ``key`` once.
    """

    entries: list[JournalEntry] = field(default_factory=list)
    new_runs: list[dict[str, Any]] = field(default_factory=list)
    changed_runs: list[dict[str, Any]] = field(default_factory=list)
    new_results: list[NewResult] = field(default_factory=list)


class StateManager:
    """The stored history of all runs. Every method touches the database: not for a thread that must not wait."""

    def __init__(self, database: Database | AppConfig | None = None) -> None:
        """Use this database, or that of a configuration (by default of ``AppConfig()``)."""
        self.database = database if isinstance(database, Database) else open_database(database)
        # The other one is not imported: that of PostgreSQL takes 3 MB.
        dialect: Any = importlib.import_module(f"sqlalchemy.dialects.{self.database.url.get_backend_name()}")
        self._insert_values: sa.Insert = dialect.insert(stored_values).on_conflict_do_nothing()
        self._keep_result = make_upsert(dialect)
        self._insert_places: sa.Insert = dialect.insert(run_blocks).on_conflict_do_nothing()
        self._placed: set[tuple[str, int]] = set()  # of the newest block, what is in run_blocks

    def append(self, batch: Batch) -> None:
        """Write a batch in one transaction. For the engine only, which is the one writer of the journal."""
        rows: list[tuple[Any, ...]] = []
        values: dict[str, bytes] = {}
        places: dict[tuple[str, int], None] = {}
        for seq, run_id, event in batch.entries:
            name, data, stored_at, large = encode_event(event)
            rows.append((seq, run_id, name, data, stored_at))
            if (place := (run_id, seq // BLOCK)) not in self._placed:
                places[place] = None
            if large:
                values.update(large)
        work: list[tuple[sa.Insert | sa.Update, Sequence[Row]]] = [(_insert_events, rows)]
        if values:
            stored = [
                {"hash": digest, "size_bytes": len(data), "data": data} for digest, data in values.items()
            ]
            work.insert(0, (self._insert_values, stored))
        if batch.new_runs:
            work.insert(0, (_insert_runs, batch.new_runs))
        if batch.changed_runs:
            work.append((_update_run, batch.changed_runs))
        if batch.new_results:
            work.append((self._keep_result, [new.row() for new in batch.new_results]))
        if places:
            work.append((self._insert_places, list(places)))
        self.database.write_rows(work)
        if places:  # known only now: it may have failed, and is then tried again
            newest = batch.entries[-1].seq // BLOCK
            self._placed = {place for place in (*self._placed, *places) if place[1] == newest}

    def last_seq(self) -> int:
        """The highest ``seq`` that an event ever had, though it was deleted since; 0 in a new journal."""
        with self.database.read() as connection:
            newest = connection.execute(sa.select(sa.func.max(events.c.seq))).scalar() or 0
            return max(newest, read_mark(connection))

    def read_events(
        self,
        since: int = 0,
        run_id: str | None = None,
        graph_id: str | None = None,
        limit: int | None = 1_000,
    ) -> list[JournalEntry]:
        """Committed events with a ``seq`` above ``since``, oldest first; of one run or one graph where given."""
        query = sa.select(events.c.seq, events.c.run_id, events.c.type, events.c.data, events.c.stored)
        if run_id is not None:
            query = of_run(query, run_id, since)
            if graph_id is not None:
                query = query.where(events.c.run_id.in_(runs_of(graph_id)))
        elif graph_id is not None:
            query = of_graph(query, graph_id, since, limit)
        else:
            query = query.where(events.c.seq > since).order_by(events.c.seq)
        if limit is not None:
            query = query.limit(limit)
        with self.database.read() as connection:
            rows = connection.execute(query).all()

            def load(digest: str) -> bytes:
                query = sa.select(stored_values.c.data).where(stored_values.c.hash == digest)
                return bytes(connection.execute(query).scalar_one())

            return [
                JournalEntry(row.seq, row.run_id, decode_event(row.type, row.data, row.stored, load))
                for row in rows
            ]

    def iter_events(self, run_id: str) -> Iterator[JournalEntry]:
        """All events of a run, oldest first, read as they are asked for."""
        since = 0
        while entries := self.read_events(since, run_id):
            yield from entries
            since = entries[-1].seq

    def find_run(self, run_id: str) -> RunSummary | None:
        """The run's line in the history, or None."""
        with self.database.read() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).one_or_none()
        return None if row is None else _to_summary(row)

    def get_run(self, run_id: str) -> RunSummary:
        """The run's line in the history.

        Raises:
            RunNotFound: there is no such run.
        """
        run = self.find_run(run_id)
        if run is None:
            raise RunNotFound(f'there is no run "{run_id}"', {"run_id": run_id})
        return run

    def find_run_of_key(self, idempotency_key: str) -> RunSummary | None:
        """The run whose request came with this key, or None."""
        query = sa.select(runs).where(runs.c.idempotency_key == idempotency_key)
        with self.database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _to_summary(row)

    def unfinished_runs(
        self, graph_id: str | None = None, status: RunStatus | str | None = None
    ) -> list[RunSummary]:
        """Runs that have not ended, oldest first; of this graph and at this status where given."""
        wanted = _UNFINISHED if status is None else [RunStatus(status).value]
        query = sa.select(runs).where(runs.c.status.in_(wanted), runs.c.status.in_(_UNFINISHED))
        if graph_id is not None:
            query = query.where(runs.c.graph_id == graph_id)
        with self.database.read() as connection:
            return [_to_summary(row) for row in connection.execute(query.order_by(runs.c.accepted_at))]

    def query_runs(
        self,
        graph_id: str | None = None,
        status: RunStatus | str | Sequence[RunStatus | str] | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        limit: int = 50,
        offset: int = 0,
        parent_run_id: str | None = None,
        *,
        top_level: bool = False,
    ) -> HistoryPage:
        """A page of the history, newest first; ``start_date`` (included) to ``end_date`` (not) by acceptance.

        Of the runs that steps of ``parent_run_id`` started; or (``top_level``) only of those that no step started.
        """
        conditions = _accepted_within(graph_id, start_date, end_date)
        if parent_run_id is not None:
            conditions.append(runs.c.parent_run_id == parent_run_id)
        if top_level:
            conditions.append(runs.c.parent_run_id.is_(None))
        if status is not None:
            wanted = [status] if isinstance(status, str) else list(status)
            conditions.append(runs.c.status.in_([RunStatus(item).value for item in wanted]))
        query = sa.select(runs).where(*conditions).order_by(runs.c.accepted_at.desc(), runs.c.id.desc())
        with self.database.read() as connection:
            total = connection.execute(
                sa.select(sa.func.count()).select_from(runs).where(*conditions)
            ).scalar_one()
            rows = connection.execute(query.limit(limit).offset(offset)).all()
        return HistoryPage([_to_summary(row) for row in rows], total, offset + len(rows) < total)

    def get_statistics(
        self,
        graph_id: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> RunStatistics:
        """What these runs add up to; ``limit`` and ``offset`` page ``by_graph``. Dates as for ``query_runs``."""
        conditions = _accepted_within(graph_id, start_date, end_date)
        with self.database.read() as connection:
            return read_statistics(connection, conditions, limit, offset)


def _accepted_within(
    graph_id: str | None, start_date: datetime | None, end_date: datetime | None
) -> list[Any]:
    conditions: list[Any] = []
    if graph_id is not None:
        conditions.append(runs.c.graph_id == graph_id)
    if start_date is not None:
        conditions.append(runs.c.accepted_at >= to_microseconds(start_date))
    if end_date is not None:
        conditions.append(runs.c.accepted_at < to_microseconds(end_date))
    return conditions


def _to_summary(row: Any) -> RunSummary:
    def when(at_us: int | None) -> datetime | None:
        return None if at_us is None else to_datetime(at_us)

    return RunSummary(
        run_id=row.id,
        graph_id=row.graph_id,
        graph_version=row.graph_version,
        graph_name=row.graph_name,
        status=RunStatus(row.status),
        accepted_at=to_datetime(row.accepted_at),
        started_at=when(row.started_at),
        completed_at=when(row.completed_at),
        error_message=row.error_message,
        step_count=row.step_count,
        parent_run_id=row.parent_run_id,
        parent_node_id=row.parent_node_id,
        forked_from=row.forked_from,
        idempotency_key=row.idempotency_key,
        durability=row.durability,
    )
