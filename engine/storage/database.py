"""Opening the database, and the two ways in: one writer, many readers.

SQLite runs in WAL mode with ``BEGIN IMMEDIATE`` for every write and ``synchronous=FULL`` by default. All writes of a program go through
one connection that only one thread has at a time; readers have their own, read-only. A lock file keeps a second
program out and dies with the program that holds it.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url

from engine.config import AppConfig
from engine.errors import DatabaseError, DatabaseInUse
from engine.storage.migrations import back_up, check_schema, prepare_schema

try:
    import pysqlite3 as sqlite  # a newer SQLite than Debian 12's, which has a WAL bug
except ImportError:  # pragma: no cover - not Linux
    import sqlite3 as sqlite

_PRAGMAS = (
    "PRAGMA busy_timeout=5000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA trusted_schema=OFF",
)

Row: TypeAlias = dict[str, Any] | tuple[Any, ...]

_PATIENCE_MS = 200
_WAL_LIMIT = 16 * 1024 * 1024
"""So long may the write-ahead log stay, in bytes; SQLite cuts it back when it begins anew."""

_open_databases: weakref.WeakValueDictionary[str, Database] = weakref.WeakValueDictionary()
_opening = threading.Lock()


class Database:
    """An open database. Any thread may use it; ``write`` waits for its turn, so not on a thread that must not wait."""

    def __init__(self, url: str, synchronous: str = "full", *, read_only: bool = False) -> None:
        """Open, and bring the schema up to date.

        Raises:
            DatabaseInUse: another program has it open.
            DatabaseError: it is damaged, not ours, or newer than this program; nothing was changed.
        """
        self.url = _read_url(url)
        self.path = _find_path(self.url)
        self.read_only = read_only
        self.graph_changes = (
            0  # counted by whoever changes graphs, so that others know what they remember is old
        )
        self._turn = threading.RLock()
        self._lock_file: BinaryIO | None = None
        self._prepared: dict[Any, tuple[str, Callable[[dict[str, Any]], tuple[Any, ...]]]] = {}
        if read_only and self.path is not None and not self.path.exists():
            raise DatabaseError(f"there is no database at {self.path}")
        if self.path is not None and not read_only:
            _make_folder(self.path)
            self._lock_file = _lock(self.path)
        try:
            self._reading = self._make_readers()
            if read_only:
                return
            self._writing = self._make_writer(synchronous)
            self._writer = self._writing.connect()
            revision = check_schema(self._writer, self.path)
            if self.path is not None:
                driver: Any = self._writer.connection.driver_connection  # outside of any transaction
                driver.execute("PRAGMA journal_mode=WAL")
                # Whoever may not write is told so now, and not when there is something to lose.
                for statement in ("BEGIN IMMEDIATE", "PRAGMA user_version=0", "ROLLBACK"):
                    driver.execute(statement)
            prepare_schema(self._writer, self.path, revision)
        except BaseException as error:
            self.close()
            if isinstance(error, sa.exc.DatabaseError | sqlite.DatabaseError):
                raise DatabaseError(explain(error, self.path)) from error
            raise

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; committed at the end of the block, rolled back when it raises.

        Raises:
            DatabaseError: the disk is full, say; nothing was changed.
        """
        with self._own_turn(), self._writer.begin():
            yield self._writer

    @contextmanager
    def _own_turn(self) -> Iterator[None]:
        if self.read_only:
            raise DatabaseError("this database was opened for reading only")
        with self._turn:
            if self._writer.closed:
                raise DatabaseError("the database is closed")
            try:
                yield
            except (sa.exc.OperationalError, sqlite.OperationalError) as error:
                raise DatabaseError(explain(error, self.path)) from error

    def back_up(self, copy: Path) -> None:
        """Put a copy of an SQLite database, as it stands now, in this place; others may read and write meanwhile.

        Raises:
            DatabaseError: it cannot be written; what was there before still is.
        """
        if self.path is None or self._reading is None:
            raise DatabaseError("only an SQLite database in a file can be copied by this program")
        with self._reading.connect() as connection:
            back_up(connection, self.path, copy)

    def compact(self) -> None:
        """Give the room of what was deleted back to the system. Takes as long as copying; all others wait for it."""
        if self.url.get_backend_name() != "sqlite":
            raise DatabaseError("only an SQLite database is made smaller by this program")
        with self._own_turn():
            driver: Any = self._writer.connection.driver_connection  # outside of any transaction
            driver.execute("VACUUM")
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def shorten_log(self) -> None:
        """Begin the write-ahead log anew where it has grown past its limit, as it does while readers overlap."""
        if self.path is None:
            return
        log = self.path.with_name(f"{self.path.name}-wal")
        if log.exists() and log.stat().st_size > _WAL_LIMIT:
            with self._own_turn():
                driver: Any = self._writer.connection.driver_connection
                driver.execute(f"PRAGMA busy_timeout={_PATIENCE_MS}")  # the engine waits for us
                try:
                    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                finally:
                    driver.execute(_PRAGMAS[0])

    def write_rows(self, work: Sequence[tuple[sa.Insert | sa.Update, Sequence[Row]]]) -> None:
        """Statements, each with its rows, in one transaction: the way of the journal.

        A row is a dict, or a tuple in the order of the statement's parameters. On SQLite the statements, compiled once, go straight to the driver, which costs a third (25 us against 75).
        """
        if self.url.get_backend_name() != "sqlite" or self.read_only:
            with self.write() as connection:
                for statement, rows in work:
                    names = list(statement.compile().params)
                    connection.execute(
                        statement,
                        [
                            row if isinstance(row, dict) else dict(zip(names, row, strict=True))
                            for row in rows
                        ],
                    )
            return
        with self._turn:
            if self._writer.closed:
                raise DatabaseError("the database is closed")
            driver: Any = self._writer.connection.driver_connection
            driver.execute("BEGIN IMMEDIATE")
            try:
                for statement, rows in work:
                    sql, pick = self._prepare(statement)
                    tuples = [row if isinstance(row, tuple) else pick(row) for row in rows]
                    driver.executemany(sql, tuples)
                driver.execute("COMMIT")
            except BaseException:
                if driver.in_transaction:
                    driver.execute("ROLLBACK")
                raise

    def _prepare(
        self, statement: sa.Insert | sa.Update
    ) -> tuple[str, Callable[[dict[str, Any]], tuple[Any, ...]]]:
        prepared = self._prepared.get(statement)
        if prepared is None:
            compiled: Any = statement.compile(dialect=self._writing.dialect)
            prepared = self._prepared[statement] = (str(compiled), itemgetter(*compiled.positiontup))
        return prepared

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading what is committed.

        Raises:
            DatabaseError: the disk fails, say.
        """
        if self._reading is None:  # a database in memory has one connection for all
            with self.write() as connection:
                yield connection
            return
        try:
            with self._reading.connect() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise DatabaseError(explain(error, self.path)) from error

    @property
    def is_ours_alone(self) -> bool:
        """Whether no other program can change it while it is open."""
        return self._lock_file is not None

    def close(self) -> None:
        """Close all connections and give up the lock. May be called again."""
        with self._turn:
            # The readers first: the last one to leave moves the log into the file, which a reader may not.
            if (reading := getattr(self, "_reading", None)) is not None:
                reading.dispose()
            if (writer := getattr(self, "_writer", None)) is not None:
                writer.close()
            if (writing := getattr(self, "_writing", None)) is not None:
                writing.dispose()
            if self._lock_file is not None:
                self._lock_file.close()
                self._lock_file = None
        with _opening:
            for key, database in list(_open_databases.items()):
                if database is self:
                    del _open_databases[key]

    def _make_writer(self, synchronous: str) -> Engine:
        if self.url.get_backend_name() != "sqlite":
            return _create_engine(self.url, pool_size=1, max_overflow=0)
        path = ":memory:" if self.path is None else str(self.path)

        def connect() -> Any:
            connection = sqlite.connect(path, isolation_level=None, check_same_thread=False)
            for pragma in (
                *_PRAGMAS,
                f"PRAGMA journal_size_limit={_WAL_LIMIT}",
                f"PRAGMA synchronous={synchronous}",
            ):
                connection.execute(pragma)
            return connection

        engine = sa.create_engine("sqlite://", creator=connect, module=sqlite, poolclass=sa.pool.StaticPool)
        # The driver would begin late, and deferred; a writer must have its turn from the start.
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        return engine

    def _make_readers(self) -> Engine | None:
        if self.url.get_backend_name() != "sqlite":
            return _create_engine(self.url, pool_size=4)
        if self.path is None:
            return None
        uri = f"{self.path.absolute().as_uri()}?mode=ro"

        def connect() -> Any:
            connection = sqlite.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            return connection

        engine = sa.create_engine(
            "sqlite://",
            creator=connect,
            module=sqlite,
            poolclass=sa.pool.QueuePool,
            pool_size=4,
            max_overflow=4,
        )
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return engine


def open_database(config: AppConfig | None = None) -> Database:
    """The database of a configuration (by default ``AppConfig()``), shared by all who open it in this program.

    Raises:
        DatabaseError: it cannot be used; says why and what to do.
    """
    config = config or AppConfig()
    url = _read_url(config.database_url)
    path = _find_path(url)
    if path is None and url.get_backend_name() == "sqlite":
        return Database(config.database_url, config.synchronous)
    key = config.database_url if path is None else str(path.absolute())
    with _opening:
        database = _open_databases.get(key)
    if database is None:
        database = Database(config.database_url, config.synchronous)
        with _opening:
            _open_databases[key] = database
    return database


def _read_url(text: str) -> sa.URL:
    try:
        return make_url(text)
    except sa.exc.ArgumentError as error:
        raise DatabaseError(f"{text} is no database URL; give one such as sqlite:///file.db") from error


def _create_engine(url: sa.URL, **pool: int) -> Engine:
    """An engine for a database other than SQLite, whose driver need not be installed."""
    try:
        return sa.create_engine(url, **pool)
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise DatabaseError(
            f"databases of the kind {url.drivername} cannot be used here ({error}); "
            "for PostgreSQL: pip install 'agent-workflow-engine[postgres]'"
        ) from error


def _find_path(url: sa.URL) -> Path | None:
    """The file of an SQLite URL; None for one in memory, or for another kind of database."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database)).expanduser()


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(
            f"the folder {path.parent} for the database cannot be made: {error.strerror}"
        ) from error


