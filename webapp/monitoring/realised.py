"""Compares the outcomes of a model's loans with the probabilities that it gave.

Loans that people granted against the model are left out: they are not its loans, and people chose
them by what the model does not know.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, delete, func, insert, select

from ml.monitoring.bins import score_bins
from ml.monitoring.realised import ranking, realised
from ml.monitoring.sequential import CalibrationTest
from webapp.columns import now
from webapp.decisions.damage import readable
from webapp.decisions.tables import DecisionRow
from webapp.extensions import db
from webapp.monitoring.days import MONTHS_IN_PERIOD, ROWS_PER_FETCH, Model, midnight, period_of
from webapp.monitoring.kept import training_rows_of
from webapp.monitoring.tables import CalibrationEvidence, RealisedBand, RealisedMonth
from webapp.outcomes.tables import OutcomeRow, that_counts
from webapp.serving.served import model as kept

_o, _d, _e = OutcomeRow, DecisionRow, CalibrationEvidence


class Changed(NamedTuple):
    """The loans that a model decided in a quarter, some of which have other outcomes than before.

    Outcomes up to `last` are compared, whatever is recorded meanwhile.
    """

    model: Model
    period: date  # its first day
    last: int


class Known(NamedTuple):
    """The rows of a quarter, by the table: months, bands of the score, the test's evidence."""

    changed: Changed
    months: list[dict[str, Any]]
    bands: list[dict[str, Any]]
    evidence: dict[str, Any]


class _Loan(NamedTuple):
    day: date  # of the decision
    probability: float
    good: bool


def changed_periods(*, ripe: date) -> list[Changed]:
    """Return the quarters with outcomes that are not compared, or with loans that became ripe.

    A loan is ripe if it was decided before a day: its outcome should be known by now.
    """
    last = db.session.scalar(select(func.max(_o.id))) or 0
    compared = db.session.scalar(select(func.max(_e.last_outcome))) or 0
    new = days_with_outcomes(after=compared, last=last)
    found = {(model, period_of(day)) for model, day in new}
    ripened = select(_e.product, _e.model, _e.period, _e.ripe).where(_e.ripe < ripe)
    for product, version, period, before in db.session.execute(ripened):
        if before < end_of(period):
            found.add((Model(product, version), period))
    return [Changed(model, period, last) for model, period in sorted(found)]


def days_with_outcomes(
    *, after: int, last: int, before: date | None = None
) -> set[tuple[Model, date]]:
    """Return the days of the decisions that outcomes belong to, those after one up to a last.

    Only days before one, if it is given.
    """
    query = (
        select(_d.product, _d.model, readable(_d.created_at))
        .join(_o, _o.decision_id == _d.id)
        .where(_o.id > after, _o.id <= last)
    )
    if before is not None:
        query = query.where(_d.created_at < midnight(before))
    return {
        (Model(product, version), day_of(moment))
        for product, version, moment in db.session.execute(query)
        if isinstance(moment, datetime)
    }


def compare_period(changed: Changed, *, ripe: date) -> Known:
    """Compute the figures of each month of a quarter, and test the loans that are ripe."""
    loans = _loans(changed)
    test = CalibrationTest()
    known = [loan for loan in loans if loan.day < ripe]
    for _, of_day in groupby(known, key=lambda loan: loan.day):
        test.add(*_arrays(list(of_day)))
    by_month = {
        month: list(some)
        for month, some in groupby(loans, key=lambda loan: loan.day.replace(day=1))
    }
    return Known(
        changed,
        [_month(changed.model, month, some) for month, some in by_month.items()],
        [row for month, some in by_month.items() for row in _bands(changed.model, month, some)],
        {
            "period": changed.period,
            "product": changed.model.product,
            "model": changed.model.version,
            "outcomes": test.seen,
            "ripe": min(ripe, end_of(changed.period)),
            "last_outcome": changed.last,
            "evidence": test.evidence,
            "highest": test.highest,
            **_ranking(changed.model, [x for x in known if x.day < whole_months(changed, ripe)]),
        },
    )


