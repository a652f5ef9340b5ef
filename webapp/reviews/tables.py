"""The tables of reviews and of the notes on them."""

from datetime import date, datetime

from sqlalchemy import (
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from webapp.columns import MAX_ID, Identifier, Instant, within_moments
from webapp.extensions import Base
from webapp.ledger.tables import salt_length

IS_OPEN = text("closed_at IS NULL")
IS_CLOSED = text("closed_at IS NOT NULL")


class ReviewRow(Base):
    """A review of a decision. How it was opened never changes, nor anything once it is closed.

    A decision that is referred opens one in its own transaction (`webapp.decisions.writing`).
    """

    __tablename__ = "reviews"
    __table_args__ = (
        CheckConstraint(f"id > 0 AND id < {MAX_ID}", name="id"),
        CheckConstraint(within_moments("opened_at"), name="opened_at"),
        CheckConstraint("cause IN ('referred', 'staff', 'applicant')", name="cause"),
        CheckConstraint("(claimed_by IS NULL) = (claimed_at IS NULL)", name="claimed"),
        CheckConstraint(within_moments("snoozed_until"), name="snoozed_until"),
        CheckConstraint(within_moments("due_on"), name="due_on"),
        CheckConstraint(
            "result IN ('upheld', 'overturned_model', 'overturned_policy', 'overturned_review', "
            "'lapsed')",
            name="result",
        ),
        CheckConstraint("final IN ('granted', 'refused')", name="final"),
        CheckConstraint(
            "closed_at IS NULL AND closed_by IS NULL AND result IS NULL AND code IS NULL "
            "OR closed_at IS NOT NULL AND closed_by IS NOT NULL AND result IS NOT NULL "
            "AND code IS NOT NULL",
            name="closed",
        ),
        # One that lapsed left no word; all other closed ones did.
        CheckConstraint(
            "(final IS NOT NULL) = (result IS NOT NULL AND result <> 'lapsed')", name="word"
        ),
        Index(
            "uq_reviews_open",
            "decision_id",
            unique=True,
            sqlite_where=IS_OPEN,
            postgresql_where=IS_OPEN,
        ),
        # Only of closed ones: every decision that is referred opens one.
        Index(
            "ix_reviews_closed_at",
            "closed_at",
            sqlite_where=IS_CLOSED,
            postgresql_where=IS_CLOSED,
        ),
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    decision_id: Mapped[int] = mapped_column(ForeignKey("decisions.id"), index=True)
    opened_at: Mapped[datetime] = mapped_column(Instant)
    opened_by: Mapped[int] = mapped_column(ForeignKey("operators.id"))
    cause: Mapped[str] = mapped_column(String(9))
    claimed_by: Mapped[int | None] = mapped_column(ForeignKey("operators.id"))
    claimed_at: Mapped[datetime | None] = mapped_column(Instant)
    snoozed_until: Mapped[date | None] = mapped_column(Date)  # the day on which it comes back
    due_on: Mapped[date | None] = mapped_column(Date)  # if not the setting's number of days later
    closed_at: Mapped[datetime | None] = mapped_column(Instant)
    closed_by: Mapped[int | None] = mapped_column(ForeignKey("operators.id"))
    result: Mapped[str | None] = mapped_column(String(17))
    final: Mapped[str | None] = mapped_column(String(8))  # the final word on the decision
    code: Mapped[str | None] = mapped_column(String(32))  # of the reason


class ReviewNoteRow(Base):
    """The facts of a note on a review. Never changed."""

    __tablename__ = "review_notes"
    __table_args__ = (
        CheckConstraint(f"id > 0 AND id < {MAX_ID}", name="id"),
        CheckConstraint(within_moments("created_at"), name="created_at"),
        CheckConstraint("kind IN ('note', 'statement', 'closing')", name="kind"),
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    review_id: Mapped[int] = mapped_column(ForeignKey("reviews.id"), index=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id"))
    kind: Mapped[str] = mapped_column(String(9))  # a statement is the applicant's own


class ReviewNoteContents(Base):
    """The text of a note. Personal: never changed, erased with the contents of the decision."""

    __tablename__ = "review_note_contents"
    __table_args__ = (salt_length(),)

    note_id: Mapped[int] = mapped_column(ForeignKey("review_notes.id"), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
