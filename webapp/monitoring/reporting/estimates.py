"""The part of the report on estimates: what the probabilities promise before outcomes are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from webapp.extensions import db
from webapp.metrics_stored import EstimatedValue
from webapp.monitoring.days import Model
from webapp.monitoring.reporting.verdict import Finding, finding, month_text, percent
from webapp.monitoring.tables import EstimatedFigure, EstimatedMonth

MAX_MONTHS = 24
# People look if the share of bad loans that is expected is certainly more than this multiple of
# that of the training rows. Our own choice.
MUCH_WORSE = 1.25

_m, _f = EstimatedMonth, EstimatedFigure


@dataclass(frozen=True)
class FigureReport:
    """What a figure should be, with its 95 % interval, and what it was in the training data."""

    plain: float
    value: float
    low: float
    high: float
    in_training: float


@dataclass(frozen=True)
class EstimateReport:
    """The estimates of a month; without figures if it has too few granted loans."""

    month: date
    decisions: int
    effective: float
    trustworthy: bool
    figures: dict[str, FigureReport]

    @property
    def much_worse(self) -> bool:
        bad = self.figures.get("bad_share")
        return bool(bad and self.trustworthy and bad.low > MUCH_WORSE * bad.in_training)


@dataclass(frozen=True)
class Estimates:
    """The estimates of each month, the newest first."""

    months: list[EstimateReport]

    @property
    def findings(self) -> list[Finding]:
        """Only of the newest month: older ones have outcomes, or were looked at."""
        newest = self.months[0] if self.months else None
        if newest is None or not newest.much_worse:
            return []
        bad = newest.figures["bad_share"]
        return [
            finding(
                "expected_worse",
                month=month_text(newest.month),
                low=percent(bad.low),
                high=percent(bad.high),
                before=percent(bad.in_training),
            )
        ]


def estimates(model: Model) -> Estimates:
    of_model = (_m.product == model.product, _m.model == model.version)
    months = db.session.execute(
        select(_m.month, _m.decisions, _m.effective, _m.trustworthy)
        .where(*of_model)
        .order_by(_m.month.desc())
        .limit(MAX_MONTHS)
    ).all()
    figures = _figures(model, [row.month for row in months])
    return Estimates([EstimateReport(*row, figures.get(row.month, {})) for row in months])


def newest_estimates(model: Model) -> list[EstimatedValue]:
    """Return what the metrics show: the figures of the newest month, if they can be trusted."""
    found = estimates(model).months[:1]
    return [
        EstimatedValue(name, f.value, f.low, f.high, f.in_training)
        for month in found
        if month.trustworthy
        for name, f in month.figures.items()
    ]


def _figures(model: Model, months: Sequence[date]) -> dict[date, dict[str, FigureReport]]:
    figures: dict[date, dict[str, FigureReport]] = {}
    values = (_f.plain, _f.value, _f.low, _f.high, _f.in_training)
    query = (
        select(_f.month, _f.figure, *values)
        .where(_f.product == model.product, _f.model == model.version, _f.month.in_(months))
        .order_by(_f.month, _f.figure)
    )
    for month, name, *numbers in db.session.execute(query):
        figures.setdefault(month, {})[name] = FigureReport(*numbers)
    return figures
