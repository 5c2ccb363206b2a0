"""Reading the journal: every event of what was asked for, in order and once, and not the rest of the journal on the way."""

from contextlib import closing

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.model.events import JournalEntry, RunResumed
from engine.storage.database import Database
from engine.storage.journal import Batch, StateManager
from engine.storage.removal import RunRemover
from engine.storage.tables import BLOCK, run_blocks, runs

RUNS = ("r1", "r2", "r3", "r4")
GRAPHS = {"r1": "g1", "r2": "g1", "r3": "g2", "r4": "g2"}


def new_run(run_id: str) -> dict[str, object]:
    return dict.fromkeys(runs.c.keys()) | {
        "id": run_id,
        "graph_id": GRAPHS[run_id],
        "graph_version": 1,
        "graph_name": "graph",
        "status": "completed",
        "accepted_at": 1,
        "step_count": 0,
        "durability": "strict",
    }


class Journal:
    """A journal whose events have their number as their time."""

    def __init__(self, database: Database) -> None:
        self.database, self.store = database, StateManager(database)
        self.store.append(Batch(new_runs=[new_run(run_id) for run_id in RUNS]))
        self.entries: list[JournalEntry] = []
        self.next_seq = 1

    def skip(self, count: int) -> None:
        """Leave numbers out, as after a deletion."""
        self.next_seq += count

    def append(self, *run_ids: str) -> None:
        """One commit."""
        batch = []
        for run_id in run_ids:
            batch.append(JournalEntry(self.next_seq, run_id, RunResumed(self.next_seq)))
            self.next_seq += 1
        self.store.append(Batch(batch))
        self.entries += batch

    def places(self) -> set[tuple[str, int]]:
        with self.database.read() as connection:
            return {tuple(row) for row in connection.execute(sa.select(run_blocks))}


@pytest.fixture
def journal(tmp_path):
    with closing(Database(f"sqlite:///{tmp_path}/w.db", "normal")) as database:
        yield Journal(database)


@example([["r1"], 2 * BLOCK, ["r1"], BLOCK, ["r2"]], 0, 1)  # a page's first block has nothing more to give
@settings(max_examples=40)
@given(
    st.lists(
        st.one_of(st.lists(st.sampled_from(RUNS), min_size=1, max_size=90), st.integers(1, 3 * BLOCK)),
        max_size=12,
    ),
    st.integers(0, 400),
    st.integers(1, 50),
)
def test_events_of_a_run_or_a_graph_are_those_of_the_journal_in_order_and_once(work, since, page):
    with closing(Database("sqlite://")) as database:
        journal = Journal(database)
        for part in work:
            if isinstance(part, int):
                journal.skip(part)
            else:
                journal.append(*part)
        store, all_entries = journal.store, journal.entries
        assert store.read_events(limit=None) == all_entries
        for run_id in (*RUNS, "nobody"):
            mine = [entry for entry in all_entries if entry.run_id == run_id]
            late = [entry for entry in mine if entry.seq > since]
            assert [*store.iter_events(run_id)] == mine
            assert store.read_events(since, run_id) == late
            assert store.read_events(since, run_id, GRAPHS.get(run_id)) == late
            assert store.read_events(since, run_id, "g3") == []
        for graph_id in ("g1", "g2", "g3"):
            mine = [entry for entry in all_entries if GRAPHS[entry.run_id] == graph_id]
            seen: list[JournalEntry] = []
            while entries := store.read_events(seen[-1].seq if seen else 0, graph_id=graph_id, limit=page):
                assert len(entries) <= page
                seen += entries
            assert seen == mine
            late = [entry for entry in mine if entry.seq > since]
            assert store.read_events(since, graph_id=graph_id, limit=page) == late[:page]
            assert store.read_events(since, graph_id=graph_id, limit=None) == late
        assert journal.places() == {(entry.run_id, entry.seq // BLOCK) for entry in all_entries}


def test_where_the_events_of_a_run_are_is_not_lost_with_a_commit_that_fails(journal, monkeypatch):
    journal.append("r1")
    with monkeypatch.context() as patch:
        patch.setattr(journal.database, "_turn", None)  # nothing can be written
        with pytest.raises(TypeError):
            journal.append("r2")
    journal.next_seq = 2
    journal.append("r2")
    assert [entry.seq for entry in journal.store.read_events(run_id="r2")] == [2]


def test_a_program_that_goes_on_finds_what_the_one_before_it_wrote_into_the_same_block(journal):
    journal.append("r1", "r2")
    journal.store = StateManager(journal.database)
    journal.append("r1", "r3")
    assert [entry.seq for entry in journal.store.read_events(run_id="r1")] == [1, 3]
    assert journal.places() == {("r1", 0), ("r2", 0), ("r3", 0)}


@pytest.mark.parametrize("of_graph", [False, True], ids=["run", "graph"])
def test_of_a_long_journal_only_the_blocks_with_a_run_are_read(journal, of_graph):
    """Counted by SQLite itself: its steps do not grow with what lies before, between and after."""
    steps = []
    for others in (10, 1_000):
        journal.append(*["r3"] * others)
        journal.append("r1")
        since = journal.next_seq - 2
        journal.append(*["r4"] * others)
        journal.append("r1")
        journal.append(*["r3"] * others)
        done = 0

        def count() -> None:
            nonlocal done
            done += 1

        def watch(connection, record, proxy, count=count) -> None:
            record.driver_connection.set_progress_handler(count, 1)

        sa.event.listen(journal.database._reading, "checkout", watch)
        wanted = {"graph_id": "g1"} if of_graph else {"run_id": "r1"}
        assert len(journal.store.read_events(since, **wanted)) == 2
        sa.event.remove(journal.database._reading, "checkout", watch)
        steps.append(done)
    assert 0 < steps[1] < 10 * steps[0]


def test_a_deleted_run_leaves_no_trace_of_where_it_was(journal):
    for _ in range(20):
        journal.append(*["r1"] * 50, "r2")
    remover = RunRemover(journal.database)
    assert remover.doom(["r1"]) == ["r1"]
    while remover.sweep():
        pass
    assert {run_id for run_id, _ in journal.places()} == {"r2"}
    assert journal.store.read_events(run_id="r1") == []
    assert len(journal.store.read_events(run_id="r2")) == 20
