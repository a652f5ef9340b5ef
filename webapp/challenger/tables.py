"""The tables of challengers' scores and their counts."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.columns import Instant
from webapp.extensions import Base


class ChallengerScore(Base):
    """A challenger's score of an application that was decided."""

    __tablename__ = "challenger_scores"
    __table_args__ = (
        CheckConstraint("probability BETWEEN 0 AND 1", name="probability"),
        CheckConstraint("challenger_decision IN ('granted', 'refused')", name="decision"),
        Index(
            "ix_challenger_scores_disagreements",
            "challenger",
            "decision_id",
            sqlite_where=text("NOT agrees"),
            postgresql_where=text("NOT agrees"),
        ),
    )

    challenger: Mapped[str] = mapped_column(String(64), primary_key=True)
    decision_id: Mapped[int] = mapped_column(ForeignKey("decisions.id"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    probability: Mapped[float]
    challenger_decision: Mapped[str] = mapped_column(String(8))
    agrees: Mapped[bool]  # with the model's own decision


class ChallengerCount(Base):
    """The number of scores by hour and by both decisions; a trigger counts every score."""

    __tablename__ = "challenger_counts"

    hour: Mapped[datetime] = mapped_column(Instant, primary_key=True)  # of the decisions
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    challenger: Mapped[str] = mapped_column(String(64), primary_key=True)
    model_decision: Mapped[str] = mapped_column(String(8), primary_key=True)
    challenger_decision: Mapped[str] = mapped_column(String(8), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
