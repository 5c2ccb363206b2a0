"""Finding the events of a run: the journal lies in the order of its numbers, and it is known which blocks of it hold some."""

from __future__ import annotations

from typing import TypeVar

import sqlalchemy as sa

from engine.storage.tables import BLOCK, events, run_blocks, runs

Query = TypeVar("Query", bound=sa.Select[*tuple[object, ...]])


def of_run(query: Query, run_id: str, since: int) -> Query:
    """A query of events, of those of a run with a ``seq`` above ``since``, in order."""
    query = _within(query, run_blocks, since).where(
        run_blocks.c.run_id == run_id, run_blocks.c.block >= since // BLOCK
    )
    return query.where(events.c.run_id == run_id)


def runs_of(graph_id: str) -> sa.Select[tuple[str]]:
    """The ids of a graph's runs."""
    return sa.select(runs.c.id).where(runs.c.graph_id == graph_id)


def of_graph(query: Query, graph_id: str, since: int, limit: int | None) -> Query:
    """A query of events, of those of a graph's runs with a ``seq`` above ``since``, in order; at most ``limit`` are read."""
    ids = runs_of(graph_id)
    blocks = sa.select(run_blocks.c.block).distinct()
    blocks = blocks.where(run_blocks.c.run_id.in_(ids), run_blocks.c.block >= since // BLOCK)
    # Each of them has an event at least, but the first, where it may lie before ``since``.
    blocks = blocks.order_by(run_blocks.c.block).limit(None if limit is None else limit + 1)
    return _within(query, blocks.subquery(), since).where(events.c.run_id.in_(ids))


def _within(query: Query, blocks: sa.FromClause, since: int) -> Query:
    first = blocks.c.block * BLOCK
    query = query.select_from(blocks.join(events, events.c.seq.between(first, first + (BLOCK - 1))))
    # "+ 0", or SQLite may look for what is above ``since`` in each of the blocks, in place of the block.
    return query.where(events.c.seq + 0 > since).order_by(blocks.c.block, events.c.seq)
