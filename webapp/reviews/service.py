"""Opens reviews and works on them in an open transaction: claims, hands over, notes."""

import os
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from webapp.columns import now
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.failures import NotFound
from webapp.ledger.audit import record
from webapp.ledger.chain import Event, commitment_to, facts_digest, iso
from webapp.ledger.driver import Driver
from webapp.ledger.tables import SALT_BYTES
from webapp.ledger.transaction import add_row
from webapp.people.operators import Operator
from webapp.people.tables import OperatorRow
from webapp.reviews.entering import own_of
from webapp.reviews.records import Cause, NoteKind, ReviewRefused
from webapp.reviews.reviewers import is_reviewer
from webapp.reviews.search import find_reviewed
from webapp.reviews.tables import ReviewNoteContents, ReviewNoteRow, ReviewRow

_r, _d, _c, _operators = ReviewRow, DecisionRow, DecisionContents, OperatorRow.__table__
_n, _t = ReviewNoteRow, ReviewNoteContents
TEXT = ("note_id", "text", "salt")
# The facts that entries of the audit log cover.
OPENED = ("id", "opened_at", "decision_id", "opened_by", "cause")
CLOSED = ("id", "closed_at", "decision_id", "closed_by", "result", "final", "code")
NOTED = ("id", "created_at", "decision_of_review", "review_id", "operator_id", "kind")


class Locked(NamedTuple):
    """An open review that no other transaction changes until this one ends."""

    decision_id: int
    claimed_by: int | None


def open_review(
    transaction: Connection,
    decision_id: int,
    *,
    cause: Cause,
    operator: Operator,
    text: str = "",
) -> int:
    """Open a review of a decision, and return its number.

    The text is the applicant's statement, or a note for the reviewer. Raises ReviewRefused if one
    is open, or the decision's contents are erased, or it has been corrected.
    """
    moment = now()
    values = {"decision_id": decision_id, "opened_at": moment, "opened_by": operator.id}
    try:
        number = add_row(transaction, ReviewRow, **values, cause=cause)
    except IntegrityError as error:
        raise ReviewRefused("open") from error
    check_contents(transaction, decision_id)  # only now: an erasure waits for this transaction
    correction = find_reviewed(transaction, decision_id).corrected_by
    if correction is not None:
        raise ReviewRefused("corrected", name=str(correction))
    facts = facts_digest([number, iso(moment), decision_id, operator.id, cause])
    _record(transaction, "review.opened", number, operator, moment=moment, facts=facts)
    if text:
        kind: NoteKind = "statement" if cause == "applicant" else "note"
        add_text(transaction, number, kind, text, operator=operator, moment=moment)
    return number


def claim(transaction: Connection, number: int, *, reviewer: Operator) -> None:
    """Give a free review to a reviewer; raises NotFound and ReviewRefused."""
    review = lock_open(transaction, number)
    if review.claimed_by == reviewer.id:
        return
    if review.claimed_by is not None:
        raise ReviewRefused("claimed", name=_name(transaction, review.claimed_by))
    check_reviewer(transaction, review, reviewer)
    give(transaction, number, to=reviewer.id, operator=reviewer, event="review.claimed")


def release(transaction: Connection, number: int, *, reviewer: Operator) -> None:
    """Put a claimed review back into the queue; raises NotFound and ReviewRefused."""
    lock_claimed(transaction, number, reviewer=reviewer)
    _change(transaction, number, claimed_by=None, claimed_at=None)
    _record(transaction, "review.released", number, reviewer)


def assign(transaction: Connection, number: int, *, to: Operator, operator: Operator) -> None:
    """Give a review to another reviewer, or take it over; raises NotFound and ReviewRefused."""
    review = lock_open(transaction, number)
    check_reviewer(transaction, review, to)
    if not is_reviewer(transaction, to.id):
        raise ReviewRefused("not_a_reviewer", name=to.name)
    if review.claimed_by != to.id:
        give(transaction, number, to=to.id, operator=operator, event="review.assigned")


def snooze(transaction: Connection, number: int, *, until: date | None, reviewer: Operator) -> None:
    """Hide a review until it comes back on a day, or show it now.

    Raises NotFound and ReviewRefused.
    """
    lock_workable(transaction, number, reviewer=reviewer)
    _change(transaction, number, snoozed_until=until)
    _record(transaction, "review.snoozed", number, reviewer, facts=_on(number, until))


def set_due(transaction: Connection, number: int, *, due_on: date, reviewer: Operator) -> None:
    """Change the day on which a review is due; raises NotFound and ReviewRefused."""
    lock_workable(transaction, number, reviewer=reviewer)
    _change(transaction, number, due_on=due_on)
    _record(transaction, "review.due", number, reviewer, facts=_on(number, due_on))


