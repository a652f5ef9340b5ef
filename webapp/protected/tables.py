"""The tables of what applicants said of the protected fields, apart from their applications."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from webapp.columns import Instant, within_moments
from webapp.extensions import Base
from webapp.ledger.tables import salt_length


class ProtectedAnswer(Base):
    """The facts of an answer: that an applicant was asked, not what was said. Never changed."""

    __tablename__ = "protected_answers"
    __table_args__ = (CheckConstraint(within_moments("created_at"), name="created_at"),)

    # The number of the decision: there is one answer to each.
    id: Mapped[int] = mapped_column(ForeignKey("decisions.id"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id"))


class ProtectedAnswerContents(Base):
    """The salt of what was said. Never changed, erased with it and the decision's contents."""

    __tablename__ = "protected_answer_contents"
    __table_args__ = (salt_length(),)

    decision_id: Mapped[int] = mapped_column(ForeignKey("protected_answers.id"), primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary)


class ProtectedAttribute(Base):
    """What an applicant said of a protected field. Personal, and erased with the contents.

    No scorer, form or API reads it: only the watch, which keeps figures of large groups.
    """

    __tablename__ = "protected_attributes"
    __table_args__ = (CheckConstraint("length(value) BETWEEN 1 AND 64", name="value"),)

    decision_id: Mapped[int] = mapped_column(ForeignKey("decisions.id"), primary_key=True)
    field: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(64))  # as in a CSV file of the product
