"""Opening the database: what is made, what is refused, and that nothing refused is harmed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from engine.config import AppConfig
from engine.errors import DatabaseError, DatabaseInUse
from engine.storage import database as database_module
from engine.storage import migrations
from engine.storage.database import Database, open_database
from engine.storage.tables import metadata


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def describe(database: Database) -> dict[str, object]:
    inspector = sa.inspect(database._writing)
    return {
        name: (
            [
                (column["name"], str(column["type"]), column["nullable"])
                for column in inspector.get_columns(name)
            ],
            inspector.get_pk_constraint(name)["constrained_columns"],
            sorted((index["name"], tuple(index["column_names"])) for index in inspector.get_indexes(name)),
            [key["referred_table"] for key in inspector.get_foreign_keys(name)],
        )
        for name in inspector.get_table_names()
    }


def test_the_migrations_lead_to_the_same_schema_as_a_new_database(tmp_path):
    fresh = Database(url(tmp_path / "fresh.db"))
    engine = sa.create_engine(url(tmp_path / "migrated.db"))
    with engine.connect() as connection:
        migrations.upgrade(connection)
    engine.dispose()
    migrated = Database(url(tmp_path / "migrated.db"))
    assert describe(migrated) == describe(fresh)
    fresh.close()
    migrated.close()


def test_postgresql_too_keeps_indexes_of_the_few_rows_that_have_a_value_to_these():
    made: list[str] = []
    engine = sa.create_mock_engine(
        "postgresql+psycopg://",
        lambda statement, *_: made.append(str(statement.compile(dialect=engine.dialect))),
    )
    metadata.create_all(engine, checkfirst=False)
    partial = {
        name: condition for text in made for name, condition in re.findall(r"INDEX (\w+) .* WHERE (.+)", text)
    }
    assert partial == {
        "runs_by_parent": "parent_run_id IS NOT NULL",
        "runs_by_origin": "forked_from IS NOT NULL",
        "runs_by_key": "idempotency_key IS NOT NULL",
        "events_with_values": "stored IS NOT NULL",
    }


def test_the_list_of_revisions_is_that_of_the_files():
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == migrations.REVISIONS


def test_a_database_is_made_with_its_folder_and_opened_again(tmp_path):
    path = tmp_path / "deep" / "down" / "w.db"
    for _ in range(2):
        database = Database(url(path))
        with database.read() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        with database.write() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        database.close()


def test_readers_cannot_write(tmp_path):
    database = Database(url(tmp_path / "w.db"))
    with pytest.raises(DatabaseError, match="it is read-only"), database.read() as connection:
        connection.exec_driver_sql("DELETE FROM runs")
    database.close()


def test_a_write_that_raises_is_rolled_back(tmp_path):
    database = Database(url(tmp_path / "w.db"))

    def write_and_fail():
        with database.write() as connection:
            connection.exec_driver_sql("INSERT INTO stored_values VALUES ('a', 1, x'00')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM stored_values").scalar() == 0
    database.close()


def make_damaged(path: Path) -> None:
    Database(url(path)).close()
    data = bytearray(path.read_bytes())
    data[:4096] = b"\x00" * 4096
    path.write_bytes(data)


def make_foreign(path: Path) -> None:
    engine = sa.create_engine(url(path))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE cookies (host TEXT)")
    engine.dispose()


def make_newer(path: Path) -> None:
    database = Database(url(path))
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda path: path.write_text("this is a letter, not a database\n" * 200),
            "damaged or not a database",
        ),
        (make_damaged, "damaged or not a database"),
        (make_foreign, r"holds something else \(its tables: cookies\)"),
        (make_newer, r"newer version of the program \(schema 9999\)"),
    ],
)
def test_p21_a_file_that_is_not_ours_is_refused_and_left_as_it_is(tmp_path, spoil, message):
    path = tmp_path / "w.db"
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(DatabaseError, match=message):
        Database(url(path))
    assert path.read_bytes() == before


def test_p25_a_second_program_is_refused_until_the_first_one_is_killed(tmp_path):
    path = tmp_path / "w.db"
    code = (
        "import sys; from engine.storage.database import Database\n"
        f"database = Database({url(path)!r}); print('open', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(DatabaseInUse, match=rf"in use by another program \(process {holder.pid}\)"):
            Database(url(path))
        Database(url(path), read_only=True).close()  # looking is allowed
    finally:
        holder.kill()
        holder.communicate()
    Database(url(path)).close()


def test_one_program_shares_one_database(tmp_path):
    config = AppConfig(database_url=url(tmp_path / "w.db"))
    first = open_database(config)
    assert open_database(config) is first
    first.close()
    second = open_database(config)
    assert second is not first
    second.close()


def test_reading_a_database_that_is_not_there_makes_none(tmp_path):
    with pytest.raises(DatabaseError, match="there is no database at"):
        Database(url(tmp_path / "w.db"), read_only=True)
    assert not (tmp_path / "w.db").exists()


@pytest.fixture
def as_nobody(tmp_path):
    """Root may write everywhere; nobody may not."""
    for folder in (tmp_path, *(parent for parent in tmp_path.parents if "pytest-of-" in str(parent))):
        folder.chmod(0o755)
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("modes", "message"),
    [
        (
            {"w.db": 0o444, "w.db.lock": 0o666, "": 0o777},
            r"w.db cannot be written: it is read-only; check the permissions",
        ),
        (
            {"w.db": 0o444, "w.db.lock": 0o444, "": 0o555},
            r"w.db cannot be written \(Permission denied\); check who owns",
        ),
        (
            {"w.db": 0o000, "w.db.lock": 0o666, "": 0o777},
            r"w.db cannot be opened; check the permissions and the owner",
        ),
    ],
    ids=["the file", "all", "not even readable"],
)
def test_p21_a_database_that_may_not_be_written_is_refused_with_what_to_do(tmp_path, request, modes, message):
    path = tmp_path / "data" / "w.db"
    Database(url(path)).close()
    before = path.read_bytes()
    for name, mode in modes.items():
        (path.parent / name).chmod(mode)
    request.getfixturevalue("as_nobody")
    with pytest.raises(DatabaseError, match=message):
        Database(url(path))
    if os.geteuid() == 65_534:
        os.seteuid(0)
    assert path.read_bytes() == before


def test_p21_a_database_that_another_program_is_writing_to_is_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(database_module, "_PRAGMAS", ("PRAGMA busy_timeout=50",))
    path = tmp_path / "w.db"
    Database(url(path)).close()
    code = (
        "import sqlite3, sys; browser = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "browser.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as browser:
        assert browser.stdout.readline() == b"locked\n"
        with pytest.raises(
            DatabaseError, match=r"w.db is locked: another program, such as a database browser"
        ):
            Database(url(path))
        browser.stdin.close()
    Database(url(path)).close()


def test_a_backup_is_whole_and_the_one_before_it_stays_until_then(tmp_path):
    database = Database(url(tmp_path / "w.db"))
    copy = tmp_path / "copy.db"
    copy.write_text("an older one")
    database.back_up(copy)
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT version_num FROM alembic_version").all()
    database.close()
    copied = Database(url(copy), read_only=True)
    with copied.read() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").all() == rows
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    copied.close()
    database = Database(url(tmp_path / "w.db"))
    with pytest.raises(DatabaseError, match="was not copied to"):
        database.back_up(tmp_path / "nowhere" / "copy.db")
    database.close()


def test_p35_the_log_beside_the_database_is_cut_back_after_a_reader_that_held_it(tmp_path):
    """While somebody reads, the log cannot begin anew; it grows, and shrinks when the reader has gone."""
    database = Database(url(tmp_path / "w.db"), "normal")
    log = tmp_path / "w.db-wal"

    def write(count: int) -> None:
        for number in range(count):
            with database.write() as connection:
                connection.exec_driver_sql(
                    "INSERT OR REPLACE INTO stored_values VALUES (?, 1, randomblob(500000))",
                    (str(number % 3),),
                )

    with database.read() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM runs").scalar()  # from here on it sees this state
        write(50)
        assert log.stat().st_size > 20_000_000
        database.shorten_log()  # cannot, and does not wait for long
    write(10)
    database.shorten_log()
    assert log.stat().st_size <= 16 * 1024 * 1024
    write(60)
    assert log.stat().st_size <= 16 * 1024 * 1024
    database.close()


def test_a_closed_database_is_one_file_that_can_be_moved(tmp_path):
    database = Database(url(tmp_path / "w.db"))
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO stored_values VALUES ('a', 1, x'00')")
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM stored_values").scalar() == 1
    database.close()
    assert sorted(path.name for path in tmp_path.glob("w.db*")) == ["w.db", "w.db.lock"]
    (tmp_path / "w.db").rename(tmp_path / "moved.db")
    database = Database(url(tmp_path / "moved.db"), read_only=True)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM stored_values").scalar() == 1
    database.close()
