"""The tables."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    SmallInteger,
    String,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.columns import Identifier, Instant
from webapp.extensions import Base, db
from webapp.people.tables import ApiKey, User

WORDS = {True: "granted", False: "refused"}  # for a decision, in addresses, labels and JSON


class Decision(db.Model):  # type: ignore[misc, name-defined]
    """Append-only: written once, never changed."""

    __tablename__ = "decisions"
    __table_args__ = (
        CheckConstraint("(user_id IS NULL) <> (api_key_id IS NULL)", name="one_operator"),
        CheckConstraint("channel IN ('desk', 'api')", name="channel"),
        CheckConstraint("probability BETWEEN 0 AND 1", name="probability"),
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Instant, index=True)
    channel: Mapped[str] = mapped_column(String(8))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    api_key_id: Mapped[int | None] = mapped_column(ForeignKey("api_keys.id"))
    product: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(64))
    probability: Mapped[float]
    threshold: Mapped[float]
    granted: Mapped[bool]
    amount: Mapped[int] = mapped_column(BigInteger)
    inputs: Mapped[dict[str, Any]] = mapped_column(JSON)
    normalised: Mapped[dict[str, Any]] = mapped_column(JSON)
    # Of a refusal, as it was told: each a field, its share, its text in each language, and whether
    # it is a principal one.
    reasons: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    out_of_range: Mapped[bool | None]
    # Of a form sent twice; the second finds the first's decision by it.
    submission: Mapped[str | None] = mapped_column(String(64), unique=True)

    user: Mapped[User | None] = relationship(lazy="joined", innerjoin=False)
    api_key: Mapped[ApiKey | None] = relationship(lazy="joined", innerjoin=False)

    @property
    def decision(self) -> str:
        return WORDS[self.granted]

    @property
    def features(self) -> list[dict[str, Any]]:
        """Each field with what was entered and what the model saw of it."""
        return [
            {"name": name, "value": value, "normalised": self.normalised[name]}
            for name, value in self.inputs.items()
        ]

    @property
    def operator(self) -> str:
        who = self.user.username if self.user else self.api_key.name if self.api_key else ""
        return str(who)


class DecisionCount(Base):
    """How many decisions there are of each kind, kept equal to the table by its trigger.

    The rows of a kind are spread over slots, so that writers on PostgreSQL seldom wait for one
    another; their sum counts.
    """

    __tablename__ = "decision_counts"

    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    channel: Mapped[str] = mapped_column(String(8), primary_key=True)
    granted: Mapped[bool] = mapped_column(primary_key=True)
    slot: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


class Trial(db.Model):  # type: ignore[misc, name-defined]
    """What would have been decided on other values: no decision, but never forgotten either."""

    __tablename__ = "trials"

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    decision_id: Mapped[int] = mapped_column(ForeignKey("decisions.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    inputs: Mapped[dict[str, Any]] = mapped_column(JSON)
    probability: Mapped[float]
    granted: Mapped[bool]

    user: Mapped[User] = relationship(lazy="joined")
