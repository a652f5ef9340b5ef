"""The tables of outcomes and their counts."""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Date,
    ForeignKey,
    SmallInteger,
    String,
    UniqueConstraint,
    and_,
    exists,
)
from sqlalchemy.orm import Mapped, aliased, mapped_column

from ml.monitoring.bins import SCORE_BINS
from webapp.columns import MAX_ID, Identifier, Instant, within_moments
from webapp.extensions import Base


class OutcomeRow(Base):
    """What came of a granted loan; the one with the highest number counts. Never changed."""

    __tablename__ = "outcomes"
    __table_args__ = (
        CheckConstraint(f"id > 0 AND id < {MAX_ID}", name="id"),
        CheckConstraint(within_moments("created_at"), name="created_at"),
        CheckConstraint("number > 0", name="number"),
        CheckConstraint("outcome IN ('good', 'bad')", name="outcome"),
        CheckConstraint(within_moments("known_on"), name="known_on"),
        CheckConstraint(  # every one but the first is a correction
            "number = 1 AND reason IS NULL "
            "OR number > 1 AND reason IS NOT NULL AND reason IN ('mistake', 'changed', 'dispute')",
            name="reason",
        ),
        UniqueConstraint("decision_id", "number"),
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True, autoincrement=False)
    created_at: Mapped[datetime] = mapped_column(Instant)
    decision_id: Mapped[int] = mapped_column(ForeignKey("decisions.id"))
    number: Mapped[int]  # among those of the decision
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id"))
    outcome: Mapped[str] = mapped_column(String(4))
    known_on: Mapped[date] = mapped_column(Date)
    reason: Mapped[str | None] = mapped_column(String(8))


def that_counts(*, last: int | None = None) -> ColumnElement[bool]:
    """Return the condition of outcomes that no later one corrects, of those up to a last one."""
    later = aliased(OutcomeRow)
    corrected = exists().where(
        later.decision_id == OutcomeRow.decision_id, later.number > OutcomeRow.number
    )
    if last is None:
        return ~corrected
    return and_(OutcomeRow.id <= last, ~corrected.where(later.id <= last))


class OutcomeCount(Base):
    """The number of loans by their outcome that counts; a trigger keeps it exact."""

    __tablename__ = "outcome_counts"
    __table_args__ = (
        CheckConstraint(f"score_bin >= 0 AND score_bin < {SCORE_BINS}", name="score_bin"),
    )

    decided_month: Mapped[date] = mapped_column(Date, primary_key=True)  # its first day, in UTC
    known_month: Mapped[date] = mapped_column(Date, primary_key=True)
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    # "refused": a person granted the loan, which does not show how well the model decides.
    model_decision: Mapped[str] = mapped_column(String(8), primary_key=True)
    score_bin: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    outcome: Mapped[str] = mapped_column(String(4), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
