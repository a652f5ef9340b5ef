"""The unit of work, and `committed`, which begins and ends every write transaction."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from flask import Flask, has_request_context, request
from sqlalchemy import Connection, Table, insert
from sqlalchemy.exc import DBAPIError

from webapp.database import WRITING, write_turn
from webapp.extensions import Base, db
from webapp.failures import NestedUnitOfWork, OutcomeUnknown
from webapp.ledger.driver import WritingDriver

log = logging.getLogger(__name__)
COMMIT_ATTEMPTED = "loan_desk.commit_attempted"  # in the WSGI environment of a request
_open: ContextVar[bool] = ContextVar("unit_of_work", default=False)


def init_app(app: Flask) -> None:
    app.teardown_appcontext(_end_session)  # runs before Flask-SQLAlchemy's, which would raise


def _end_session(_: BaseException | None) -> None:
    """End the session of the request; a lost connection must not make its answer an error."""
    try:
        db.session.remove()
    except DBAPIError as error:
        log.warning("a database connection was lost: %s", first_line(error))
        db.session().invalidate()


@contextmanager
def unit_of_work() -> Iterator[Connection]:
    """Begin a write transaction; commit it at the end, or roll it back on any exception.

    Raises OutcomeUnknown if the commit fails.
    """
    if _open.get():
        raise NestedUnitOfWork("a unit of work is open already")
    end_reading()
    token = _open.set(True)
    try:
        connecting = db.engine.connect().execution_options(**WRITING)
        with connecting as connection, committed(connection):
            yield connection
            mark_commit()
    finally:
        _open.reset(token)


def end_reading() -> None:
    """End the session's read transaction: the next one sees what has been committed by then.

    Loaded objects stay usable.
    """
    db.session.close()


@contextmanager
def committed(connection: Connection | WritingDriver) -> Iterator[None]:
    """Begin a write transaction; commit it at the end, or roll it back on any exception."""
    with write_turn(connection.engine):
        transaction = connection.begin()
        try:
            yield
        except BaseException:
            transaction.rollback()
            raise
        try:
            transaction.commit()
        except DBAPIError as error:
            raise OutcomeUnknown(first_line(error)) from error


def first_line(error: DBAPIError) -> str:
    """Return the driver's message without the lines that repeat values of the statement."""
    return str(error.orig).partition("\n")[0]


def add_row(transaction: Connection, table: type[Base], **values: Any) -> int:  # noqa: ANN401
    """Add a row and return its number."""
    key = transaction.execute(
        insert(cast("Table", table.__table__)).values(values)
    ).inserted_primary_key
    number: int = key[0]  # type: ignore[index]  # a single row has one
    return number


def mark_commit() -> None:
    """Note that this request may have stored something, whatever follows."""
    if has_request_context():
        request.environ[COMMIT_ATTEMPTED] = True


def commit_was_attempted() -> bool:
    """Return whether this request may have stored something."""
    return COMMIT_ATTEMPTED in request.environ
