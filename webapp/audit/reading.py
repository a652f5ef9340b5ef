"""Reads the audit log as it was at one instant."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection

from webapp.columns import within_moments
from webapp.extensions import db
from webapp.ledger.chain import FORMAT, IS_FEW, Entry
from webapp.ledger.driver import Driver, Row

# On PostgreSQL; on SQLite every read transaction is like this.
SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
HEADS = """
SELECT a.lane, a.number, a.hash FROM audit_lanes l JOIN audit_log a
    ON a.lane = l.id AND a.number = (SELECT max(m.number) FROM audit_log m WHERE m.lane = l.id)
ORDER BY a.lane
"""
ENTRIES_PER_QUERY = 5_000
# Bounded by numbers and not by LIMIT: without statistics, as after a restore, PostgreSQL would
# sort the rest of the lane for each page.
PAGE = "FROM audit_log WHERE lane = ? AND number > ? AND number <= ? ORDER BY number"
ENTRIES = f"SELECT number, {{moment}}, operator_id, event, subject, facts, commitment, hash {PAGE}"
# The content of `chain.canonical`, made by the database, which is quicker than reading the columns.
CONTENTS = f"""
SELECT number, CASE WHEN {{valid}} THEN '["{FORMAT}",' || lane || ',' || number || ',"'
    || {{moment}} || 'Z",' || operator_id || ',"' || event || '","' || subject || '",'
    || CASE WHEN facts IS NULL THEN 'null' ELSE '"' || {{facts}} || '"' END || ','
    || CASE WHEN commitment IS NULL THEN 'null' ELSE '"' || {{commitment}} || '"' END || ']' END,
    hash {PAGE}
"""
SQLITE_CONTENT = {
    "moment": "replace(created_at, ' ', 'T')",
    "facts": "lower(hex(facts))",
    "commitment": "lower(hex(commitment))",
    # A column can hold a value of any type, and a BLOB can have the text of another value. Every
    # BLOB is greater than or equal to the empty one, and every other value is less.
    "valid": (
        "instr(created_at, ' ') = 11 AND created_at < x'' AND operator_id < x'' "
        "AND event < x'' AND subject < x'' "
        "AND (facts IS NULL OR facts >= x'') AND (commitment IS NULL OR commitment >= x'')"
    ),
}
POSTGRESQL_CONTENT = {
    "moment": "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')",
    "facts": "encode(facts, 'hex')",
    "commitment": "encode(commitment, 'hex')",
    "valid": within_moments("created_at"),
}
HASH = "SELECT hash FROM audit_log WHERE lane = ? AND number = ?"
SUBJECTS = f"SELECT subject FROM audit_log WHERE event = ? AND {IS_FEW}"  # noqa: S608 - a constant


class Head(NamedTuple):
    """The newest entry of a lane."""

    lane: int
    number: int
    hash: bytes


@contextmanager
def snapshot() -> Iterator[Connection]:
    """Begin a transaction in which every statement sees the same rows."""
    with db.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(**SNAPSHOT)
        with connection.begin():
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            yield connection


def read_heads(driver: Driver) -> list[Head]:
    """Return the newest entry of each lane that has any."""
    return [Head(*row) for row in driver.fetch(HEADS)]


def read_entries(driver: Driver, lane: int, *, after: int) -> list[Row]:
    """Return the rows of the next entries of a lane, in the order of their numbers."""
    statement = ENTRIES.format(moment=moment_sql("created_at", postgresql=driver.postgresql))
    return driver.fetch(statement, (lane, after, after + ENTRIES_PER_QUERY))


def read_contents(driver: Driver, lane: int, *, after: int, last: int | None = None) -> list[Row]:
    """Return the number, the content and the hash of the next entries of a lane, up to a last one.

    The content is None if a value cannot have been written by the service.
    """
    page = after + ENTRIES_PER_QUERY
    statement = CONTENTS.format(**(POSTGRESQL_CONTENT if driver.postgresql else SQLITE_CONTENT))
    return driver.fetch(statement, (lane, after, page if last is None else min(page, last)))


def as_entry(lane: int, row: Row) -> Entry:
    """Return a row of `read_entries` as an entry; raises ValueError."""
    return Entry(lane, row[0], canonical_moment(row[1]), *row[2:])


def hash_of(driver: Driver, lane: int, number: int) -> bytes:
    """Return the stored hash of an entry; empty if there is none."""
    rows = driver.fetch(HASH, (lane, number))
    return rows[0][0] if rows and isinstance(rows[0][0], bytes) else b""


def subjects_of(driver: Driver, event: str, *, kind: str) -> set[int]:
    """Return the numbers of the lanes or decisions that entries of an event name."""
    subjects = [str(s) for (s,) in driver.fetch(SUBJECTS, (event,)) if s is not None]
    numbers = [s.removeprefix(f"{kind}:") for s in subjects if s.startswith(f"{kind}:")]
    return {int(n) for n in numbers if n.isdecimal() and len(n) < 20}


def moment_sql(column: str, *, postgresql: bool) -> str:
    """Return the SQL of a moment as SQLite stores it; NULL where Python could not hold it."""
    if not postgresql:
        return column
    shown = f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
    return f"CASE WHEN {within_moments(column)} THEN {shown} END"


def canonical_moment(stored: Any) -> str:  # noqa: ANN401 - as the database holds it
    """Return a moment of `moment_sql` in the form of `chain.iso`; raises ValueError."""
    if not isinstance(stored, str) or stored[10:11] != " ":
        raise ValueError("not a moment")
    return f"{stored[:10]}T{stored[11:]}Z"
