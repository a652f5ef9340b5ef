"""Statements sent straight to the database driver, without SQLAlchemy's cost for each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, Self

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection

from webapp.database import check_file

Row = tuple[Any, ...]

ROWS_PER_STATEMENT = 500  # both databases limit the parameters of one


class Driver:
    """The driver of a connection; each parameter of its statements is marked by `?`."""

    def __init__(self, raw: Any, engine: Engine) -> None:  # noqa: ANN401 - the driver's connection
        self.engine = engine
        self.postgresql = engine.dialect.name == "postgresql"
        self._error: type[Exception] = _error_type(engine)
        self._raw = raw
        self._cursor = _cursor(raw, self.postgresql)

    @staticmethod
    def of(connection: Connection) -> "Driver":
        """Return the driver of a connection of SQLAlchemy's."""
        return Driver(connection.connection.driver_connection, connection.engine)

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        try:
            return _fetch(self._cursor, _marked(statement, self.postgresql), parameters)
        except self._error as error:
            raise _translated(error, self.engine) from error

    def insert(self, table: str, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
        """Insert rows by as few statements as possible, each of which fails as a whole."""
        rows = list(rows)
        try:
            for start in range(0, len(rows), ROWS_PER_STATEMENT):
                some = rows[start : start + ROWS_PER_STATEMENT]
                statement = _marked(_insert(table, columns, len(some)), self.postgresql)
                self._cursor.execute(statement, [value for row in some for value in row])
        except self._error as error:
            raise _translated(error, self.engine) from error

    def pipeline(self) -> AbstractContextManager[None]:
        """Send the statements of a block together, where the driver can; no results are read."""
        return self._pipeline() if self.postgresql else nullcontext()

    def moment(self, moment: datetime) -> str | datetime:
        """Return a moment as the driver stores it."""
        return moment if self.postgresql else _sqlite_moment(moment)

    @contextmanager
    def _pipeline(self) -> Iterator[None]:
        try:
            with self._raw.pipeline():
                yield
        except self._error as error:
            raise _translated(error, self.engine) from error


class WritingDriver(Driver):
    """A driver with a connection of its own, on which it begins and ends write transactions."""

    def __init__(self, engine: Engine) -> None:
        self._pooled = _connected(engine)
        super().__init__(self._pooled.driver_connection, engine)

    def begin(self) -> Self:
        """Begin a write transaction; PostgreSQL's driver does so at the first statement."""
        if not self.postgresql:
            check_file(self.engine)
            self._do(self._raw.execute, "BEGIN IMMEDIATE")
        return self

    def commit(self) -> None:
        self._do(self._raw.commit)

    def rollback(self) -> None:
        self._do(self._raw.rollback)

    @property
    def lost(self) -> bool:
        """Whether the connection has been found to be closed by the server."""
        return self.postgresql and bool(self._raw.closed)

    def close(self, *, usable: bool = True) -> None:
        """Give the connection back, or close it if it can no longer be used."""
        with suppress(DBAPIError):
            if not usable:
                self._pooled.invalidate()
            self._pooled.close()

    def _do(self, act: Callable[..., object], *arguments: str) -> None:
        try:
            act(*arguments)
        except self._error as error:
            raise _translated(error, self.engine) from error


class Reader:
    """Reads rows by single statements, on connections of its own outside any transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._error: type[Exception] = _error_type(engine)
        self._postgresql = engine.dialect.name == "postgresql"
        self._free: list[tuple[PoolProxiedConnection, Any]] = []  # with a cursor of each

    def fetch(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        marked = _marked(statement, self._postgresql)
        while True:
            try:
                connection, cursor = self._free.pop()
            except IndexError:
                break
            try:
                rows = _fetch(cursor, marked, parameters)
            except self._error:
                connection.invalidate()  # it may have been idle too long: try another
            else:
                self._free.append((connection, cursor))
                return rows
        connection = self._connect()
        cursor = _cursor(connection.driver_connection, self._postgresql)
        try:
            rows = _fetch(cursor, marked, parameters)
        except self._error as error:
            connection.invalidate()
            raise _translated(error, self._engine) from error
        self._free.append((connection, cursor))
        return rows

    def moment(self, moment: datetime) -> str | datetime:
        """Return a moment as the driver stores it."""
        return moment if self._postgresql else _sqlite_moment(moment)

    def close(self) -> None:
        while self._free:
            connection, _ = self._free.pop()
            if self._postgresql:
                connection.driver_connection.autocommit = False  # type: ignore[union-attr]
            connection.close()

    def _connect(self) -> PoolProxiedConnection:
        connection = _connected(self._engine)
        if self._postgresql:
            connection.driver_connection.autocommit = True  # type: ignore[union-attr]
        return connection


def _connected(engine: Engine) -> PoolProxiedConnection:
    try:
        return engine.raw_connection()
    except _error_type(engine) as error:
        raise _translated(error, engine) from error


def _error_type(engine: Engine) -> type[Exception]:
    error: type[Exception] = engine.dialect.loaded_dbapi.Error
    return error


def _translated(error: Exception, engine: Engine) -> DBAPIError:
    """Return the driver's error as SQLAlchemy's, without parameters, which may be personal."""
    translated = DBAPIError.instance(None, None, error, _error_type(engine), dialect=engine.dialect)
    if not isinstance(translated, DBAPIError):
        raise error
    return translated


def _cursor(raw: Any, postgresql: bool) -> Any:  # noqa: ANN401 - the driver's
    """Return a cursor whose statements the driver does not rewrite each time."""
    if not postgresql:
        return raw.cursor()
    from psycopg import RawCursor  # noqa: PLC0415 - not needed for SQLite

    return RawCursor(raw)


def _fetch(cursor: Any, statement: str, parameters: Sequence[Any]) -> list[Row]:  # noqa: ANN401
    rows: list[Row] = cursor.execute(statement, parameters).fetchall()
    return rows


@lru_cache(maxsize=1)  # all rows of a transaction have the same moment
def _sqlite_moment(moment: datetime) -> str:
    naive = moment.astimezone(UTC).replace(tzinfo=None)
    return naive.isoformat(" ", "microseconds")  # as SQLAlchemy stores it


@cache
def _marked(statement: str, postgresql: bool) -> str:
    """Mark the parameters as the driver's cursor expects: PostgreSQL numbers them."""
    if not postgresql:
        return statement
    first, *others = statement.split("?")
    return first + "".join(f"${number}{text}" for number, text in enumerate(others, 1))


@cache
def _insert(table: str, columns: tuple[str, ...], count: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    values = ", ".join([row] * count)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}"  # noqa: S608 - our names
