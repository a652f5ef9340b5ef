"""The tables of batches: files that wait to be decided, those that were, and their decisions."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.columns import MAX_ID, Identifier, Instant, within_moments
from webapp.extensions import Base
from webapp.ledger.tables import DIGEST_BYTES


class CheckedFile(Base):
    """A file whose rows are all in order, and how far it has been decided; its id is the batch's.

    The applications are personal: they are erased when they are decided, or after a day with the
    row. The row is erased with the contents of a decision of the batch: the name may be personal.
    """

    __tablename__ = "checked_files"
    __table_args__ = (
        CheckConstraint(f"id > 0 AND id < {MAX_ID}", name="id"),
        CheckConstraint(within_moments("created_at"), name="created_at"),
        CheckConstraint(f"length(submission) = {DIGEST_BYTES}", name="submission"),
        CheckConstraint(f"length(digest) = {DIGEST_BYTES}", name="digest"),
        UniqueConstraint("operator_id", "submission"),
        {"sqlite_autoincrement": True},  # so that no id is used for two batches
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id"))
    submission: Mapped[bytes] = mapped_column(LargeBinary)  # of the form's token and the file
    digest: Mapped[bytes] = mapped_column(LargeBinary)  # of the file
    name: Mapped[str] = mapped_column(String(120))
    rows: Mapped[int]
    applications: Mapped[str | None] = mapped_column(Text)  # JSON of `files.Applications`
    # Of the thread that decides them, or of the last one that did.
    run: Mapped[str | None] = mapped_column(String(32))
    seen_at: Mapped[datetime | None] = mapped_column(Instant)  # None once the thread has failed
    decided: Mapped[int]  # rows, of which nothing is stored before all are


class BatchRow(Base):
    """A file whose applications were decided together; never changed."""

    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint(f"id > 0 AND id < {MAX_ID}", name="id"),
        CheckConstraint(within_moments("created_at"), name="created_at"),
        CheckConstraint("granted >= 0 AND refused >= 0 AND referred >= 0", name="counts"),
        CheckConstraint("rows = granted + refused + referred AND rows > 0", name="rows"),
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True, autoincrement=False)
    created_at: Mapped[datetime] = mapped_column(Instant)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id"))
    product: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int]
    granted: Mapped[int]
    refused: Mapped[int]
    referred: Mapped[int]


class BatchDecision(Base):
    """The decision on a line of a batch's file; never changed."""

    __tablename__ = "batch_decisions"
    __table_args__ = (
        CheckConstraint("line > 1", name="line"),
        UniqueConstraint("decision_id"),
    )

    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    decision_id: Mapped[int] = mapped_column(ForeignKey("decisions.id"))
