"""A database of an earlier version, with recorded runs, is brought up to date, whatever happens meanwhile."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from engine.errors import DatabaseError
from engine.flow.decide import fold
from engine.flow.plan import compile_plan
from engine.storage.database import Database
from engine.storage.graphs import GraphManager
from engine.storage.journal import StateManager
from engine.storage.migrations import REVISIONS
from tests.crash.mother import Mother
from tests.integration.disks import mounted, strace

DATA = Path(__file__).parents[1] / "data"
HISTORIES = [json.loads(path.read_text()) for path in sorted((DATA / "histories").glob("0.1-*.json"))]
LARGE = orjson.dumps("x" * 300_000)
RUN_COLUMNS = (
    "id, graph_id, graph_version, graph_name, status, accepted_at, started_at, completed_at, "
    "error_message, step_count"
)
TABLES = ("graphs", "graph_versions", "runs", "events", "stored_values")


def make_old(path: Path, revision: str = "0001") -> None:
    """A database of an old revision with the recorded runs of that time in it; one of them has not ended."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript((DATA / "schemas" / f"{revision}.sql").read_text())
        seq = 0
        for number, history in enumerate(HISTORIES):
            graph_id, outcome = f"g{number}", history["outcome"]
            definition = orjson.dumps(history["graph"])
            database.execute(
                "INSERT INTO graphs VALUES (?, ?, '', 1, 3, 1, 1, NULL)", (graph_id, f"graph {number}")
            )
            database.execute("INSERT INTO graph_versions VALUES (?, 1, ?, 1)", (graph_id, definition))
            events = history["events"] if number else history["events"][:4]
            status = outcome["status"] if number else "running"
            database.execute(
                f"INSERT INTO runs ({RUN_COLUMNS}) VALUES (?, ?, 1, ?, ?, ?, 1, 1, ?, ?)",
                (
                    history["run_id"],
                    graph_id,
                    f"graph {number}",
                    status,
                    number,
                    outcome["error_message"],
                    len(events),
                ),
            )
            for event in events:
                seq += 1
                row = (seq, history["run_id"], event["type"], orjson.dumps(event["data"]))
                database.execute("INSERT INTO events VALUES (?, ?, ?, ?, NULL)", row)
        database.execute("INSERT INTO stored_values VALUES ('abc', ?, ?)", (len(LARGE), LARGE))
        database.commit()


def read_all(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row, by table, with the columns that the first revision had."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        found = {}
        for table in TABLES:
            width = {"runs": 10}.get(table, 99)
            found[table] = [row[:width] for row in database.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]
        return found


def revision_of(path: Path) -> str:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute("SELECT version_num FROM alembic_version").fetchone()[0]


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "w.db"
    make_old(path)
    return path


@pytest.fixture(scope="module")
def mother(project_root):
    mother = Mother(project_root)
    yield mother
    mother.close()


def backup_of(path: Path, revision: str = "0001") -> Path:
    return path.with_name(f"{path.name}.before-upgrade-from-{revision}")


def check_upgraded(path: Path, content: dict[str, list[tuple[object, ...]]], revision: str = "0001") -> None:
    """All is there, in the database and in the copy; nothing half made is left."""
    assert revision_of(path) == REVISIONS[-1]
    assert read_all(path) == content
    copy = backup_of(path, revision)
    assert revision_of(copy) == revision
    assert read_all(copy) == content
    assert not [*path.parent.glob("*.partial")]


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_p22_every_run_of_the_old_database_is_read_as_before(tmp_path, revision):
    old = tmp_path / "w.db"
    make_old(old, revision)
    content = read_all(old)
    with closing(Database(f"sqlite:///{old}")) as database:
        states, graphs = StateManager(database), GraphManager(database)
        assert len(states.unfinished_runs()) == 1
        for number, history in enumerate(HISTORIES[1:], 1):
            about = states.get_run(history["run_id"])
            plan = compile_plan(graphs.get_graph(f"g{number}", 1))
            events = states.read_events(run_id=about.run_id, limit=None)
            run = fold(about.run_id, plan, (entry.event for entry in events))
            assert (run.status.value, run.state) == (
                history["outcome"]["status"],
                history["outcome"]["state"],
            )
            assert (about.parent_run_id, about.durability) == (None, "strict")
    check_upgraded(old, content, revision)


@pytest.mark.parametrize("point", ["migrate", "backup"])
def test_p22_an_upgrade_killed_at_any_statement_completes_at_the_next_start(tmp_path, mother, point):
    kills = 0
    for nth in range(1, 100):
        path = tmp_path / f"{nth}.db"
        make_old(path)
        content = read_all(path)
        code = mother.open_database(path, f"{point}:{nth}:kill")
        if code == 0:
            break
        kills += 1
        assert code == -signal.SIGKILL
        assert read_all(path) == content
        assert backup_of(path).exists() is (point == "migrate")
        assert mother.open_database(path) == 0
        check_upgraded(path, content)
    assert kills == 1 if point == "backup" else kills > 10


def test_p22_an_upgrade_killed_in_the_middle_of_any_write_completes_at_the_next_start(
    tmp_path, mother, request
):
    """The process dies where a file would grow past a limit, a little later each time: also within a page."""
    step = 1_500 if request.config.getoption("--all-crashes") else 40_000
    deaths, limit = 0, 100
    while True:
        path = tmp_path / f"{limit}.db"
        make_old(path)
        content = read_all(path)
        code = mother.open_database(path, file_limit=limit)
        if code == 0:
            break
        deaths += 1
        assert code == -signal.SIGXFSZ
        assert revision_of(path) in REVISIONS
        assert read_all(path) == content
        if backup_of(path).exists():
            assert read_all(backup_of(path)) == content
        assert mother.open_database(path) == 0
        check_upgraded(path, content)
        limit += step
    assert deaths >= 5


def test_p22_an_upgrade_killed_at_the_nth_write_of_a_page_completes_at_the_next_start(
    tmp_path, project_root, request
):
    code = "import sys; from engine.storage.database import Database; Database('sqlite:///' + sys.argv[1]).close()"
    deaths, nth = 0, 1
    while True:
        path = tmp_path / f"{nth}.db"
        make_old(path)
        content = read_all(path)
        command = [*strace(f"pwrite64:signal=KILL:when={nth}"), sys.executable, "-c", code, str(path)]
        done = subprocess.run(command, cwd=project_root, capture_output=True, check=False)
        if done.returncode == 0:
            break
        deaths += 1
        assert read_all(path) == content
        with closing(Database(f"sqlite:///{path}")):
            pass
        check_upgraded(path, content)
        nth += 1 if request.config.getoption("--all-crashes") else 60
    assert deaths >= 3


def test_p22_without_room_for_the_copy_nothing_is_upgraded(tmp_path):
    with mounted(tmp_path / "disk", "800k") as disk:
        old = disk.folder / "w.db"
        make_old(old)
        content = read_all(old)
        with pytest.raises(
            DatabaseError, match=r"was not copied to .* and is as it was; see that there is room"
        ):
            Database(f"sqlite:///{old}")
        assert revision_of(old) == "0001"
        assert read_all(old) == content
        assert not [*disk.folder.glob("*before-upgrade*")]


def test_p22_the_copy_is_as_private_as_the_database(old):
    old.chmod(0o600)
    Database(f"sqlite:///{old}").close()
    assert backup_of(old).stat().st_mode & 0o777 == 0o600
