"""Statements sent straight to the database driver, without SQLAlchemy's cost for each."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection

Row = tuple[Any, ...]


class Driver:
    """The driver of a connection; each parameter of its statements is marked by `?`."""

    def __init__(self, connection: Connection) -> None:
        self.postgresql = connection.dialect.name == "postgresql"
        self._engine = connection.engine
        self._error: type[Exception] = _error_type(connection.engine)
        self._raw: Any = connection.connection.driver_connection

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        try:
            return _fetch(self._raw, _marked(statement, self.postgresql), parameters)
        except self._error as error:
            raise _translated(error, self._engine) from error

    def insert(self, table: str, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
        """Insert all rows by one statement, which fails as a whole."""
        parameters = [value for row in rows for value in row]
        if not parameters:
            return
        statement = _insert(table, columns, len(parameters) // len(columns))
        try:
            self._raw.execute(_marked(statement, self.postgresql), parameters)
        except self._error as error:
            raise _translated(error, self._engine) from error

    def pipeline(self) -> AbstractContextManager[None]:
        """Send the statements of a block together, where the driver can; no results are read."""
        return self._pipeline() if self.postgresql else nullcontext()

    def moment(self, moment: datetime) -> str | datetime:
        """Return a moment as the driver stores it."""
        if self.postgresql:
            return moment
        naive = moment.astimezone(UTC).replace(tzinfo=None)
        return naive.isoformat(" ", "microseconds")  # as SQLAlchemy stores it

    @contextmanager
    def _pipeline(self) -> Iterator[None]:
        try:
            with self._raw.pipeline():
                yield
        except self._error as error:
            raise _translated(error, self._engine) from error


class Reader:
    """Reads rows by single statements, on connections of its own outside any transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._error: type[Exception] = _error_type(engine)
        self._postgresql = engine.dialect.name == "postgresql"
        self._free: list[PoolProxiedConnection] = []

    def fetch(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        marked = _marked(statement, self._postgresql)
        while True:
            try:
                connection = self._free.pop()
            except IndexError:
                break
            try:
                rows = _fetch(connection.driver_connection, marked, parameters)
            except self._error:
                connection.invalidate()  # it may have been idle too long: try another
            else:
                self._free.append(connection)
                return rows
        connection = self._connect()
        try:
            rows = _fetch(connection.driver_connection, marked, parameters)
        except self._error as error:
            connection.invalidate()
            raise _translated(error, self._engine) from error
        self._free.append(connection)
        return rows

    def close(self) -> None:
        while self._free:
            self._free.pop().close()

    def _connect(self) -> PoolProxiedConnection:
        connection = self._engine.raw_connection()
        if self._postgresql:
            connection.driver_connection.autocommit = True  # type: ignore[union-attr]
        return connection


def _error_type(engine: Engine) -> type[Exception]:
    error: type[Exception] = engine.dialect.loaded_dbapi.Error
    return error


def _translated(error: Exception, engine: Engine) -> DBAPIError:
    """Return the driver's error as SQLAlchemy's, without parameters, which may be personal."""
    translated = DBAPIError.instance(None, None, error, _error_type(engine), dialect=engine.dialect)
    if not isinstance(translated, DBAPIError):
        raise error
    return translated


def _fetch(raw: Any, statement: str, parameters: Sequence[Any]) -> list[Row]:  # noqa: ANN401
    rows: list[Row] = raw.execute(statement, parameters).fetchall()
    return rows


@cache
def _marked(statement: str, postgresql: bool) -> str:
    return statement.replace("?", "%s") if postgresql else statement


@cache
def _insert(table: str, columns: tuple[str, ...], count: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    values = ", ".join([row] * count)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}"  # noqa: S608 - our names