def _lock(path: Path) -> BinaryIO:
    """Hold the database for this program. The operating system gives the lock up when the program ends, however."""
    name = path.with_name(path.name + ".lock")
    try:
        file = name.open("a+b", buffering=0)
    except OSError as error:
        raise DatabaseError(
            f"the database {path} cannot be written ({error.strerror}); check who owns its folder, "
            "or choose another place with --database"
        ) from error
    try:
        _lock_file(file)
    except OSError:
        with suppress(OSError):
            file.seek(0)
            holder = file.read(20).decode("ascii", "replace").strip()
        file.close()
        raise DatabaseInUse(
            f"the database {path} is in use by another program (process {holder or 'unknown'}); "
            "close it first, or choose another database with --database"
        ) from None
    with suppress(OSError):  # a full disk, say: then the lock does not tell whose it is
        file.truncate(0)
        file.write(str(os.getpid()).encode("ascii"))
        file.flush()
    return file


if os.name == "nt":  # pragma: no cover

    def _lock_file(file: BinaryIO) -> None:
        import msvcrt

        file.seek(1 << 30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]

else:

    def _lock_file(file: BinaryIO) -> None:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def explain(error: BaseException, path: Path | None = None) -> str:
    """What a database says is wrong, and what to do about it."""
    reason = str(getattr(error, "orig", error))
    name = f"the database {path or ''}".strip()
    if "not a database" in reason or "malformed" in reason:
        return (
            f"{path} is damaged or not a database ({reason}); nothing was changed. Restore it from a backup, "
            "or choose another place with --database"
        )
    for sign, advice in _ADVICE.items():
        if sign in reason:
            return f"{name} {advice} ({reason})"
    return f"{name} cannot be used: {reason}"


_ADVICE = {
    "disk is full": "cannot be written: its disk is full; make room there, or delete old runs",
    "disk I/O error": "cannot be read or written: its disk fails; see whether it is full, and what the system's log says",
    "readonly": "cannot be written: it is read-only; check the permissions and the owner of the file and its folder, "
    "or choose another place with --database",
    "locked": "is locked: another program, such as a database browser or a backup, is writing to it; close that",
    "unable to open": "cannot be opened; check the permissions and the owner of the file and its folder, "
    "or choose another place with --database",
}


def is_storage_error(error: BaseException) -> bool:
    """Whether the disk, the file or the server is at fault (full, locked, failing), so that trying again makes sense."""
    return any(
        isinstance(reason, sa.exc.OperationalError | sqlite.OperationalError)
        for reason in (error, error.__cause__)
    )
