"""Keeps checked files until they are decided, and stores the decisions of all their rows."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, delete, or_, select, update
from sqlalchemy.exc import IntegrityError

from webapp.batch.records import SILENCE, Applications, Row
from webapp.batch.tables import CheckedFile
from webapp.columns import now
from webapp.decisions.deciding import Judged, hold_for, write_judged
from webapp.extensions import db
from webapp.failures import NotFound
from webapp.ledger.audit import record, record_activation
from webapp.ledger.chain import facts_digest, iso
from webapp.ledger.driver import Driver
from webapp.ledger.transaction import add_row, unit_of_work
from webapp.people.operators import Operator

FACTS = (
    *("id", "created_at", "operator_id", "product", "model"),
    *("rows", "granted", "refused", "referred"),
)
LINKS = ("batch_id", "line", "decision_id")
KEPT = timedelta(days=1)

_c = CheckedFile


def keep_once(
    rows: Sequence[Row], *, data: bytes, token: str, name: str, operator: Operator
) -> int:
    """Keep a file until it is decided; return its number, also if the form is sent twice."""
    # With the file, because the same form can be sent again with a corrected one.
    digest = hashlib.sha256(data).digest()
    submission = hashlib.sha256(token.encode() + digest).digest()
    try:
        with unit_of_work() as transaction:
            discard_old(transaction)
            return add_row(
                transaction,
                CheckedFile,
                created_at=now(),
                operator_id=operator.id,
                submission=submission,
                digest=digest,
                name=name,
                rows=len(rows),
                applications=Applications.of(rows).model_dump_json(),
                decided=0,
            )
    except IntegrityError:
        sent = select(_c.id).where(_c.operator_id == operator.id, _c.submission == submission)
        number = db.session.scalar(sent)
        if number is None:
            raise
        return number


def discard(transaction: Connection, number: int, *, operator: Operator) -> None:
    """Delete a file that waits to be decided."""
    _overwrite_deleted(transaction)
    mine = (_c.id == number, _c.operator_id == operator.id, _c.applications.is_not(None))
    transaction.execute(delete(_c).where(*mine, _is_idle()))


def discard_old(transaction: Connection) -> None:
    """Delete files that nobody has decided within a day."""
    _overwrite_deleted(transaction)
    old = (_c.created_at < now() - KEPT, _c.applications.is_not(None))
    transaction.execute(delete(_c).where(*old, _is_idle()))


def applications_of(number: int, *, operator: Operator) -> Applications | None:
    """Return what an operator's file holds, or None if it is decided; raises NotFound."""
    query = select(_c.applications).where(_c.id == number, _c.operator_id == operator.id)
    row = db.session.execute(query).first()
    if row is None:
        raise NotFound(f"there is no file {number} of this operator")
    kept = row.applications
    return None if kept is None else Applications.model_validate_json(kept)


def begin(transaction: Connection, number: int, *, run: str) -> bool:
    """Note that a thread begins to decide a file; return False if another one does already."""
    waiting = (_c.id == number, _c.applications.is_not(None), _is_idle())
    begun = update(_c).where(*waiting).values(run=run, seen_at=now(), decided=0)
    return transaction.execute(begun).rowcount == 1


def note_progress(transaction: Connection, number: int, *, run: str, decided: int) -> None:
    """Note how many rows a thread has decided, and that it still runs."""
    of_run = (_c.id == number, _c.run == run)
    transaction.execute(update(_c).where(*of_run).values(seen_at=now(), decided=decided))


def note_failure(transaction: Connection, number: int, *, run: str) -> None:
    """Note that a thread has ended, and has stored nothing."""
    transaction.execute(update(_c).where(_c.id == number, _c.run == run).values(seen_at=None))


def store_batch(
    transaction: Connection,
    number: int,
    rows: Sequence[tuple[int, Judged]],
    *,
    operator: Operator,
) -> None:
    """Decide and store the rows of a file, each with its line, and erase its applications.

    Raises NotFound if it has been discarded or decided meanwhile, so a batch is stored once.
    """
    driver = Driver.of(transaction)
    judged = [one for _, one in rows]
    bundle = judged[0].bundle
    hold_for(driver, judged)
    _erase_applications(transaction, number, decided=len(rows))
    record_activation(driver, bundle.version, digest=bundle.digest)
    stored = [s.decision for s in write_judged(driver, judged)]
    moment = stored[0].created_at
    counts = Counter[str](s.decision for s in stored)
    counted = (len(stored), counts["granted"], counts["refused"], counts["referred"])
    facts = (number, iso(moment), operator.id, bundle.product.name, bundle.version, *counted)
    driver.insert("batches", FACTS, [(number, driver.moment(moment), *facts[2:])])
    lines = zip((line for line, _ in rows), stored, strict=True)
    driver.insert("batch_decisions", LINKS, [(number, line, d.id) for line, d in lines])
    record(
        driver,
        "batch.decided",
        f"batch:{number}",
        operator_id=operator.id,
        moment=moment,
        facts=facts_digest(facts),
    )


def _erase_applications(transaction: Connection, number: int, *, decided: int) -> None:
    _overwrite_deleted(transaction)
    waiting = (_c.id == number, _c.applications.is_not(None))
    erased = update(_c).where(*waiting).values(applications=None, decided=decided)
    if transaction.execute(erased).rowcount != 1:
        raise NotFound(f"there is no file {number} to be decided")


def _is_idle() -> ColumnElement[bool]:
    return or_(_c.seen_at.is_(None), _c.seen_at < now() - SILENCE)


def _overwrite_deleted(transaction: Connection) -> None:
    """Let SQLite overwrite what is deleted in the file."""
    if transaction.dialect.name == "sqlite":
        transaction.exec_driver_sql("PRAGMA secure_delete = ON")