def add_note(
    transaction: Connection,
    number: int,
    text: str,
    *,
    operator: Operator,
    kind: NoteKind = "note",
) -> None:
    """Add a note to an open review, once if it is sent twice; raises NotFound and ReviewRefused."""
    review = lock_open(transaction, number)
    check_contents(transaction, review.decision_id)
    if _last_note(transaction, number) != (operator.id, kind, text):
        add_text(transaction, number, kind, text, operator=operator, moment=now())


def lock_open(transaction: Connection, number: int) -> Locked:
    """Return an open review, which no other transaction changes until this one ends.

    An erasure of the decision waits too. One whose holder no longer reviews is free. Raises
    NotFound and ReviewRefused.
    """
    columns = (_r.decision_id, _r.claimed_by, _r.closed_by)
    row = transaction.execute(select(*columns).where(_r.id == number).with_for_update()).first()
    if row is None:
        raise NotFound(f"there is no review {number}")
    decision_id, claimed_by, closed_by = row
    if closed_by is not None:
        raise ReviewRefused("closed", name=_name(transaction, closed_by))
    is_held = claimed_by is not None and is_reviewer(transaction, claimed_by)
    return Locked(decision_id, claimed_by if is_held else None)


def lock_claimed(transaction: Connection, number: int, *, reviewer: Operator) -> Locked:
    """Return an open review that a reviewer has claimed; raises NotFound and ReviewRefused."""
    review = lock_open(transaction, number)
    if review.claimed_by != reviewer.id:
        name = "" if review.claimed_by is None else _name(transaction, review.claimed_by)
        raise ReviewRefused("not_yours", name=name)
    return review


def lock_workable(transaction: Connection, number: int, *, reviewer: Operator) -> Locked:
    """Return an open review of somebody else's decision that no other reviewer has claimed."""
    review = lock_open(transaction, number)
    holder = review.claimed_by
    if holder is not None and holder != reviewer.id:
        raise ReviewRefused("claimed", name=_name(transaction, holder))
    check_reviewer(transaction, review, reviewer)
    return review


def check_reviewer(transaction: Connection, review: Locked, reviewer: Operator) -> None:
    """Raise ReviewRefused if the reviewer is a person who entered the application."""
    if own_of(transaction, reviewer.id, _d.id == review.decision_id):
        raise ReviewRefused("own", name=reviewer.name)


def check_contents(transaction: Connection, decision_id: int) -> None:
    """Raise ReviewRefused if the contents of a decision are erased."""
    if transaction.scalar(select(_c.decision_id).where(_c.decision_id == decision_id)) is None:
        raise ReviewRefused("erased")


def give(
    transaction: Connection, number: int, *, to: int, operator: Operator, event: Event
) -> None:
    """Give a review to a reviewer, who sees it at once."""
    moment = now()
    _change(transaction, number, claimed_by=to, claimed_at=moment, snoozed_until=None)
    facts = facts_digest([number, to])
    _record(transaction, event, number, operator, moment=moment, facts=facts)


def add_text(
    transaction: Connection,
    number: int,
    kind: NoteKind,
    text: str,
    *,
    operator: Operator,
    moment: datetime,
) -> None:
    """Add a note, with an entry in the audit log that covers its facts and commits to its text."""
    values = {"created_at": moment, "review_id": number, "operator_id": operator.id, "kind": kind}
    note = add_row(transaction, ReviewNoteRow, **values)
    salt = os.urandom(SALT_BYTES)
    Driver.of(transaction).insert("review_note_contents", TEXT, [(note, text, salt)])
    decision = transaction.scalar(select(_r.decision_id).where(_r.id == number))
    record(
        transaction,
        "review.noted",
        f"review_note:{note}",
        operator_id=operator.id,
        moment=moment,
        facts=facts_digest([note, iso(moment), decision, number, operator.id, kind]),
        commitment=commitment_to([text], salt),
    )


def _last_note(transaction: Connection, number: int) -> tuple[int, str, str] | None:
    """Return by whom the last note on a review is, its kind and its text."""
    query = select(_n.operator_id, _n.kind, _t.text).join(_t, _t.note_id == _n.id)
    last = query.where(_n.review_id == number).order_by(_n.id.desc()).limit(1)
    row = transaction.execute(last).first()
    return None if row is None else (row.operator_id, row.kind, row.text)


def _change(transaction: Connection, number: int, **values: Any) -> None:  # noqa: ANN401
    transaction.execute(update(_r).where(_r.id == number).values(**values))


def _record(
    transaction: Connection,
    event: Event,
    number: int,
    operator: Operator,
    *,
    moment: datetime | None = None,
    facts: bytes | None = None,
) -> None:
    subject = f"review:{number}"
    record(transaction, event, subject, operator_id=operator.id, moment=moment, facts=facts)


def _on(number: int, day: date | None) -> bytes:
    return facts_digest([number, None if day is None else day.isoformat()])


def _name(transaction: Connection, operator_id: int) -> str:
    name = transaction.scalar(select(_operators.c.name).where(_operators.c.id == operator_id))
    return name or ""
