"""The tables of challengers' scores and their counts."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, String, text
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


class ChallengerEvidence(Base):
    """The tests of a challenger, on the loans that were granted in a quarter. Of the watch."""

    __tablename__ = "challenger_evidence"

    period: Mapped[date] = mapped_column(Date, primary_key=True)  # its first day
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    challenger: Mapped[str] = mapped_column(String(64), primary_key=True)
    scores: Mapped[int] = mapped_column(BigInteger)  # of decisions before `ripe`
    outcomes: Mapped[int] = mapped_column(BigInteger)  # of loans that were tested
    ripe: Mapped[date] = mapped_column(Date)  # loans that were decided before it were tested
    last_outcome: Mapped[int] = mapped_column(BigInteger)  # up to which all were compared
    champion_brier: Mapped[float]  # the sum of the loans' squared differences
    challenger_brier: Mapped[float]
    better: Mapped[float]  # evidence, as a natural logarithm
    better_highest: Mapped[float]
    worse: Mapped[float]
    worse_highest: Mapped[float]
