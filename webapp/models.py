"""The tables."""

from datetime import UTC, datetime
from typing import Any

from flask_security import UserMixin
from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    TypeDecorator,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.extensions import Base, db

# SQLite counts by itself only in a column that is declared INTEGER.
LAST_ID = 2**63 - 1
Identifier = BigInteger().with_variant(Integer, "sqlite")


class Instant(TypeDecorator[datetime]):
    """A moment in UTC, also on SQLite, which forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ANN401
        if value is None:
            return None
        moment: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC)


WORDS = {True: "granted", False: "refused"}  # for a decision, in addresses, labels and JSON


def now() -> datetime:
    return datetime.now(UTC)


class User(db.Model, UserMixin):  # type: ignore[misc, name-defined]
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(64), unique=True)
    password: Mapped[str] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(Instant, default=now)

    # Flask-Security asks for it; there are no roles.
    roles = ()  # type: ignore[assignment]


class ApiKey(db.Model):  # type: ignore[misc, name-defined]
    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    digest: Mapped[str] = mapped_column(
        String(64), unique=True
    )  # SHA-256; the key itself is not kept
    created_at: Mapped[datetime] = mapped_column(Instant, default=now)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)


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
