"""The part of the report on outcomes: what came of the loans that a model granted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select

from ml.monitoring.bins import SCORE_BINS
from ml.monitoring.realised import Realised
from ml.monitoring.sequential import LOG_ALARM
from webapp.decisions.tables import DecisionCount, DecisionRow
from webapp.extensions import db
from webapp.monitoring.days import Model, midnight
from webapp.monitoring.reporting.verdict import Finding, day_text, finding, percent
from webapp.monitoring.tables import CalibrationEvidence, RealisedMonth
from webapp.outcomes.tables import OutcomeCount
from webapp.reviews.counting import net_granted

MAX_MONTHS = 24
AGES = (1, 2, 3, 6, 9, 12, 18, 24)  # months after that of the decision
# Loans are ranked worse than training rows if the areas under the ROC curve differ by so many
# standard errors, which chance alone reaches in about one of 700 looks. A quarter has three looks,
# one when each of its months is ripe. Our own choice.
WORSE = 3.0


@dataclass(frozen=True)
class MonthReport:
    """What has come so far of the loans that were granted in a month.

    `accuracy` and `cost` are those of the decisions whose outcome is known: the share of good
    loans, and the mean cost, where a refused good loan costs 1. `bad_by_age` is the share of all
    these loans that were known to be bad at the end of a month, so many months after that of the
    decision, for the months that have ended.
    """

    month: date
    granted: int
    realised: Realised
    accuracy: float
    cost: float
    bad_by_age: dict[int, float]

    @property
    def open(self) -> int:
        """The number of loans whose outcome is not known yet."""
        return self.granted - self.realised.outcomes


@dataclass(frozen=True)
class Band:
    """The loans with an outcome whose probability lies between two limits."""

    low: float
    high: float
    outcomes: int
    bad: int


@dataclass(frozen=True)
class Calibration:
    """The sequential test of the probabilities, of the loans that were granted in a quarter.

    `worse` is how much worse these loans are ranked than training rows, in standard errors.
    """

    period: date
    outcomes: int
    evidence: float
    highest: float
    roc_auc: float | None
    roc_auc_in_training: float | None
    worse: float | None

    @property
    def alarm(self) -> bool:
        return self.highest >= LOG_ALARM


@dataclass(frozen=True)
class Outcomes:
    """What came of the loans that a model granted."""

    recorded: int  # loans with an outcome, of which the newest may not be compared yet
    months: list[MonthReport]  # with outcomes, the newest first
    bands: list[Band]
    calibration: Calibration | None
    ranking: Calibration | None  # of the quarter whose loans are ranked worst

    @property
    def findings(self) -> list[Finding]:
        found, ranking = [], self.ranking
        if ranking and ranking.worse and ranking.worse >= WORSE:
            found.append(
                finding(
                    "ranks_worse",
                    day=day_text(ranking.period),
                    now=percent(ranking.roc_auc or 0.0),
                    before=percent(ranking.roc_auc_in_training or 0.0),
                )
            )
        if self.calibration and self.calibration.alarm:
            found.append(finding("miscalibrated"))
        return found


def outcomes(model: Model, *, cost_ratio: float, today: date) -> Outcomes:
    bands = _bands(model)
    quarters = _quarters(model)
    return Outcomes(
        sum(band.outcomes for band in bands),
        _months(model, cost_ratio, today),
        bands,
        _calibration(quarters),
        _ranking(quarters),
    )


def calibration_of(model: Model) -> Calibration | None:
    """Return the last quarter with tested loans, or the one before if only that has an alarm."""
    return _calibration(_quarters(model))


def worse_ranking(model: Model) -> float | None:
    """Return how much worse loans are ranked than training rows, in standard errors."""
    ranking = _ranking(_quarters(model))
    return ranking.worse if ranking else None


def _calibration(quarters: Sequence[Calibration]) -> Calibration | None:
    return next((c for c in quarters if c.alarm), quarters[0] if quarters else None)


def _ranking(quarters: Sequence[Calibration]) -> Calibration | None:
    return max((c for c in quarters if c.worse is not None), key=_worse, default=None)


def _worse(quarter: Calibration) -> float:
    return quarter.worse or 0.0


def _quarters(model: Model) -> list[Calibration]:
    """Return the last two quarters with tested loans, the newest first."""
    e = CalibrationEvidence
    query = (
        select(
            *(e.period, e.outcomes, e.evidence, e.highest),
            *(e.roc_auc, e.roc_auc_in_training, e.worse),
        )
        .where(e.product == model.product, e.model == model.version, e.outcomes > 0)
        .order_by(e.period.desc())
        .limit(2)
    )
    return [Calibration(*row) for row in db.session.execute(query)]


def _months(model: Model, cost_ratio: float, today: date) -> list[MonthReport]:
    m = RealisedMonth
    figures = (m.outcomes, m.good, m.expected, m.brier, m.roc_auc, m.slope)
    rows = db.session.execute(
        select(m.month, *figures)
        .where(m.product == model.product, m.model == model.version)
        .order_by(m.month.desc())
        .limit(MAX_MONTHS)
    ).all()
    if not rows:
        return []
    granted, bad = _granted(model, rows[-1].month), _bad(model, rows[-1].month)
    return [
        MonthReport(
            row.month,
            granted[row.month],
            Realised(*row[1:]),
            row.good / row.outcomes,
            cost_ratio * (1 - row.good / row.outcomes),
            _by_age(row.month, granted[row.month], bad.get(row.month, {}), today),
        )
        for row in rows
    ]


def _granted(model: Model, first: date) -> Counter[date]:
    """Return the number of loans of each month that were granted, but not against the model."""
    c = DecisionCount  # not what is counted when the hour has ended: outcomes can be earlier
    granted: Counter[date] = Counter()
    hours = (
        select(c.hour, func.sum(c.count))
        .where(c.product == model.product, c.model == model.version, c.decision == "granted")
        .where(c.hour >= midnight(first))
        .group_by(c.hour)
    )
    for hour, count in db.session.execute(hours):
        granted[hour.date().replace(day=1)] += int(count)
    d = DecisionRow
    own = (d.product == model.product, d.model == model.version, d.model_decision == "granted")
    for moment, number in net_granted(*own, d.created_at >= midnight(first)):
        granted[moment.date().replace(day=1)] += number
    return granted


def _bad(model: Model, first: date) -> dict[date, dict[int, int]]:
    """Return the bad loans of each month by the number of months until they were known."""
    c = OutcomeCount
    bad: dict[date, dict[int, int]] = {}
    query = (
        select(c.decided_month, c.known_month, func.sum(c.count))
        .where(c.product == model.product, c.model == model.version, c.outcome == "bad")
        .where(c.decided_month >= first, c.model_decision == "granted")
        .group_by(c.decided_month, c.known_month)
    )
    for decided, known, count in db.session.execute(query):
        bad.setdefault(decided, {})[_months_between(decided, known)] = int(count)
    return bad


def _by_age(month: date, granted: int, bad: dict[int, int], today: date) -> dict[int, float]:
    """Return the share of bad loans at each age that the loans of a month have reached."""
    ended = _months_between(month, today)
    return {
        age: sum(count for after, count in bad.items() if after <= age) / granted
        for age in AGES
        if age < ended and granted
    }


def _months_between(first: date, last: date) -> int:
    return (last.year - first.year) * 12 + last.month - first.month


def _bands(model: Model) -> list[Band]:
    c = OutcomeCount
    query = (
        select(c.score_bin, c.outcome, func.sum(c.count))
        .where(c.product == model.product, c.model == model.version)
        .where(c.model_decision == "granted")
        .group_by(c.score_bin, c.outcome)
    )
    counts: dict[int, Counter[str]] = {}
    for place, outcome, count in db.session.execute(query):
        counts.setdefault(place, Counter())[outcome] += int(count)
    return [
        Band(place / SCORE_BINS, (place + 1) / SCORE_BINS, found.total(), found["bad"])
        for place, found in sorted(counts.items())
        if found.total()
    ]
