"""Finds and erases the contents of decisions that are older than the bank keeps them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select

from webapp.audit.erase import erase
from webapp.columns import now
from webapp.extensions import db
from webapp.ledger.audit import record
from webapp.ledger.chain import Event
from webapp.ledger.driver import Driver
from webapp.ledger.tables import FEW, AuditEntry
from webapp.ledger.transaction import unit_of_work

MAX_COUNTED = 10_000  # on the page
PER_TRANSACTION = 200  # so that decisions do not wait for long
EVENT: Event = "retention.applied"
LAST = "SELECT id FROM decisions WHERE created_at < ? ORDER BY created_at DESC, id DESC LIMIT 1"
# By number, so that what was erased before is not looked at again. A review that is open needs the
# contents.
PAST = """
SELECT c.decision_id FROM decision_contents c JOIN decisions d ON d.id = c.decision_id
WHERE c.decision_id > ? AND c.decision_id <= ? AND d.created_at < ?
    AND NOT EXISTS (SELECT 1 FROM reviews r WHERE r.decision_id = d.id AND r.closed_at IS NULL)
ORDER BY c.decision_id LIMIT ?
"""


class Run(NamedTuple):
    """When retention was last applied, for how many days, and how many decisions it erased."""

    created_at: datetime
    days: int
    erased: int


def count_past(days: int) -> int:
    """Return how many decisions have contents older than so many days, up to MAX_COUNTED + 1."""
    driver = Driver.of(db.session.connection())
    return len(_past(driver, now() - timedelta(days=days), after=0, limit=MAX_COUNTED + 1))


def apply_retention(days: int) -> Iterator[int]:
    """Erase all contents that are older, and yield how many decisions each transaction erased.

    Raises ErasureRefused. At the end, adds an entry that says so.
    """
    before = now() - timedelta(days=days)
    after, erased = 0, 0
    while True:
        with unit_of_work() as transaction:
            driver = Driver.of(transaction)
            numbers = _past(driver, before, after=after, limit=PER_TRANSACTION)
            if not numbers:
                record(transaction, EVENT, f"days:{days}:erased:{erased}")
                return
            erase(transaction, numbers)
        after, erased = numbers[-1], erased + len(numbers)
        yield len(numbers)


def last_run() -> Run | None:
    """Return the last time that retention was applied."""
    e = AuditEntry
    query = select(e.created_at, e.subject).where(e.event == EVENT, FEW)
    row = db.session.execute(query.order_by(e.created_at.desc()).limit(1)).first()
    if row is None:
        return None
    _, days, _, erased = row.subject.split(":")
    return Run(row.created_at, int(days), int(erased))


def _past(driver: Driver, before: datetime, *, after: int, limit: int) -> list[int]:
    moment = driver.moment(before)
    last = driver.fetch(LAST, (moment,))
    if not last:
        return []
    return [number for (number,) in driver.fetch(PAST, (after, last[0][0], moment, limit))]
