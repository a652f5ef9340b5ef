"""The report of the watch: what is known of the model in service, and what to do."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from sqlalchemy import func, select

from ml.evaluation.intervals import wilson
from ml.monitoring.bins import FieldBins, Reference
from ml.monitoring.realised import Realised
from ml.monitoring.sequential import LOG_ALARM
from ml.monitoring.stability import Stability
from ml.product.definition import Product
from ml.product.texts import Text
from webapp.columns import now
from webapp.decisions.tables import DecisionCount
from webapp.extensions import db
from webapp.metrics_stored import LastDay, MovedField
from webapp.monitoring.days import SCORE, SPANS, midnight, period_of
from webapp.monitoring.hours import reference_of
from webapp.monitoring.tables import (
    CalibrationEvidence,
    FieldCount,
    FieldStability,
    RealisedMonth,
    ScoreEvidence,
    WatchedHour,
)
from webapp.serving.served import model

DAY, WEEK = SPANS
# People look if the share of unusual applications is certainly more than this multiple of that of
# the training rows. Our own choice.
MANY_UNUSUAL = 2
MAX_MONTHS = 24
Finding = Literal["miscalibrated", "score_changed", "score_moved", "fields_moved", "unusual"]


@dataclass(frozen=True)
class FieldReport:
    """A field, or the score: its values in the days of the report, and how far it has moved."""

    name: str
    label: Text
    rows: int
    missing: float | None  # share of the rows
    missing_in_training: float
    unusual: float | None
    day: Stability | None
    week: Stability | None


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
class Report:
    """What is known of the model in service.

    `last` is the last day that was compared, in UTC. `evidence` and `highest` are those of the
    sequential test of the score, as natural logarithms, `highest` in this quarter and the one
    before; `alarm` is the day of its first alarm in that time.
    """

    product: Product
    model: str
    first: date
    last: date | None
    decisions: int
    granted: int
    watched: int
    unusual: int
    unusual_in_training: float  # share of the rows
    score: FieldReport
    fields: list[FieldReport]
    evidence: float | None
    highest: float | None
    alarm: date | None
    months: list[MonthReport]  # with outcomes, the newest first
    calibration: Calibration | None

    @property
    def moved(self) -> list[FieldReport]:
        """The fields whose values of the last week differ much from the training data."""
        return [f for f in self.fields if f.week and f.week.size == "large"]

    @property
    def findings(self) -> list[Finding]:
        """What people should look at; empty if there is nothing to do."""
        found: list[Finding] = []
        if self.calibration and self.calibration.alarm:
            found.append("miscalibrated")
        if self.alarm:
            found.append("score_changed")
        if self.score.week and self.score.week.size == "large":
            found.append("score_moved")
        if self.moved:
            found.append("fields_moved")
        many = MANY_UNUSUAL * self.unusual_in_training
        if self.watched and wilson(self.unusual, total=self.watched)[0] > many:
            found.append("unusual")
        return found


def report(*, days: int) -> Report | None:
    """Return the report of a number of days up to today; None for a bundle without a reference."""
    bundle = model.bundle
    reference = reference_of(bundle.version)
    if reference is None:
        return None
    product, version = bundle.product, bundle.version
    first = now().date() - timedelta(days=days - 1)
    c, w = DecisionCount, WatchedHour
    of_model = (c.product == product.name, c.model == version, c.hour >= midnight(first))
    by_decision = select(c.decision, func.sum(c.count)).where(*of_model).group_by(c.decision)
    totals = {decision: int(count) for decision, count in db.session.execute(by_decision)}
    watched, unusual = db.session.execute(
        select(func.sum(w.decisions), func.sum(w.unusual)).where(
            w.product == product.name, w.model == version, w.hour >= midnight(first)
        )
    ).one()
    tests = _score_tests(product, version)
    last = tests[-1] if tests else None
    stabilities = _stabilities(product, version, last.day) if last else {}
    counts = _counts(product, version, reference, first)
    score = Text(en="Score", fr="Score")
    return Report(
        product=product,
        model=version,
        first=first,
        last=last.day if last else None,
        decisions=sum(totals.values()),
        granted=totals.get("granted", 0),
        watched=int(watched or 0),
        unusual=int(unusual or 0),
        unusual_in_training=reference.unusual,
        score=FieldReport(
            SCORE,
            score,
            sum(totals.values()),
            None,
            0.0,
            None,
            stabilities.get((SCORE, DAY)),
            stabilities.get((SCORE, WEEK)),
        ),
        fields=[
            _field(f.name, f.label, reference.fields[f.name], counts[f.name], stabilities)
            for f in product.inputs
        ],
        evidence=last.evidence if last else None,
        highest=max((t.highest for t in tests), default=None),
        alarm=next((t.day for t in tests if t.highest >= LOG_ALARM), None),
        months=_months(product, version),
        calibration=_calibration(product, version),
    )


def _score_tests(product: Product, version: str) -> Sequence[Any]:
    """Return the days of the last quarter that was compared and of the one before."""
    e = ScoreEvidence
    of_model = (e.product == product.name, e.model == version)
    last = db.session.scalar(select(func.max(e.day)).where(*of_model))
    if last is None:
        return []
    since = period_of(period_of(last) - timedelta(days=1))
    query = select(e.day, e.evidence, e.highest).where(*of_model, e.day >= since)
    return db.session.execute(query.order_by(e.day)).all()


def _months(product: Product, version: str) -> list[MonthReport]:
    c, m = DecisionCount, RealisedMonth
    figures = (m.outcomes, m.good, m.expected, m.brier, m.roc_auc)
    rows = db.session.execute(
        select(m.month, *figures)
        .where(m.product == product.name, m.model == version)
        .order_by(m.month.desc())
        .limit(MAX_MONTHS)
    ).all()
    if not rows:
        return []
    granted: Counter[date] = Counter()
    hours = (
        select(c.hour, func.sum(c.count))
        .where(c.product == product.name, c.model == version, c.decision == "granted")
        .where(c.hour >= midnight(rows[-1].month))
        .group_by(c.hour)
    )
    for hour, count in db.session.execute(hours):
        granted[hour.date().replace(day=1)] += int(count)
    return [MonthReport(row.month, granted[row.month], Realised(*row[1:])) for row in rows]


def _calibration(product: Product, version: str) -> Calibration | None:
    """Return the last quarter with tested loans, or the one before if only that has an alarm."""
    e = CalibrationEvidence
    query = (
        select(e.period, e.outcomes, e.evidence, e.highest)
        .where(e.product == product.name, e.model == version, e.outcomes > 0)
        .order_by(e.period.desc())
        .limit(2)
    )
    last = [Calibration(*row) for row in db.session.execute(query)]
    return next((c for c in last if c.alarm), last[0] if last else None)


def last_day() -> LastDay | None:
    """Return the last day of the model in service that was compared; None if there is none."""
    product, version = model.bundle.product, model.bundle.version
    tests = _score_tests(product, version)
    if not tests:
        return None
    last = tests[-1].day
    stabilities = _stabilities(product, version, last)
    fields = [MovedField(*key, s.index, s.bound) for key, s in stabilities.items()]
    until = midnight(last + timedelta(days=1)).timestamp()
    calibration = _calibration(product, version)
    against = calibration.highest if calibration else None
    highest = max(test.highest for test in tests)
    return LastDay(product.name, version, until, highest, fields, against)


def _field(
    name: str,
    label: Text,
    bins: FieldBins,
    counts: list[int],
    stabilities: dict[tuple[str, int], Stability],
) -> FieldReport:
    rows = sum(counts)
    return FieldReport(
        name,
        label,
        rows,
        counts[bins.missing] / rows if rows else None,
        bins.counts[bins.missing] / sum(bins.counts),
        sum(counts[i] for i in bins.unusual) / rows if rows else None,
        stabilities.get((name, DAY)),
        stabilities.get((name, WEEK)),
    )


def _stabilities(product: Product, version: str, day: date) -> dict[tuple[str, int], Stability]:
    s = FieldStability
    rows = db.session.execute(
        select(s.field, s.days, s.stability, s.bound, s.rows).where(
            s.product == product.name, s.model == version, s.day == day
        )
    )
    return {(row.field, row.days): Stability(*row[2:]) for row in rows}


def _counts(
    product: Product, version: str, reference: Reference, first: date
) -> dict[str, list[int]]:
    f = FieldCount
    counts = {name: [0] * len(bins.counts) for name, bins in reference.fields.items()}
    rows = db.session.execute(
        select(f.field, f.bin, func.sum(f.count))
        .where(f.product == product.name, f.model == version, f.hour >= midnight(first))
        .group_by(f.field, f.bin)
    )
    for name, place, count in rows:
        counts[name][place] = int(count)
    return counts
