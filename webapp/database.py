"""Connections to SQLite and PostgreSQL: drivers, durability, timeouts, write transactions."""

import logging
import sqlite3
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, Engine, FromClause, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError

log = logging.getLogger(__name__)

# https://sqlite.org/wal.html, "The WAL-reset bug": older versions can corrupt a WAL database that
# several connections write to.
SAFE_WAL = (3, 51, 3)
BUSY_MILLISECONDS = 10_000
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
    pool = {"pool_size": threads}  # no request waits for a connection
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


class _SqliteFile:
    """The file of a SQLite database, and its identity when the application started.

    A connection can still write to a file that was deleted or moved, and what it writes is lost.
    So no transaction begins if the path leads to another file than at the start.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._first = self._identity()
        for file in (path, f"{path}-wal", f"{path}-shm"):
            # Only the owner of a file can change its mode.
            with suppress(FileNotFoundError, PermissionError):
                Path(file).chmod(0o600)

    def open(self) -> None:
        """Create the file, accessible only to its owner, if there was none at the start."""
        if self._first is None:
            try:
                self._path.touch(mode=0o600)
            except OSError as error:
                raise _operational_error(f"{self._path}: {error.strerror}") from error
            self._first = self._identity()
        self.check()

    def check(self) -> None:
        """Raise OperationalError if the path leads to another file than at the start."""
        if self._identity() != self._first:
            raise _operational_error(f"{self._path} was moved, deleted or replaced")

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino


def _operational_error(reason: str) -> OperationalError:
    error = sqlite_module().OperationalError(reason)
    return OperationalError("BEGIN", None, error)


def prepare_sqlite(engine: Engine) -> None:
    """Configure every connection of an engine, and how its transactions begin."""
    file = _SqliteFile(str(engine.url.database))
    version, journal = sqlite_journal()
    level = logging.DEBUG if journal == "WAL" else logging.INFO  # TRUNCATE is slower
    log.log(level, "SQLite %s, journal %s", version, journal)

    @event.listens_for(engine, "do_connect")
    def open_file(*_: object) -> None:
        file.open()

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's
        connection.isolation_level = None  # the driver begins no transaction itself
        connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        file.check()
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
