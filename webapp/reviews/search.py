"""Queries of reviews: those of a decision, their notes, and the final word on decisions."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, func, select
from sqlalchemy.orm import aliased

from webapp.columns import DecisionValue
from webapp.decisions.damage import readable
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.extensions import db
from webapp.failures import NotFound
from webapp.people.tables import OperatorRow
from webapp.reviews.records import Note, Review, ReviewedDecision
from webapp.reviews.tables import ReviewNoteContents, ReviewNoteRow, ReviewRow

_operators = OperatorRow.__table__
_opener, _holder, _closer = (_operators.alias(name) for name in ("opener", "holder", "closer"))
_r, _n, _t = ReviewRow, ReviewNoteRow, ReviewNoteContents
_d, _c = DecisionRow, DecisionContents


def last_word() -> ScalarSelect[Any]:
    """Return the column of the word of a decision's last review that left one."""
    r = aliased(ReviewRow)
    left = select(r.final).where(r.decision_id == _d.id, r.final.is_not(None))
    return left.order_by(r.id.desc()).limit(1).correlate(_d).scalar_subquery()


def final_word() -> ColumnElement[str]:
    """Return the column of the final word on a decision: the last review's, or its own."""
    return func.coalesce(last_word(), _d.decision)


def final_decision(number: int) -> DecisionValue:
    """Return the final word on a decision: granted, refused, or referred if there is none yet.

    Raises NotFound.
    """
    word: DecisionValue | None = db.session.scalar(select(final_word()).where(_d.id == number))
    if word is None:
        raise NotFound(f"there is no decision {number}")
    return word


def corrected_by() -> ScalarSelect[Any]:
    """Return the column of the number of the last decision that corrects a decision."""
    later = aliased(_d)
    return select(func.max(later.id)).where(later.corrects == _d.id).correlate(_d).scalar_subquery()


def find_reviewed(connection: Connection, number: int) -> ReviewedDecision:
    """Return what matters to a review of a decision; raises NotFound."""
    refused = (_d.decision == "refused") & (_d.basis == "policy")
    query = (
        select(_d.decision, _d.model_decision, refused.label("refused"))
        .add_columns(last_word().label("final"), corrected_by().label("corrected_by"))
        .add_columns(_c.decision_id, readable(_c.causes))
        .outerjoin(_c, _c.decision_id == _d.id)
    )
    row = connection.execute(query.where(_d.id == number)).first()
    if row is None:
        raise NotFound(f"there is no decision {number}")
    return ReviewedDecision(
        id=number,
        decision=row.decision,
        model_decision=row.model_decision,
        by_policy=row.refused or _has_refusing_rule(row.causes),
        final=row.final,
        corrected_by=row.corrected_by,
        erased=row.decision_id is None,
    )


def _has_refusing_rule(causes: object) -> bool:
    stored = causes if isinstance(causes, list) else []
    return any(isinstance(cause, dict) and cause.get("then") == "refuse" for cause in stored)


def select_reviews() -> Select[Any]:
    """Return a query for the columns of `Review`."""
    return (
        select(
            *(_r.id, _r.decision_id, _r.opened_at, _opener.c.name, _r.cause),
            *(_r.claimed_by, _holder.c.name, _r.claimed_at, _r.snoozed_until, _r.due_on),
            *(_r.closed_at, _closer.c.name, _r.result, _r.final, _r.code),
        )
        .join(_opener, _opener.c.id == _r.opened_by)
        .outerjoin(_holder, _holder.c.id == _r.claimed_by)
        .outerjoin(_closer, _closer.c.id == _r.closed_by)
    )


def find_review(number: int) -> Review:
    """Return a review; raises NotFound."""
    row = db.session.execute(select_reviews().where(_r.id == number)).first()
    if row is None:
        raise NotFound(f"there is no review {number}")
    return Review(*row)


def find_closed(number: int) -> Review | None:
    """Return a review that is closed, if there is one with this number."""
    closed = select_reviews().where(_r.id == number, _r.closed_at.is_not(None))
    row = db.session.execute(closed).first()
    return None if row is None else Review(*row)


def list_reviews(decision_id: int) -> list[Review]:
    """Return the reviews of a decision, the newest first."""
    query = select_reviews().where(_r.decision_id == decision_id).order_by(_r.id.desc())
    return [Review(*row) for row in db.session.execute(query)]


def list_notes(reviews: Iterable[Review]) -> dict[int, list[Note]]:
    """Return the notes on reviews by the number of the review, the oldest first."""
    notes: dict[int, list[Note]] = {review.id: [] for review in reviews}
    query = (
        select(_n.review_id, _n.id, _n.created_at, _operators.c.name, _n.kind, _t.text)
        .join(_operators, _operators.c.id == _n.operator_id)
        .outerjoin(_t, _t.note_id == _n.id)
        .where(_n.review_id.in_(notes))
        .order_by(_n.id)
    )
    for review_id, *note in db.session.execute(query):
        notes[review_id].append(Note(*note))
    return notes
