"""Results that may be used again, by a hash of the tool, its version and its arguments.

They are written with the journal, in the commit of the step that made them (``StateManager.append``); read and dropped here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from engine.storage.database import Database
from engine.storage.tables import cached_results

_BATCH = 500


def make_upsert(dialect: Any) -> sa.Insert:
    """The statement that keeps a ``NewResult``'s row in place of an older one with its key, for ``sqlalchemy.dialects``."""
    insert: Any = dialect.insert(cached_results)
    insert = insert.values({column.name: sa.bindparam(column.name) for column in cached_results.c})
    newer = {name: insert.excluded[name] for name in ("tool", "result", "run_id", "created_at")}
    upsert: sa.Insert = insert.on_conflict_do_update(index_elements=["key"], set_=newer)
    return upsert


@dataclass(frozen=True, slots=True)
class NewResult:
    """A result to be kept. ``created_at`` is in microseconds since 1970 UTC."""

    key: str
    tool: str
    result: Any
    run_id: str
    created_at: int

    def row(self) -> dict[str, Any]:
        """As the database has it."""
        return {
            "key": self.key,
            "tool": self.tool,
            "result": orjson.dumps(self.result),
            "run_id": self.run_id,
            "created_at": self.created_at,
        }


@dataclass(frozen=True, slots=True)
class KeptResult:
    """A result, and the run in which it was made."""

    result: Any
    run_id: str


class KeptResults:
    """Any thread, but for one that must not wait for the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key: str, not_before: int | None) -> KeptResult | None:
        """The result with this key, if it was made at ``not_before`` or later (microseconds since 1970 UTC)."""
        query = sa.select(cached_results.c.result, cached_results.c.run_id).where(cached_results.c.key == key)
        if not_before is not None:
            query = query.where(cached_results.c.created_at >= not_before)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else KeptResult(orjson.loads(row.result), row.run_id)

    def drop(self, tool: str | None = None) -> int:
        """Forget all of them, or those of one tool; how many there were."""
        wanted = sa.true() if tool is None else cached_results.c.tool == tool
        return self._drop(wanted)

    def drop_before(self, at_us: int) -> int:
        """Forget those made before (microseconds since 1970 UTC); how many there were."""
        return self._drop(cached_results.c.created_at < at_us)

    def drop_all_but(self, count: int) -> int:
        """Forget all but the newest so many; how many there were."""
        newest = sa.select(cached_results.c.created_at).order_by(cached_results.c.created_at.desc())
        with self._database.read() as connection:
            oldest_kept = connection.execute(newest.offset(count - 1).limit(1)).scalar() if count else None
        if count and oldest_kept is None:
            return 0
        return self._drop(sa.true() if oldest_kept is None else cached_results.c.created_at < oldest_kept)

    def _drop(self, wanted: Any) -> int:
        """A few at a time, so that the journal has its turn in between."""
        some = sa.select(cached_results.c.key).where(wanted).limit(_BATCH)
        dropped = 0
        while True:
            with self._database.write() as connection:
                gone = connection.execute(
                    sa.delete(cached_results).where(cached_results.c.key.in_(some))
                ).rowcount
            dropped += gone
            if gone < _BATCH:
                return dropped
