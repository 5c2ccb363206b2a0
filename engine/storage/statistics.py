"""Counts and durations over the table of runs, worked out by the database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from engine.model.statistics import Durations, GraphStatistics, RunStatistics
from engine.model.status import RunStatus
from engine.storage.tables import runs

_DURATION = runs.c.completed_at - runs.c.started_at


def read_statistics(
    connection: sa.Connection, conditions: list[Any], limit: int, offset: int
) -> RunStatistics:
    """The runs that meet the conditions; ``by_graph`` from ``offset`` on, ``limit`` of them at most."""
    total = sa.func.count().label("total")
    graphs = connection.execute(
        sa.select(runs.c.graph_id, total, sa.func.max(runs.c.id).label("latest"))
        .where(*conditions)
        .group_by(runs.c.graph_id)
        .order_by(total.desc(), runs.c.graph_id)
    ).all()
    shown = graphs[offset : offset + limit]
    ids = [row.graph_id for row in shown]
    of_shown = [*conditions, runs.c.graph_id.in_(ids)]
    of_latest = runs.c.id.in_([row.latest for row in shown])
    names = {
        row.id: row.graph_name
        for row in connection.execute(sa.select(runs.c.id, runs.c.graph_name).where(of_latest))
    }
    counts = _count(connection, of_shown, by_graph=True)
    durations = _durations(connection, of_shown, by_graph=True)
    return RunStatistics(
        total_count=sum(row.total for row in graphs),
        by_status=_count(connection, conditions, by_graph=False).get(None, _counts({})),
        durations=_durations(connection, conditions, by_graph=False).get(None, Durations()),
        by_graph=tuple(
            GraphStatistics(
                row.graph_id,
                names[row.latest],
                row.total,
                counts[row.graph_id],
                durations.get(row.graph_id, Durations()),
            )
            for row in shown
        ),
        graph_count=len(graphs),
    )


def _count(
    connection: sa.Connection, conditions: list[Any], *, by_graph: bool
) -> dict[str | None, dict[RunStatus, int]]:
    group = runs.c.graph_id if by_graph else sa.null()
    query = sa.select(group.label("of"), runs.c.status, sa.func.count().label("runs")).where(*conditions)
    query = query.group_by(runs.c.graph_id, runs.c.status) if by_graph else query.group_by(runs.c.status)
    found: dict[str | None, dict[str, int]] = {}
    for row in connection.execute(query):
        found.setdefault(row.of, {})[row.status] = row.runs
    return {graph_id: _counts(counts) for graph_id, counts in found.items()}


def _counts(found: dict[str, int]) -> dict[RunStatus, int]:
    return {status: found.get(status.value, 0) for status in RunStatus}


def _durations(
    connection: sa.Connection, conditions: list[Any], *, by_graph: bool
) -> dict[str | None, Durations]:
    """Ranks within each graph, or within all; no row of a run leaves the database."""
    partition = [runs.c.graph_id] if by_graph else []
    ended = (
        sa.select(
            (runs.c.graph_id if by_graph else sa.null()).label("of"),
            _DURATION.label("duration"),
            sa.func.row_number().over(partition_by=partition or None, order_by=_DURATION).label("rank"),
            sa.func.count().over(partition_by=partition or None).label("size"),
        )
        .where(*conditions, runs.c.status == RunStatus.COMPLETED.value)
        .where(runs.c.started_at.is_not(None), runs.c.completed_at.is_not(None))
        .subquery()
    )

    def at_rank(percent: int) -> Any:
        rank = (ended.c.size * percent + 99) // 100
        return sa.func.max(sa.case((ended.c.rank == rank, ended.c.duration)))

    query = sa.select(
        ended.c.of,
        sa.func.count().label("size"),
        sa.cast(sa.func.sum(ended.c.duration), sa.Float).label("sum"),
        at_rank(50).label("p50"),
        at_rank(95).label("p95"),
        sa.func.max(ended.c.duration).label("longest"),
    ).group_by(ended.c.of)
    return {
        row.of: Durations(row.size, row.sum / row.size / 1e6, row.p50 / 1e6, row.p95 / 1e6, row.longest / 1e6)
        for row in connection.execute(query)
    }
