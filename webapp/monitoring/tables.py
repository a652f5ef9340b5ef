"""The results of the watch: what it has counted by hour, and compared by day."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Date, Index, Integer, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.columns import Instant
from webapp.extensions import Base

MISCOUNTED = text("found <> decisions")


class WatchedHour(Base):
    """An hour of a model's decisions that the watch has counted."""

    __tablename__ = "watched_hours"
    __table_args__ = (
        Index(
            "ix_watched_hours_miscounted",
            "hour",
            sqlite_where=MISCOUNTED,
            postgresql_where=MISCOUNTED,
        ),
    )

    hour: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    decisions: Mapped[int] = mapped_column(BigInteger)  # as the database counts them
    found: Mapped[int] = mapped_column(BigInteger)  # in the table of decisions
    rows: Mapped[int] = mapped_column(BigInteger)  # whose contents could be read
    unusual: Mapped[int] = mapped_column(BigInteger)  # decisions with a novelty over 1


class DecisionHour(Base):
    """The number of decisions in an hour by one dimension, such as the channel.

    `decision_counts` has a row for each combination of several, which are many more. On PostgreSQL,
    each dimension is a partition, because a panel reads all hours of one.
    """

    __tablename__ = "decision_hours"
    __table_args__ = {"postgresql_partition_by": "LIST (dimension)"}  # noqa: RUF012

    hour: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    dimension: Mapped[str] = mapped_column(String(8), primary_key=True)
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(64), primary_key=True)
    decision: Mapped[str] = mapped_column(String(8), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


class TrainingScore(Base):
    """The number of training rows of a model by the bin of their score, from its bundle."""

    __tablename__ = "training_scores"

    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    score_bin: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(BigInteger)


class FieldCount(Base):
    """The number of applications in an hour by the bin of one field."""

    __tablename__ = "field_counts"

    hour: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    field: Mapped[str] = mapped_column(String(64), primary_key=True)
    bin: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(BigInteger)


class FieldStability(Base):
    """The population stability of one field, or of the score, over the days up to one."""

    __tablename__ = "field_stability"

    day: Mapped[date] = mapped_column(Date, primary_key=True)  # the last one, in UTC
    days: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    field: Mapped[str] = mapped_column(String(64), primary_key=True)  # empty for the score
    rows: Mapped[int] = mapped_column(BigInteger)
    missing: Mapped[int] = mapped_column(BigInteger)
    unusual: Mapped[int] = mapped_column(BigInteger)  # unlike every training row
    stability: Mapped[float]
    bound: Mapped[float]  # of what chance explains


class ScoreEvidence(Base):
    """The sequential test of a model's scores at the end of a day."""

    __tablename__ = "score_evidence"

    day: Mapped[date] = mapped_column(Date, primary_key=True)  # in UTC
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    decisions: Mapped[int] = mapped_column(BigInteger)  # of this day
    evidence: Mapped[float]  # for a change since the period began, as a natural logarithm
    highest: Mapped[float]
    state: Mapped[dict[str, Any]] = mapped_column(JSON)  # from which the next day goes on


class RealisedMonth(Base):
    """What has come so far of the loans that a model granted in a month."""

    __tablename__ = "realised_months"

    month: Mapped[date] = mapped_column(Date, primary_key=True)  # its first day, in UTC
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    outcomes: Mapped[int] = mapped_column(BigInteger)
    good: Mapped[int] = mapped_column(BigInteger)
    expected: Mapped[float]  # good ones, by their probabilities
    brier: Mapped[float]
    roc_auc: Mapped[float | None]
    slope: Mapped[float | None]  # of the log-odds; 1 if calibrated


class RealisedBand(Base):
    """What has come so far of the loans of a month, by the bin of their score."""

    __tablename__ = "realised_bands"

    month: Mapped[date] = mapped_column(Date, primary_key=True)
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    score_bin: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    outcomes: Mapped[int] = mapped_column(BigInteger)
    good: Mapped[int] = mapped_column(BigInteger)
    expected: Mapped[float]  # good ones, by their probabilities


class CalibrationEvidence(Base):
    """The sequential test of a model's probabilities, of the loans that it granted in a quarter."""

    __tablename__ = "calibration_evidence"

    period: Mapped[date] = mapped_column(Date, primary_key=True)  # its first day
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    outcomes: Mapped[int] = mapped_column(BigInteger)  # that were tested
    ripe: Mapped[date] = mapped_column(Date)  # loans that were decided before it were tested
    last_outcome: Mapped[int] = mapped_column(BigInteger)  # up to which all were compared
    evidence: Mapped[float]
    highest: Mapped[float]
    roc_auc: Mapped[float | None]
    roc_auc_in_training: Mapped[float | None]  # of rows that would have been granted
    worse: Mapped[float | None]  # the difference, in standard errors


class EstimatedMonth(Base):
    """The decisions of a model in a month, up to the last day that has ended."""

    __tablename__ = "estimated_months"

    month: Mapped[date] = mapped_column(Date, primary_key=True)  # its first day, in UTC
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    decisions: Mapped[int] = mapped_column(BigInteger)
    effective: Mapped[float]  # number of training rows that resemble them; 0 without an estimate
    trustworthy: Mapped[bool]


class EstimatedFigure(Base):
    """What a figure of a month's decisions should be, from their probabilities."""

    __tablename__ = "estimated_figures"

    month: Mapped[date] = mapped_column(Date, primary_key=True)
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    figure: Mapped[str] = mapped_column(String(16), primary_key=True)
    plain: Mapped[float]  # from the probabilities as they are
    value: Mapped[float]  # after calibrating them for these applications
    low: Mapped[float]
    high: Mapped[float]
    in_training: Mapped[float]  # of the training rows


class StoreCheck(Base):
    """What the watch has found in its last check of the whole store: a single row."""

    __tablename__ = "store_checks"

    verified_at: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    entries: Mapped[int] = mapped_column(BigInteger)
    bad_lanes: Mapped[int] = mapped_column(Integer)
    first_bad: Mapped[str | None] = mapped_column(String(200))  # which entry, and what is wrong
    uncounted: Mapped[int] = mapped_column(BigInteger)  # decisions; below 0: counted and missing
