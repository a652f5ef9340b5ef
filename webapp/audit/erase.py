"""Erases the personal contents of decisions and of what belongs to them; facts and log stay."""

import re
from collections.abc import Sequence
from contextlib import closing

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ml.product.application import REFERENCE_PATTERN
from webapp.columns import MAX_ID
from webapp.database import write_turn
from webapp.decisions.circumstances import LINKED
from webapp.failures import ErasureRefused, NotFound
from webapp.ledger.audit import record
from webapp.ledger.driver import Driver, Reader
from webapp.ledger.transaction import first_line

DELETE = (
    "DELETE FROM decision_contents WHERE decision_id = ? RETURNING decision_id",
    "DELETE FROM trial_contents WHERE trial_id IN (SELECT id FROM trials WHERE decision_id = ?) "
    "RETURNING trial_id",
    "DELETE FROM letter_contents WHERE letter_id IN (SELECT id FROM letters WHERE decision_id = ?) "
    "RETURNING letter_id",
    "DELETE FROM protected_attributes WHERE decision_id = ? RETURNING decision_id",
    "DELETE FROM protected_answer_contents WHERE decision_id = ? RETURNING decision_id",
    "DELETE FROM review_note_contents WHERE note_id IN (SELECT n.id FROM review_notes n "
    "JOIN reviews r ON r.id = n.review_id WHERE r.decision_id = ?) RETURNING note_id",
    # The name of the file that the decision came in.
    "DELETE FROM checked_files WHERE id IN (SELECT batch_id FROM batch_decisions "
    "WHERE decision_id = ?) RETURNING id",
)
TABLES = (
    "decision_contents, trial_contents, letter_contents, protected_attributes, "
    "protected_answer_contents, review_note_contents, checked_files"
)
# A trial or letter that is being made now refers to the decision's row, and a note to the review's,
# so these wait for them.
LOCKS = (
    "SELECT id FROM decisions WHERE id = ? FOR UPDATE",
    "SELECT id FROM reviews WHERE decision_id = ? ORDER BY id FOR UPDATE",
)
FIND = "SELECT id FROM decisions WHERE id = ?"
REFERRED = "SELECT decision_id FROM decision_contents WHERE reference = ? ORDER BY decision_id"
STILL_KEPT = (
    f"{LINKED} SELECT l.id FROM linked l JOIN decision_contents c "  # noqa: S608 - a constant
    "ON c.decision_id = l.id"
)
INSUFFICIENT_PRIVILEGE = "42501"  # PostgreSQL's SQLSTATE


def erase(transaction: Connection, numbers: Sequence[int]) -> dict[int, bool]:
    """Erase the contents of decisions; return for each whether there were any left.

    Raises NotFound and ErasureRefused.
    """
    driver = Driver.of(transaction)
    try:
        if not driver.postgresql:
            driver.fetch("PRAGMA secure_delete = ON")  # should `clean` fail
        for number in numbers:
            if not 0 < number <= MAX_ID or not driver.fetch(FIND, (number,)):
                raise NotFound(f"there is no decision {number}")
        return {number: _erase(transaction, driver, number) for number in dict.fromkeys(numbers)}
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != INSUFFICIENT_PRIVILEGE:
            raise
        raise ErasureRefused(
            f"{first_line(error)}: set LOAN_DATABASE_URL to the role that owns the tables"
        ) from error


def with_reference(transaction: Connection, reference: str) -> list[int]:
    """Return the numbers of the decisions that have a reference; raises NotFound if none has."""
    possible = re.fullmatch(REFERENCE_PATTERN, reference)
    rows = Driver.of(transaction).fetch(REFERRED, (reference,)) if possible else []
    if not rows:
        raise NotFound(f"no decision has the reference {reference}")
    return [number for (number,) in rows]


def still_kept(transaction: Connection, numbers: Sequence[int]) -> list[int]:
    """Return the decisions that corrections link to erased ones, and whose contents are kept."""
    driver = Driver.of(transaction)
    return sorted({n for number in numbers for (n,) in driver.fetch(STILL_KEPT, (number,))})


def clean(engine: Engine) -> str:
    """Remove what the database's files still hold of deleted rows; return what went wrong."""
    try:
        if engine.dialect.name == "sqlite":
            return _clean_sqlite(engine)
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # its timeouts are not those of the service
        with connection:
            connection.exec_driver_sql("SET statement_timeout = 0")
            connection.exec_driver_sql(f"VACUUM {TABLES}")
    except DBAPIError as error:
        return f"VACUUM failed: {first_line(error)}"
    return ""


def _clean_sqlite(engine: Engine) -> str:
    """Write the whole file anew, because `secure_delete` leaves some copies.

    When pages are merged or split, SQLite moves rows, and overwrites the old places only partly.
    """
    with write_turn(engine), closing(Reader(engine)) as reader:
        reader.fetch("VACUUM", ())
        [(busy, *_)] = reader.fetch("PRAGMA wal_checkpoint(TRUNCATE)", ())
    return f"{engine.url.database}-wal is in use" if busy else ""


def _erase(transaction: Connection, driver: Driver, number: int) -> bool:
    for lock in LOCKS if driver.postgresql else ():
        driver.fetch(lock, (number,))
    rows = [row for statement in DELETE for row in driver.fetch(statement, (number,))]
    if rows:
        record(transaction, "contents.erased", f"decision:{number}")
    return bool(rows)
