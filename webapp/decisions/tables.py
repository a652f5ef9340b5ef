"""The tables of decisions and trials: immutable facts, erasable contents, exact counts."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from ml.monitoring.bins import SCORE_BINS
from webapp.columns import (
    MAX_ID,
    MAX_MEASURE,
    Identifier,
    Instant,
    within_moments,
)
from webapp.extensions import Base
from webapp.ledger.tables import salt_length

# In the order of its characters in every database, so that an index finds what begins alike.
Ordered = String(64).with_variant(String(64, collation="C"), "postgresql")
SEGMENT = 8192  # decisions with numbers next to each other, in the indexes of values
HAS_REFERENCE = text("reference IS NOT NULL")
CORRECTS = text("corrects IS NOT NULL")
# No policy rule may grant what the model refuses.
BASED = (
    "CASE decision WHEN 'granted' THEN basis = 'model' AND model_decision = 'granted' "
    "WHEN 'refused' THEN basis = 'policy' OR basis = 'model' AND model_decision = 'refused' "
    "WHEN 'referred' THEN basis IN ('policy', 'tries', 'unusual', 'near_threshold', 'switch') "
    "ELSE false END"
)


def _json_kind(column: str, kind: str) -> Iterator[CheckConstraint]:
    """Yield constraints of a JSON column to one kind of value: SQLite itself accepts any text."""
    for dialect, check in {
        "sqlite": f"json_valid({column}) AND json_type({column}) = '{kind}'",
        "postgresql": f"json_typeof({column}) = '{kind}'",
    }.items():
        yield CheckConstraint(check, name=column).ddl_if(dialect=dialect)


class DecisionRow(Base):
    """The facts of a decision, none of them personal; never changed and never deleted.

    Only the key is unique, so that the table can be partitioned by ranges of id.
    """

    __tablename__ = "decisions"
    __table_args__ = (
        CheckConstraint(f"id > 0 AND id < {MAX_ID}", name="id"),
        CheckConstraint(within_moments("created_at"), name="created_at"),
        CheckConstraint("channel IN ('desk', 'api', 'batch')", name="channel"),
        CheckConstraint("probability BETWEEN 0 AND 1", name="probability"),
        CheckConstraint("threshold BETWEEN 0 AND 1", name="threshold"),
        CheckConstraint(
            "model_decision = CASE WHEN probability >= threshold THEN 'granted' ELSE 'refused' END",
            name="model_decision",
        ),
        CheckConstraint(BASED, name="basis"),
        CheckConstraint("corrects > 0 AND corrects < id", name="corrects"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint(f"novelty >= 0 AND novelty < {MAX_MEASURE:.0f}", name="novelty"),
        Index(
            "ix_decisions_corrects",
            "corrects",
            sqlite_where=CORRECTS,
            postgresql_where=CORRECTS,
        ),
        Index("ix_decisions_operator_id_created_at", "operator_id", "created_at", "id"),
        Index("ix_decisions_model_created_at", "model", "created_at", "id"),
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Instant, index=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id"))
    channel: Mapped[str] = mapped_column(String(8))
    product: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(64))
    probability: Mapped[float]
    threshold: Mapped[float]
    model_decision: Mapped[str] = mapped_column(String(8))  # before policy rules
    decision: Mapped[str] = mapped_column(String(8))
    basis: Mapped[str] = mapped_column(String(16))
    policy: Mapped[str] = mapped_column(String(64))
    corrects: Mapped[int | None] = mapped_column(ForeignKey("decisions.id"))
    amount: Mapped[int] = mapped_column(BigInteger)
    novelty: Mapped[float]  # over 1: unlike nearly all training rows


class IndexedValues(Base):
    """What decisions are ordered by besides their time, copied by the watch; ADR 0025.

    Indexes on the decisions themselves would be paid for by every decision that is made.
    """

    __tablename__ = "indexed_values"
    __table_args__ = tuple(
        Index(f"ix_indexed_values_{value}", text(f"(id / {SEGMENT})"), value, "id")
        for value in ("amount", "probability", "novelty")
    )

    id: Mapped[int] = mapped_column(ForeignKey("decisions.id"), primary_key=True)
    amount: Mapped[int] = mapped_column(BigInteger)
    probability: Mapped[float]
    novelty: Mapped[float]


class DecisionContents(Base):
    """The inputs, reasons and reference of a decision. Personal: never changed, erased as a whole.

    The audit log holds a commitment to them, which proves nothing without the salt.
    """

    __tablename__ = "decision_contents"
    __table_args__ = (
        *_json_kind("inputs", "object"),
        *_json_kind("normalised", "object"),
        *_json_kind("reasons", "array"),
        *_json_kind("causes", "array"),
        CheckConstraint("length(reference) BETWEEN 1 AND 64", name="reference"),
        salt_length(),
        Index(
            "ix_decision_contents_reference",
            "reference",
            "decision_id",
            sqlite_where=HAS_REFERENCE,
            postgresql_where=HAS_REFERENCE,
        ),
    )

    decision_id: Mapped[int] = mapped_column(ForeignKey("decisions.id"), primary_key=True)
    inputs: Mapped[dict[str, Any]] = mapped_column(JSON)
    normalised: Mapped[dict[str, Any]] = mapped_column(JSON)
    # Only if the model refuses, as shown at the time: the share and text of each field, and whether
    # it is a principal reason.
    reasons: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    causes: Mapped[list[dict[str, Any]]] = mapped_column(JSON)  # beside the model
    reference: Mapped[str | None] = mapped_column(Ordered)  # the bank's own; several may share it
    salt: Mapped[bytes] = mapped_column(LargeBinary)


class DecisionCount(Base):
    """The number of decisions of each kind in each hour, kept exact by a trigger.

    The number is the sum over all slots of a kind. On PostgreSQL the slot is the lane that the
    transaction has in the audit log, so that no transaction waits for the count of another.
    """

    __tablename__ = "decision_counts"
    __table_args__ = (
        CheckConstraint(f"score_bin >= 0 AND score_bin < {SCORE_BINS}", name="score_bin"),
    )

    hour: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    channel: Mapped[str] = mapped_column(String(8), primary_key=True)
    decision: Mapped[str] = mapped_column(String(8), primary_key=True)
    model_decision: Mapped[str] = mapped_column(String(8), primary_key=True)
    basis: Mapped[str] = mapped_column(String(16), primary_key=True)
    correction: Mapped[bool] = mapped_column(primary_key=True)  # of an earlier decision
    amount_from: Mapped[int] = mapped_column(BigInteger, primary_key=True)  # start of a band
    score_bin: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    slot: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


class TrialRow(Base):
    """The facts of a trial: the model's result for a decided application with other values."""

    __tablename__ = "trials"
    __table_args__ = (
        CheckConstraint(f"id > 0 AND id < {MAX_ID}", name="id"),
        CheckConstraint(within_moments("created_at"), name="created_at"),
        CheckConstraint("probability BETWEEN 0 AND 1", name="probability"),
        CheckConstraint("model_decision IN ('granted', 'refused')", name="model_decision"),
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    decision_id: Mapped[int] = mapped_column(ForeignKey("decisions.id"), index=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id"))
    probability: Mapped[float]
    model_decision: Mapped[str] = mapped_column(String(8))


class TrialContents(Base):
    """The values of a trial. Personal: never changed, erased as a whole."""

    __tablename__ = "trial_contents"
    __table_args__ = (*_json_kind("inputs", "object"), salt_length())

    trial_id: Mapped[int] = mapped_column(ForeignKey("trials.id"), primary_key=True)
    inputs: Mapped[dict[str, Any]] = mapped_column(JSON)
    salt: Mapped[bytes] = mapped_column(LargeBinary)


class TrialCount(Base):
    """The number of trials of each kind in each hour, kept exact by a trigger."""

    __tablename__ = "trial_counts"

    hour: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    model_decision: Mapped[str] = mapped_column(String(8), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
