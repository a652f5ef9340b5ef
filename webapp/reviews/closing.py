"""Closes a review with the final word on its decision, and says which loans may have an outcome."""

from typing import NamedTuple

from sqlalchemy import Connection, update

from webapp.columns import now
from webapp.ledger.audit import record
from webapp.ledger.chain import facts_digest, iso
from webapp.ledger.driver import Driver
from webapp.people.operators import Operator
from webapp.reviews.records import Closing, Result, ReviewedDecision, ReviewRefused
from webapp.reviews.search import find_reviewed
from webapp.reviews.service import add_text, check_reviewer, lock_claimed
from webapp.reviews.tables import ReviewRow

# So that no outcome is recorded while it is decided whether the loan is granted. SQLite has one
# writer anyway. A lock of two keys is not that of the migrations, whose function the service's role
# may not call.
LOCK = "SELECT pg_advisory_xact_lock(hashtext('loan_desk'), hashtext('outcomes'))"
# Of a higher capability, whose table cannot be imported here.
HAS_OUTCOME = "SELECT 1 FROM outcomes WHERE decision_id = ? LIMIT 1"


class NewClosing(NamedTuple):
    """How a review is to be closed."""

    closing: Closing
    code: str
    note: str


def lock_outcomes(transaction: Connection) -> None:
    """Let no other transaction record outcomes or change the final word, until this one ends."""
    if transaction.dialect.name == "postgresql":
        transaction.exec_driver_sql(LOCK)


def close_review(
    transaction: Connection, number: int, new: NewClosing, *, reviewer: Operator
) -> Result:
    """Close a review that the reviewer has claimed, and return its result.

    Raises NotFound, and ReviewRefused if anything has changed that speaks against it: the review is
    closed or another's, the reviewer is the person who entered the decision, the decision's
    contents are erased, it has been corrected, or the loan has an outcome and would be refused.
    """
    review = lock_claimed(transaction, number, reviewer=reviewer)
    check_reviewer(transaction, review, reviewer)
    decision = find_reviewed(transaction, review.decision_id)
    _check(decision, new)
    result = decision.result(new.closing)
    if new.closing == "refused" and decision.word == "granted":
        _check_no_outcome(transaction, decision.id)
    moment, final = now(), None if result == "lapsed" else new.closing
    if new.note:
        add_text(transaction, number, "closing", new.note, operator=reviewer, moment=moment)
    closed = {"closed_at": moment, "closed_by": reviewer.id, "result": result, "final": final}
    transaction.execute(
        update(ReviewRow).where(ReviewRow.id == number).values(**closed, code=new.code)
    )
    facts = [number, iso(moment), decision.id, reviewer.id, result, final, new.code]
    record(
        transaction,
        "review.closed",
        f"review:{number}",
        operator_id=reviewer.id,
        moment=moment,
        facts=facts_digest(facts),
    )
    return result


def _check(decision: ReviewedDecision, new: NewClosing) -> None:
    """Raise ReviewRefused if the state of a decision speaks against a closing."""
    if new.closing != "lapsed" and decision.corrected_by is not None:
        raise ReviewRefused("corrected", name=str(decision.corrected_by))
    if new.closing != "lapsed" and decision.erased:
        raise ReviewRefused("erased")
    if decision.erased and new.note:
        raise ReviewRefused("no_note")
    if new.code == "erased" and not decision.erased:
        raise ReviewRefused("not_erased")


def _check_no_outcome(transaction: Connection, decision_id: int) -> None:
    """Raise ReviewRefused if a loan has an outcome: it was paid out, and cannot be refused now."""
    lock_outcomes(transaction)
    if Driver.of(transaction).fetch(HAS_OUTCOME, (decision_id,)):
        raise ReviewRefused("known")
