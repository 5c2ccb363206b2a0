"""Deleting ended runs: whole, in order, with what nothing else refers to; and never anything else."""

from contextlib import closing

import pytest
import sqlalchemy as sa

from engine.model.events import JournalEntry, RunAccepted, RunCompleted, RunStarted, StepCompleted
from engine.storage.database import Database
from engine.storage.journal import Batch, StateManager
from engine.storage.removal import RunRemover
from engine.storage.tables import doomed_runs, events, marks, runs, stored_values

LARGE = "x" * 300_000
DAY_US = 86_400_000_000


@pytest.fixture
def database(tmp_path):
    with closing(Database(f"sqlite:///{tmp_path}/w.db", "normal")) as database:
        yield database


class Past:
    """Runs that were, one a day, the first on day 1; each with an event more than the one before."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = StateManager(database)
        self.remover = RunRemover(database)
        self.day = 0

    def add(
        self, run_id: str, status: str = "completed", parent: str | None = None, value: object = 1
    ) -> None:
        self.day += 1
        at = self.day * DAY_US
        facts = [
            RunAccepted(at, "g", 1, "graph", {}),
            RunStarted(at),
            *(StepCompleted(at, "a", visit, 1, value, {}) for visit in range(1, self.day + 1)),
            *([RunCompleted(at)] if status == "completed" else []),
        ]
        first = self.store.last_seq() + 1
        entries = [JournalEntry(first + place, run_id, fact) for place, fact in enumerate(facts)]
        row = dict.fromkeys(runs.c.keys()) | {
            "id": run_id, "graph_id": "g", "graph_version": 1, "graph_name": "graph", "status": status, "accepted_at": at,
            "started_at": at, "completed_at": at if status == "completed" else None, "step_count": self.day,
            "parent_run_id": parent, "durability": "strict",
        }  # fmt: skip
        self.store.append(Batch(entries, [row]))

    def sweep(self) -> None:
        while self.remover.sweep():
            pass

    @property
    def left(self) -> set[str]:
        return {run.run_id for run in self.store.query_runs(limit=1_000).executions}

    def count(self, table: sa.Table) -> int:
        with self.database.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()

    def runs_with_events(self) -> set[str]:
        with self.database.read() as connection:
            return set(connection.execute(sa.select(events.c.run_id)).scalars())


@pytest.fixture
def past(database):
    return Past(database)


def test_p35_only_the_newest_runs_are_kept_and_the_others_go_with_all_their_events(past):
    for number in range(1, 8):
        past.add(f"r{number}")
    assert past.remover.remove(None, keep=3) == 4
    assert past.left == past.runs_with_events() == {"r5", "r6", "r7"}
    assert past.count(doomed_runs) == 0
    whole = past.store.read_events(run_id="r5", limit=None)
    assert [type(entry.event).__name__ for entry in whole] == [
        "RunAccepted", "RunStarted", *["StepCompleted"] * 5, "RunCompleted",
    ]  # fmt: skip


def test_p35_runs_that_ended_before_a_time_are_deleted(past):
    for number in range(1, 8):
        past.add(f"r{number}")
    assert past.remover.remove(ended_before_us=5 * DAY_US, keep=None) == 4
    assert past.left == past.runs_with_events() == {"r5", "r6", "r7"}
    assert past.remover.remove(ended_before_us=5 * DAY_US, keep=100) == 0


def test_p35_a_run_that_has_not_ended_is_never_deleted_nor_one_that_it_needs(past):
    past.add("old", status="waiting")
    past.add("parent")
    past.add("child", parent="parent")
    past.add("grandchild", status="running", parent="child")
    past.add("whole")
    past.add("part", parent="whole")
    past.add("busy", status="failed")
    past.add("result of busy", parent="busy")
    assert past.remover.doom(["old", "child", "nobody"]) == []
    assert past.remover.remove(ended_before_us=99 * DAY_US, keep=1) == 2
    assert past.left == {"old", "parent", "child", "grandchild", "busy", "result of busy"}
    assert past.runs_with_events() == past.left


def test_p35_a_large_value_goes_with_the_last_run_that_refers_to_it(past):
    past.add("one", value=LARGE)
    past.add("two", value=LARGE)
    past.add("three", value=LARGE + "y")
    assert past.count(stored_values) == 2
    past.remover.doom(["one", "three"])
    past.sweep()
    assert past.count(stored_values) == 1
    assert past.store.read_events(run_id="two")[2].event.result == LARGE
    past.remover.doom(["two"])
    past.sweep()
    assert past.count(stored_values) == 0
    assert past.count(events) == 0
    assert past.count(marks) == 1  # the seq, and nothing that is still to be done


def test_p35_a_number_is_never_given_to_two_events(past):
    """Clients go on from the last seq they saw: one that came again would be an event that they never get."""
    past.add("one")
    past.add("two")
    last = past.store.last_seq()
    past.remover.doom(["two"])
    past.sweep()
    assert past.store.last_seq() == last
    past.remover.doom(["one"])
    past.sweep()
    assert past.count(events) == 0
    assert StateManager(past.database).last_seq() == last


def test_p35_what_was_begun_goes_on_later(past):
    for number in range(1, 8):
        past.add(f"r{number}", value=LARGE)
    assert past.remover.doom(["r6", "r7"]) == ["r6", "r7"]
    assert past.left == {f"r{number}" for number in range(1, 6)}
    assert past.runs_with_events() > past.left
    assert RunRemover(past.database).remove(None, None) == 0
    assert past.runs_with_events() == past.left


@pytest.mark.timeout(300)  # some seconds of work, and as much again for each program beside it
def test_p35_a_deletion_of_many_events_lets_others_write_in_between(past):
    """No transaction of it takes long, however much there is to delete."""
    past.add("r")
    first = past.store.last_seq() + 1
    many = [JournalEntry(first + n, "r", StepCompleted(1, "a", n, 1, n, {})) for n in range(20_000)]
    past.store.append(Batch(many))
    past.remover.doom(["r"])
    steps = 0
    while past.remover.sweep():
        steps += 1
    assert steps > 3
    assert past.count(events) == 0


def test_compacting_gives_the_room_back(past):
    for number in range(1, 30):
        past.add(f"r{number}", value=LARGE + str(number))
    before = past.database.path.stat().st_size
    past.remover.remove(None, keep=1)
    past.database.compact()
    assert past.database.path.stat().st_size < before / 5
    assert past.left == {"r29"}
