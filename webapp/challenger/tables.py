"""The tables of challengers' scores and their counts."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.columns import Instant
from webapp.decisions.tables import Decision
from webapp.extensions import Base


class ChallengerScore(Base):
    """What a candidate that does not decide makes of a decided application."""

    __tablename__ = "challenger_scores"
    __table_args__ = (
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
    probability: Mapped[float]
    granted: Mapped[bool]
    agrees: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(Instant)

    decision: Mapped[Decision] = relationship(lazy="raise")


class ChallengerCount(Base):
    """How often champion and challenger decide what, kept equal to the table by its trigger."""

    __tablename__ = "challenger_counts"

    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    challenger: Mapped[str] = mapped_column(String(64), primary_key=True)
    granted: Mapped[bool] = mapped_column(primary_key=True)
    challenger_granted: Mapped[bool] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
