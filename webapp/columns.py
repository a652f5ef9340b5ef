"""Column types, and values of columns, that several tables share."""

from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, TypeDecorator

MAX_ID = 2**63 - 1
# SQLite generates ids only for a column that is declared INTEGER.
Identifier = BigInteger().with_variant(Integer, "sqlite")

# Bounds of stored moments, which can be shown in every time zone, and of measures.
FIRST_MOMENT = datetime(2, 1, 1, tzinfo=UTC)
LAST_MOMENT = datetime(9999, 1, 1, tzinfo=UTC)
MAX_MEASURE = 1e12

# Values in columns, metric labels and JSON.
ModelDecision = Literal["granted", "refused"]
DecisionValue = Literal["granted", "refused", "referred"]
# On what a decision is based; of a referral, its main cause.
Basis = Literal["model", "policy", "tries", "unusual", "near_threshold", "switch"]


class Instant(TypeDecorator[datetime]):
    """A moment in UTC, also on SQLite, which stores no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ANN401
        if value is None:
            return None
        moment: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC)


def within_moments(column: str) -> str:
    """Return the SQL of a CHECK constraint on a column of moments."""
    return f"{column} > '{FIRST_MOMENT.date()}' AND {column} < '{LAST_MOMENT.date()}'"


def now() -> datetime:
    return datetime.now(UTC)


def decision_value(granted: bool) -> ModelDecision:
    return "granted" if granted else "refused"
