"""Connections to SQLite and PostgreSQL: drivers, durability, timeouts, write transactions."""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, Engine, FromClause, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

log = logging.getLogger(__name__)

# https://sqlite.org/wal.html, "The WAL-reset bug": older versions can corrupt a WAL database that
# several connections write to.
SAFE_WAL = (3, 51, 3)
BUSY_MILLISECONDS = 10_000
# Of the write-ahead log, 16 MB, before they are copied into the database. Decisions change the same
# pages again and again, each of which is then copied once.
CHECKPOINT_PAGES = 4_000
MIGRATION_LOCK_SECONDS = 60  # longer than the migrations of another start take
PG_OPTIONS = "-c statement_timeout=10000 -c lock_timeout=5000 -c timezone=UTC"
# Execution options of a connection whose transaction will write. SQLite then takes the write lock
# when the transaction begins, where it can wait for other writers. Taken at the first write, the
# lock would fail if another connection had written since the transaction's first read.
WRITING = {"writing": True}
# A PostgreSQL server that disappears without closing its connections is noticed after 25 seconds:
# by tcp_user_timeout if it does not acknowledge sent data, by keepalives if nothing is sent.
PG_LOST = {
    "tcp_user_timeout": 25_000,  # milliseconds
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


def engine_options(url: str, *, threads: int) -> dict[str, Any]:
    # No request waits for a connection: each may read by a session and by a Reader, and the ledger
    # has one more.
    pool = {"pool_size": 2 * threads + 1}
    if url.startswith("sqlite"):
        return {"module": sqlite_module(), **pool}
    return {
        **pool,
        "pool_pre_ping": True,
        "connect_args": {
            "connect_timeout": 5,
            "client_encoding": "utf8",
            "options": PG_OPTIONS,
            **PG_LOST,
        },
    }


def prepare_postgresql(engine: Engine) -> None:
    """Configure every connection of an engine.

    A timestamp that Python cannot hold, such as infinity, is read as None: its row is damaged.
    """
    from psycopg import DataError  # noqa: PLC0415 - not needed for SQLite
    from psycopg.types.datetime import TimestamptzLoader  # noqa: PLC0415
    from psycopg.types.numeric import Int8Dumper  # noqa: PLC0415

    class Loader(TimestamptzLoader):
        def load(self, data: Any) -> Any:  # noqa: ANN401 - the driver's
            try:
                return super().load(data)
            except DataError:
                return None

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's
        connection.adapters.register_loader("timestamptz", Loader)
        # One type for every integer, so that a statement is prepared once and not for each size.
        connection.adapters.register_dumper(int, Int8Dumper)


@contextmanager
def write_turn(engine: Engine) -> Iterator[None]:
    """Wait until no other process or thread of this service writes to SQLite; see ADR 0017.

    SQLite itself lets a process that finds the file locked sleep for a growing time, while others
    overtake it. Processes that wait for a file lock are woken as soon as it is free.
    """
    if engine.dialect.name != "sqlite":
        yield
        return
    try:
        turn = os.open(f"{engine.url.database}-turn", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _operational_error(f"{error.filename}: {error.strerror}") from error
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield
    finally:
        os.close(turn)  # and the lock is free


def insert_once(table: FromClause, *, dialect: str) -> Any:  # noqa: ANN401 - of either dialect
    """Return an INSERT that skips every row whose key exists already."""
    insert: Any = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[dialect]
    # Without this option the number of inserted rows is not known on PostgreSQL.
    return insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def sqlite_module() -> ModuleType:
    """Return pysqlite3 if it is installed, else sqlite3; one file must never be used by both."""
    try:
        import pysqlite3  # noqa: PLC0415 - not every platform has it
    except ImportError:
        return sqlite3
    return pysqlite3  # type: ignore[no-any-return]


def sqlite_journal() -> tuple[str, str]:
    """Return SQLite's version and the journal mode in which it is safe for several writers."""
    module = sqlite_module()
    wal = module.sqlite_version_info >= SAFE_WAL
    return module.sqlite_version, "WAL" if wal else "TRUNCATE"


Identity = tuple[int, int] | None  # a file's device and number; None where there is no file


class _SqliteFile:
    """The file of a SQLite database, and its identity when the application started.

    A connection can still write to a file that was deleted or moved, and what it writes is lost.
    So no transaction begins if the path leads to another file than at the start, or to another
    write-ahead log, which holds the newest rows, than the open connections use.
    """

    def __init__(self, path: str, *, journal: str) -> None:
        self._path = path
        self._first = _identity(path)
        self._size = 0  # bytes, when it was last checked
        self._log_files = [f"{path}{end}" for end in ("-wal", "-shm") if journal == "WAL"]
        self._log: dict[str, Identity] = {}  # stays the same while a connection is open
        self._connections: WeakSet[ConnectionPoolEntry] = WeakSet()
        for file in (path, f"{path}-wal", f"{path}-shm"):
            # Only the owner of a file can change its mode.
            with suppress(FileNotFoundError, PermissionError):
                Path(file).chmod(0o600)

    def open(self) -> None:
        """Create the file, accessible only to its owner, if there was none at the start."""
        if self._first is None:
            try:
                Path(self._path).touch(mode=0o600)
            except OSError as error:
                raise _operational_error(f"{self._path}: {error.strerror}") from error
            self._first = _identity(self._path)
        self.check()

    def opened(self, connection: ConnectionPoolEntry) -> None:
        if not self._connections:
            self._log = {file: _identity(file) for file in self._log_files}
        self._connections.add(connection)

    def closed(self, connection: ConnectionPoolEntry) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._log = {}

    def check(self) -> None:
        """Raise OperationalError if a path leads to another file than the one that was opened."""
        for file, identity in self._log.items():
            if _identity(file) != identity:
                raise _operational_error(f"{file} was moved, deleted or replaced")
        try:
            status = os.stat(self._path)
            size = status.st_size
            truncated = size < self._size and size < _stated_size(self._path)
        except OSError:
            status, truncated = None, False
        if status is None or (status.st_dev, status.st_ino) != self._first:
            raise _operational_error(f"{self._path} was moved, deleted or replaced")
        if truncated:
            raise _operational_error(f"{self._path} was truncated")
        self._size = size


_files: WeakKeyDictionary[Engine, _SqliteFile] = WeakKeyDictionary()


def check_file(engine: Engine) -> None:
    """Raise OperationalError if a path of the SQLite database leads to another file than before."""
    _files[engine].check()


def _identity(file: str) -> Identity:
    try:
        status = os.stat(file)  # by its name: a Path takes longer than the system
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _stated_size(file: str) -> int:
    """Return the size of a SQLite file by its header, https://sqlite.org/fileformat.html 1.3."""
    with open(file, "rb") as opened:
        header = opened.read(32)
    if len(header) < 32:
        return 32
    page_size = int.from_bytes(header[16:18])
    return int.from_bytes(header[28:32]) * (65_536 if page_size == 1 else page_size)


def _operational_error(reason: str) -> OperationalError:
    error = sqlite_module().OperationalError(reason)
    return OperationalError("BEGIN", None, error)


class _Compiler(SQLiteCompiler):
    """Writes the hint of a table behind its name: INDEXED BY and an index."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:
        return text


def prepare_sqlite(engine: Engine) -> None:
    """Configure every connection of an engine, and how its transactions begin."""
    engine.dialect.statement_compiler = _Compiler
    version, journal = sqlite_journal()
    file = _SqliteFile(str(engine.url.database), journal=journal)
    _files[engine] = file
    level = logging.DEBUG if journal == "WAL" else logging.INFO  # TRUNCATE is slower
    log.log(level, "SQLite %s, journal %s", version, journal)

    @event.listens_for(engine, "do_connect")
    def open_file(*_: object) -> None:
        file.open()

    @event.listens_for(engine, "connect")
    def configure(connection: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - driver's
        connection.isolation_level = None  # the driver begins no transaction itself
        # SQLite stores bytes that are not UTF-8; they must not prevent other rows from being read.
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()  # opens the log
        file.opened(entry)

    @event.listens_for(engine, "close")
    def forget(_: object, record: ConnectionPoolEntry) -> None:
        file.closed(record)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        file.check()
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
