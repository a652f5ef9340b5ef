"""The part of the report on outcomes: what came of the loans that a model granted."""

from collections import Counter
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select

from ml.monitoring.realised import Realised
from ml.monitoring.sequential import LOG_ALARM
from webapp.decisions.tables import DecisionCount
from webapp.extensions import db
from webapp.monitoring.days import Model, midnight
from webapp.monitoring.tables import CalibrationEvidence, RealisedMonth
from webapp.monitoring.verdict import Finding, finding
from webapp.outcomes.tables import OutcomeCount

MAX_MONTHS = 24


@dataclass(frozen=True)
class MonthReport:
    """What has come so far of the loans that were granted in a month."""

    month: date
    granted: int
    realised: Realised

    @property
    def open(self) -> int:
        """The number of loans whose outcome is not known yet."""
        return self.granted - self.realised.outcomes


@dataclass(frozen=True)
class Calibration:
    """The sequential test of the probabilities, of the loans that were granted in a quarter."""

    period: date
    outcomes: int
    evidence: float
    highest: float

    @property
    def alarm(self) -> bool:
        return self.highest >= LOG_ALARM


@dataclass(frozen=True)
class Outcomes:
    """What came of the loans that a model granted."""

    recorded: int  # loans with an outcome, of which the newest may not be compared yet
    months: list[MonthReport]  # with outcomes, the newest first
    calibration: Calibration | None

    @property
    def findings(self) -> list[Finding]:
        if self.calibration and self.calibration.alarm:
            return [finding("miscalibrated")]
        return []


def outcomes(model: Model) -> Outcomes:
    c = OutcomeCount
    known = select(func.sum(c.count)).where(c.product == model.product, c.model == model.version)
    recorded = int(db.session.scalar(known) or 0)
    return Outcomes(recorded, _months(model), calibration_of(model))


def _months(model: Model) -> list[MonthReport]:
    c, m = DecisionCount, RealisedMonth
    figures = (m.outcomes, m.good, m.expected, m.brier, m.roc_auc)
    rows = db.session.execute(
        select(m.month, *figures)
        .where(m.product == model.product, m.model == model.version)
        .order_by(m.month.desc())
        .limit(MAX_MONTHS)
    ).all()
    if not rows:
        return []
    granted: Counter[date] = Counter()
    hours = (
        select(c.hour, func.sum(c.count))
        .where(c.product == model.product, c.model == model.version, c.decision == "granted")
        .where(c.hour >= midnight(rows[-1].month))
        .group_by(c.hour)
    )
    for hour, count in db.session.execute(hours):
        granted[hour.date().replace(day=1)] += int(count)
    return [MonthReport(row.month, granted[row.month], Realised(*row[1:])) for row in rows]


def calibration_of(model: Model) -> Calibration | None:
    """Return the last quarter with tested loans, or the one before if only that has an alarm."""
    e = CalibrationEvidence
    query = (
        select(e.period, e.outcomes, e.evidence, e.highest)
        .where(e.product == model.product, e.model == model.version, e.outcomes > 0)
        .order_by(e.period.desc())
        .limit(2)
    )
    last = [Calibration(*row) for row in db.session.execute(query)]
    return next((c for c in last if c.alarm), last[0] if last else None)
