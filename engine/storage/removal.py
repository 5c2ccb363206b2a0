"""Deleting runs that have ended, a little at a time, so that the engine's commits never wait long for it.

A run is deleted as a whole: one transaction takes it, with its child runs, out of the history (``doom``); from then on
nobody finds it. Its events, which may be many, follow in small transactions (``sweep``), and at last the large values
that no event refers to any more. Whatever of this is interrupted goes on at the next start.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from engine.failpoints import failpoint
from engine.model.status import RunStatus
from engine.storage.blocks import of_run
from engine.storage.database import Database
from engine.storage.tables import BLOCK, doomed_runs, events, marks, run_blocks, runs, stored_values

_reach_prune = failpoint("prune")

_BATCH = 100
"""Runs that are doomed in one transaction."""
_SLICE = 200
"""Events that are deleted between two looks at the clock."""
_SHARE_S = 0.005
"""How long a transaction takes, about; its commit comes on top."""
_ENDED = [status.value for status in RunStatus if status.is_final]

_delete_event = events.delete().where(events.c.seq == sa.bindparam("gone"))

_LAST_SEQ = "last_seq"
_LOOSE_VALUES = "loose_values"


class Candidate(NamedTuple):
    """A run that may be deleted; ``accepted_at`` in microseconds since 1970 UTC."""

    accepted_at: int
    run_id: str


class RunRemover:
    """Deletes runs. Every method touches the database: not for a thread that must not wait."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_removable(
        self, ended_before_us: int | None, keep: int | None, after: Candidate | None = None
    ) -> list[Candidate]:
        """The oldest runs that ended before a time, or that are not among the newest ``keep`` that have ended.

        Child runs go with their parent, so they are not listed. ``after`` is the last one of the page before.
        """
        mine = sa.and_(runs.c.status.in_(_ENDED), runs.c.parent_run_id.is_(None))
        with self._database.read() as connection:
            rules = []
            if ended_before_us is not None:
                rules.append(
                    sa.and_(runs.c.accepted_at < ended_before_us, runs.c.completed_at < ended_before_us)
                )
            if keep is not None:
                newest_first = sa.select(runs.c.accepted_at).where(mine).order_by(runs.c.accepted_at.desc())
                bound = connection.execute(newest_first.offset(keep).limit(1)).scalar()
                if bound is not None:
                    rules.append(runs.c.accepted_at <= bound)
            if not rules:
                return []
            query = sa.select(runs.c.accepted_at, runs.c.id).where(mine, sa.or_(*rules))
            if after is not None:
                query = query.where(sa.tuple_(runs.c.accepted_at, runs.c.id) > sa.tuple_(*after))
            query = query.order_by(runs.c.accepted_at, runs.c.id).limit(_BATCH)
            return [Candidate(*row) for row in connection.execute(query)]

    def doom(self, run_ids: Sequence[str]) -> list[str]:
        """Take these out of the history, with their child runs; the ids of all that are gone.

        Those that are not there, that are child runs, or of which not all has ended, are left as they are.
        """
        family = (
            sa.select(runs.c.id, runs.c.id.label("root"), runs.c.status)
            .where(runs.c.id.in_(run_ids), runs.c.parent_run_id.is_(None))
            .cte("family", recursive=True)
        )
        child = runs.alias("child")
        family = family.union_all(
            sa.select(child.c.id, family.c.root, child.c.status).join(
                family, child.c.parent_run_id == family.c.id
            )
        )
        with self._database.write() as connection:
            found = connection.execute(sa.select(family)).all()
            kept = {row.root for row in found if row.status not in _ENDED}
            gone = [row.id for row in found if row.root not in kept]
            if gone:
                connection.execute(doomed_runs.insert(), [{"id": run_id} for run_id in gone])
                _reach_prune()
                key: sa.BindParameter[str] = sa.bindparam("gone")
                connection.execute(runs.delete().where(runs.c.id == key), [{"gone": each} for each in gone])
        return gone

    def sweep(self) -> bool:
        """Delete some of what doomed runs have left; whether there may be more."""
        until = time.monotonic() + _SHARE_S
        with self._database.write() as connection:
            doomed = list(connection.execute(sa.select(doomed_runs.c.id).limit(_BATCH)).scalars())
            highest, has_values = 0, False
            for run_id in doomed:
                while time.monotonic() < until:
                    query = sa.select(events.c.seq, events.c.stored.is_not(None).label("stored"))
                    rows = connection.execute(of_run(query, run_id, 0).limit(_SLICE)).all()
                    mine = run_blocks.c.run_id == run_id
                    if rows:
                        connection.execute(_delete_event, [{"gone": row.seq} for row in rows])
                        highest = max(highest, rows[-1].seq)
                        has_values = has_values or any(row.stored for row in rows)
                        _reach_prune()
                    if len(rows) < _SLICE:
                        connection.execute(run_blocks.delete().where(mine))
                        connection.execute(doomed_runs.delete().where(doomed_runs.c.id == run_id))
                        break
                    done = run_blocks.c.block < rows[-1].seq // BLOCK
                    connection.execute(run_blocks.delete().where(mine, done))
            if highest:
                _raise_mark(connection, _LAST_SEQ, highest)
            if has_values:
                _raise_mark(connection, _LOOSE_VALUES, 1)
        return bool(doomed) or self._sweep_values()

    def _sweep_values(self) -> bool:
        """Delete some of the large values that nothing refers to any more; whether there may be more."""
        with self._database.read() as connection:
            if read_mark(connection, _LOOSE_VALUES) == 0:
                return False
            loose = set(connection.execute(sa.select(stored_values.c.hash)).scalars())
            loose -= _referred(connection, 0)
            seen = connection.execute(sa.select(sa.func.max(events.c.seq))).scalar() or 0
        until = time.monotonic() + _SHARE_S
        with self._database.write() as connection:
            loose -= _referred(connection, seen)  # an event that came meanwhile may bring a value back
            while loose and time.monotonic() < until:
                connection.execute(stored_values.delete().where(stored_values.c.hash == loose.pop()))
            _reach_prune()
            if not loose:
                connection.execute(marks.delete().where(marks.c.name == _LOOSE_VALUES))
        return bool(loose)

    def remove(self, ended_before_us: int | None, keep: int | None) -> int:
        """Delete all that ``find_removable`` tells of, at once, and what is left of others; how many runs are gone."""
        count, last = 0, None
        while candidates := self.find_removable(ended_before_us, keep, last):
            count += len(self.doom([candidate.run_id for candidate in candidates]))
            last = candidates[-1]
            while self.sweep():
                pass
        while self.sweep():
            pass
        return count


def read_mark(connection: sa.Connection, name: str = _LAST_SEQ) -> int:
    """The mark's value, 0 where there is none; by default the highest ``seq`` of an event that was deleted."""
    return connection.execute(sa.select(marks.c.value).where(marks.c.name == name)).scalar() or 0


def _raise_mark(connection: sa.Connection, name: str, value: int) -> None:
    known = read_mark(connection, name)
    if known == 0:
        connection.execute(marks.insert().values(name=name, value=value))
    elif value > known:
        connection.execute(marks.update().where(marks.c.name == name).values(value=value))


def _referred(connection: sa.Connection, since: int) -> set[str]:
    """The hashes of the values that events after ``since`` refer to."""
    query = sa.select(events.c.stored).where(events.c.stored.is_not(None), events.c.seq > since)
    places: Any = (orjson.loads(stored) for stored in connection.execute(query).scalars())
    return {digest for part in places for _, digest in part}
