"""What the history adds up to, against counting by hand."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from math import ceil

import pytest

from engine.model.run import to_microseconds
from engine.model.statistics import Durations
from engine.model.status import RunStatus
from engine.storage.database import Database
from engine.storage.journal import Batch, StateManager

START = datetime(2026, 1, 1, tzinfo=UTC)


def row(number, graph_id, status, duration_s=None, name=None):
    at = to_microseconds(START + timedelta(minutes=number))
    ended = status in {RunStatus.COMPLETED, RunStatus.FAILED}
    return {
        "id": f"{number:06}",
        "graph_id": graph_id,
        "graph_version": 1,
        "graph_name": name or graph_id,
        "status": status.value,
        "accepted_at": at,
        "started_at": at if ended else None,
        "completed_at": at + round(duration_s * 1e6) if ended else None,
        "error_message": None,
        "step_count": 0,
        "parent_run_id": None,
        "parent_node_id": None,
        "forked_from": None,
        "idempotency_key": None,
        "durability": "strict",
    }


@pytest.fixture
def states(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'w.db'}")
    yield StateManager(database)
    database.close()


def test_an_empty_history_adds_up_to_nothing(states):
    found = states.get_statistics()
    assert (found.total_count, found.by_graph, found.graph_count) == (0, (), 0)
    assert found.by_status == dict.fromkeys(RunStatus, 0)
    assert found.durations == Durations()


def test_counts_and_durations_are_those_of_counting_by_hand(states):
    chance = random.Random(4)
    rows = [
        row(number, f"g{chance.randrange(7)}", chance.choice(list(RunStatus)), chance.uniform(0.001, 90))
        for number in range(600)
    ]
    states.append(Batch(new_runs=rows))
    found = states.get_statistics(limit=3, offset=1)
    assert found.total_count == 600
    assert found.by_status == Counter(RunStatus(each["status"]) for each in rows)
    assert found.graph_count == 7
    sizes = sorted(Counter(each["graph_id"] for each in rows).items(), key=lambda item: (-item[1], item[0]))
    assert [(graph.graph_id, graph.total_count) for graph in found.by_graph] == sizes[1:4]
    for of, some in [
        (found, rows),
        *((graph, [each for each in rows if each["graph_id"] == graph.graph_id]) for graph in found.by_graph),
    ]:
        took = sorted(
            (each["completed_at"] - each["started_at"]) / 1e6
            for each in some
            if each["status"] == "completed"
        )
        assert sum(of.by_status.values()) == len(some)
        assert of.durations.count == len(took)
        assert of.durations.mean_s == pytest.approx(sum(took) / len(took))
        assert of.durations.p50_s == took[ceil(len(took) * 0.5) - 1]
        assert of.durations.p95_s == took[ceil(len(took) * 0.95) - 1]
        assert of.durations.max_s == took[-1]


def test_statistics_are_of_the_runs_asked_for(states):
    states.append(
        Batch(
            new_runs=[
                row(0, "a", RunStatus.COMPLETED, 1.0, "Old name"),
                row(5, "a", RunStatus.FAILED, 2.0, "New name"),
                row(9, "b", RunStatus.RUNNING),
            ]
        )
    )
    of_a = states.get_statistics(graph_id="a")
    assert of_a.total_count == 2
    assert [graph.graph_name for graph in of_a.by_graph] == ["New name"]
    assert of_a.durations == Durations(1, 1.0, 1.0, 1.0, 1.0)
    later = states.get_statistics(
        start_date=START + timedelta(minutes=5), end_date=START + timedelta(minutes=9)
    )
    assert later.total_count == 1
    assert later.durations == Durations()