def store_periods(transaction: Connection, known: Sequence[Known]) -> None:
    """Replace the results of quarters."""
    for (model, period, _), months, bands, evidence in known:
        for table, rows in ((RealisedMonth, months), (RealisedBand, bands)):
            of_model = (table.product == model.product, table.model == model.version)
            within = (table.month >= period, table.month < end_of(period))
            transaction.execute(delete(table).where(*of_model, *within))
            if rows:
                transaction.execute(insert(table), rows)
        of_period = (_e.period == period, _e.product == model.product, _e.model == model.version)
        transaction.execute(delete(_e).where(*of_period))
        transaction.execute(insert(_e), [evidence])


def whole_months(changed: Changed, ripe: date) -> date:
    """Return the day before which whole months of a quarter are ripe.

    Loans are ranked only when a month is complete: each look can be a false alarm.
    """
    return ripe if ripe >= end_of(changed.period) else ripe.replace(day=1)


def end_of(period: date) -> date:
    """Return the first day after a quarter."""
    years, month = divmod(period.month - 1 + MONTHS_IN_PERIOD, 12)
    return date(period.year + years, month + 1, 1)


def end_of_month(month: date) -> date:
    """Return the first day after a month."""
    return (month + timedelta(days=31)).replace(day=1)


def ripe_before(days: int) -> date:
    """Return the day before which a decision was made at least a number of days ago."""
    return now().date() - timedelta(days=days)


def _loans(changed: Changed) -> list[_Loan]:
    """Return the loans of a quarter whose outcome is known, in the order of their decisions."""
    model, period = changed.model, changed.period
    query = (
        select(readable(_d.created_at), readable(_d.probability), _o.outcome)
        .join(_o, _o.decision_id == _d.id)
        .where(_d.created_at >= midnight(period), _d.created_at < midnight(end_of(period)))
        .where(_d.product == model.product, _d.model == model.version)
        .where(_d.model_decision == "granted", that_counts(last=changed.last))
        .order_by(_d.created_at, _d.id)
        .execution_options(yield_per=ROWS_PER_FETCH)
    )
    return [
        _Loan(day_of(moment), probability, outcome == "good")
        for moment, probability, outcome in db.session.execute(query)
        # Not a row that was changed by hand, which `audit verify --contents` finds.
        if isinstance(moment, datetime) and isinstance(probability, float)
    ]


def _month(model: Model, month: date, loans: Sequence[_Loan]) -> dict[str, Any]:
    found = realised(*_arrays(loans))
    return {
        "month": month,
        "product": model.product,
        "model": model.version,
        "outcomes": found.outcomes,
        "good": found.good,
        "expected": found.expected,
        "brier": found.brier,
        "roc_auc": found.roc_auc,
        "slope": found.slope,
    }


def _ranking(model: Model, loans: Sequence[_Loan]) -> dict[str, float | None]:
    """Compare how well a model ranks loans with the training rows, if it is still kept."""
    bundle, rows = kept.of(model.version), training_rows_of(model.version)
    found = None
    if loans and bundle and rows:
        found = ranking(*_arrays(loans), reference=rows.granted(bundle.threshold))
    return {
        "roc_auc": found.roc_auc if found else None,
        "roc_auc_in_training": found.in_training if found else None,
        "worse": found.worse if found else None,
    }


def _bands(model: Model, month: date, loans: Sequence[_Loan]) -> Iterator[dict[str, Any]]:
    """Yield a row for each bin of the score that has loans."""
    probability, good = _arrays(loans)
    bins = score_bins(probability)
    for place in np.unique(bins):
        inside = bins == place
        yield {
            "month": month,
            "product": model.product,
            "model": model.version,
            "score_bin": int(place),
            "outcomes": int(inside.sum()),
            "good": int(good[inside].sum()),
            "expected": float(probability[inside].sum()),
        }


def _arrays(loans: Sequence[_Loan]) -> tuple[np.ndarray, np.ndarray]:
    probability = np.array([loan.probability for loan in loans], dtype=float)
    return probability, np.array([loan.good for loan in loans], dtype=bool)


def day_of(moment: datetime) -> date:
    """Return the day of a moment in UTC."""
    return moment.astimezone(UTC).date()
