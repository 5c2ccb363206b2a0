"""A long history: rows of real runs, copied under new ids, as if a year of work lay behind."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shapes import Sizes, make_workloads
from subject_engine import Ours, make_graph

from engine.storage.tables import BLOCK

try:
    import pysqlite3 as sqlite3
except ImportError:
    import sqlite3

SLICE = 200


def fill(folder: Path, wanted: int) -> int:
    """Make the journal of this folder at least ``wanted`` events long; how long it is. Nobody may have it open."""
    ours = Ours(folder, "normal")
    graph_id = ours.graphs.create_graph(make_graph(make_workloads(Sizes())["W1"]))
    pattern = ours.run(graph_id)
    last = ours.engine.last_seq
    ours.close()
    connection = sqlite3.connect(f"{folder}/ours.db", isolation_level=None)
    events = connection.execute(
        "SELECT type, data, stored FROM events WHERE run_id = ? ORDER BY seq", (pattern,)
    ).fetchall()
    cursor = connection.execute("SELECT * FROM runs WHERE id = ?", (pattern,))
    columns = [column[0] for column in cursor.description]
    about: dict[str, Any] = dict(zip(columns, cursor.fetchone(), strict=True))
    began = about["accepted_at"]

    def copies(first: int, count: int) -> Iterator[tuple[dict[str, Any], str, int]]:
        for number in range(first, first + count):
            at = (
                began + number * 1_000
            )  # one each millisecond: ids and times lie in order, as those of real runs
            run_id = f"{at // 1_000:012x}{number:016x}"
            yield {**about, "id": run_id, "accepted_at": at}, run_id, last + 1 + (number - 1) * len(events)

    marks = ",".join("?" * len(columns))
    runs = max(0, -(-(wanted - last) // len(events)))
    for first in range(1, runs + 1, SLICE):
        batch = list(copies(first, min(SLICE, runs + 1 - first)))
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            f"INSERT INTO runs ({','.join(columns)}) VALUES ({marks})",
            [tuple(row[column] for column in columns) for row, _, _ in batch],
        )
        connection.executemany(
            "INSERT INTO events (seq, run_id, type, data, stored) VALUES (?, ?, ?, ?, ?)",
            itertools.chain.from_iterable(
                ((seq + i, run_id, *event) for i, event in enumerate(events)) for _, run_id, seq in batch
            ),
        )
        connection.execute("COMMIT")
    connection.execute(
        "INSERT OR IGNORE INTO run_blocks SELECT DISTINCT run_id, seq / ? FROM events", (BLOCK,)
    )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    length: int = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    connection.close()
    return length
