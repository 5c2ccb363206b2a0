"""Bringing a database to the schema of this version.

Importing alembic takes half a second, so the stored revision is read with plain SQL first, and a new database is made
straight from the tables and stamped; a test holds both ways against each other. An upgrade is one
transaction: killed at any point, it has either happened or not. So is the copy that is made before: it has its name
only when it is whole and on the disk.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine.errors import DatabaseError
from engine.failpoints import failpoint, is_set
from engine.storage.tables import metadata

REVISIONS: Final = ("0001", "0002", "0003")
"""All revisions, oldest first; the last is the schema of ``engine.storage.tables``."""

_reach_statement = failpoint("migrate")
_reach_rename = failpoint("backup")

_version = sa.table("alembic_version", sa.column("version_num", sa.String))


def check_schema(connection: Connection, path: Path | None) -> str | None:
    """The database's revision; None for a new, empty one. Changes nothing.

    Raises:
        DatabaseError: the database is not ours, or newer than this program.
    """
    names = set(sa.inspect(connection).get_table_names())
    connection.rollback()
    if not names:
        return None
    if "alembic_version" not in names or "events" not in names:
        raise DatabaseError(
            f"{path or 'this database'} holds something else (its tables: {', '.join(sorted(names)[:5])}); "
            "nothing was changed. Choose another place with --database"
        )
    with connection.begin():
        revision: str | None = connection.execute(sa.select(_version.c.version_num)).scalar_one_or_none()
    if revision not in REVISIONS:
        raise DatabaseError(
            f"{path or 'this database'} was written by a newer version of the program (schema {revision}); "
            "nothing was changed. Update the program, or choose another database"
        )
    return revision


def prepare_schema(connection: Connection, path: Path | None, revision: str | None) -> None:
    """Make the schema in a new database, or upgrade an older one (a backup is made first)."""
    if revision is None:
        with connection.begin():
            metadata.create_all(connection)
            connection.exec_driver_sql(
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
            )
            connection.execute(_version.insert().values(version_num=REVISIONS[-1]))
    elif revision != REVISIONS[-1]:
        if path is not None:
            back_up(connection, path, path.with_name(f"{path.name}.before-upgrade-from-{revision}"))
        upgrade(connection)


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing, in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    if is_set(_reach_statement):
        sa.event.listen(connection, "before_cursor_execute", lambda *_: _reach_statement())
    with connection.begin():
        command.upgrade(config, "head")


def back_up(connection: Connection, path: Path, copy: Path) -> None:
    """Put a copy of an SQLite database, as it stands now, in the place of ``copy``: all of it or nothing.

    Raises:
        DatabaseError: it cannot be written; what was there before still is.
    """
    partial = copy.with_name(f"{copy.name}.partial")
    try:
        partial.unlink(missing_ok=True)  # of a program that was killed meanwhile
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, path.stat().st_mode & 0o777))
        driver: Any = connection.connection.driver_connection  # outside of any transaction
        driver.execute("VACUUM INTO ?", (str(partial),))
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        _reach_rename()
        partial.replace(copy)
        _sync_folder(copy.parent)
    except Exception as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise DatabaseError(
            f"the database {path} was not copied to {copy} ({error}), and is as it was; "
            "see that there is room for a second one and that its folder may be written"
        ) from error


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
