"""The tables. The journal (``events``) is the truth; ``runs`` is derived from it, for lists and searches.

A change here needs a new migration in ``engine/storage/migrations``; a test holds the two against each other.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    event,
    text,
)
from sqlalchemy.engine import Connection

metadata = MetaData()

_BigKey = BigInteger().with_variant(Integer, "sqlite")


def _where_set(name: str, column: str, *, having: str | None = None, unique: bool = False) -> Index:
    """An index of the few rows that have a value in the column, or in that of ``having``: it costs the others nothing."""
    condition = text(f"{having or column} IS NOT NULL")
    return Index(name, column, unique=unique, sqlite_where=condition)


graphs = Table(
    "graphs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("description", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("node_count", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
)

graph_versions = Table(
    "graph_versions",
    metadata,
    Column("graph_id", String(64), ForeignKey("graphs.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("definition", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("graph_id", "version"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("graph_id", String(64), nullable=False),
    Column("graph_version", Integer, nullable=False),
    Column("graph_name", String(200), nullable=False),
    Column("status", String(16), nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("error_message", Text),
    Column("step_count", Integer, nullable=False),
    Column("parent_run_id", String(64)),
    Column("parent_node_id", String(200)),
    Column("forked_from", String(64)),
    Column("idempotency_key", String(200)),
    Column("durability", String(16), nullable=False, server_default="strict"),
    Index("runs_by_time", "accepted_at"),
    Index("runs_by_graph", "graph_id", "accepted_at"),
    Index("runs_by_status", "status", "accepted_at"),
    _where_set("runs_by_parent", "parent_run_id"),
    _where_set("runs_by_origin", "forked_from"),
    _where_set("runs_by_key", "idempotency_key", unique=True),
)

events = Table(
    "events",
    metadata,
    Column("seq", _BigKey, primary_key=True, autoincrement=False),
    Column("run_id", String(64), nullable=False),
    Column("type", String(32), nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("stored", LargeBinary),
    _where_set("events_with_values", "seq", having="stored"),
)

BLOCK = 64
"""So many numbers in a row make a block of the journal. Another number needs a migration."""

run_blocks = Table(
    "run_blocks",
    metadata,
    Column("run_id", String(64), nullable=False),
    Column("block", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "block"),
    sqlite_with_rowid=False,
)
"""In which blocks (``seq // BLOCK``) there are events of a run: an index that most commits need not touch."""

stored_values = Table(
    "stored_values",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("size_bytes", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

doomed_runs = Table(
    "doomed_runs",
    metadata,
    Column("id", String(64), primary_key=True),
)
"""Runs that were deleted, of which there are still events."""

marks = Table(
    "marks",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""What must outlast the rows that it comes from: ``last_seq``, the highest one given to an event that was deleted."""

cached_results = Table(
    "cached_results",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("tool", String(200), nullable=False),
    Column("result", LargeBinary, nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("cached_results_by_time", "created_at"),
)


@event.listens_for(metadata, "before_create")
def _say_where_in_postgresql(_: MetaData, connection: Connection, **_more: Any) -> None:
    """Said with the index itself, it would load all that there is for PostgreSQL, wherever the tables are used."""
    if connection.dialect.name == "postgresql":
        for table in metadata.tables.values():
            for index in table.indexes:
                index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
