"""Compares the outcomes of a model's loans with the probabilities that it gave."""

from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Select, delete, exists, func, insert, select
from sqlalchemy.orm import aliased

from ml.monitoring.realised import realised
from ml.monitoring.sequential import CalibrationTest
from webapp.decisions.tables import DecisionRow
from webapp.extensions import db
from webapp.monitoring.days import MONTHS_IN_PERIOD, Model, midnight, period_of
from webapp.monitoring.tables import CalibrationEvidence, RealisedMonth
from webapp.outcomes.tables import OutcomeRow

_o, _d = OutcomeRow, DecisionRow


class Known(NamedTuple):
    """The rows of the tables `realised_months` and `calibration_evidence` that are new."""

    model: Model
    months: list[dict[str, Any]]
    evidence: list[dict[str, Any]]


def new_outcomes() -> dict[Model, int]:
    """Return each model with outcomes that are not compared yet, and the last one that is."""
    e = CalibrationEvidence
    of_model = (_d.product, _d.model)
    newest = (
        select(*of_model, func.max(_o.id)).join(_d, _d.id == _o.decision_id).group_by(*of_model)
    )
    compared = select(e.product, e.model, func.max(e.last_outcome)).group_by(e.product, e.model)
    known = {(p, v): last for p, v, last in db.session.execute(compared)}
    return {
        Model(product, version): known.get((product, version), 0)
        for product, version, last in db.session.execute(newest)
        if last > known.get((product, version), 0)
    }


def compare_outcomes(model: Model, *, after: int) -> Known:
    """Compare the months and the periods that outcomes after one have changed."""
    changed = db.session.execute(_of(model, select(_d.created_at)).where(_o.id > after)).scalars()
    months = sorted({first_of_month(moment) for moment in changed})
    # A correction can take an outcome from another period.
    decisions = select(_o.decision_id).where(_o.id > after)
    days = db.session.scalars(_of(model, select(_o.known_on)).where(_o.decision_id.in_(decisions)))
    periods = sorted({period_of(day) for day in days})
    newest = db.session.scalar(_of(model, select(func.max(_o.id))))
    return Known(
        model,
        [row for month in months if (row := _month(model, month))],
        [_period(model, period, last=newest or 0) for period in periods],
    )


def store_outcomes(transaction: Connection, known: Known) -> None:
    """Replace the results of months and periods."""
    product, version = known.model
    m, e = RealisedMonth, CalibrationEvidence
    for row in known.months:
        of_month = (m.month == row["month"], m.product == product, m.model == version)
        transaction.execute(delete(m).where(*of_month))
    for row in known.evidence:
        of_period = (e.period == row["period"], e.product == product, e.model == version)
        transaction.execute(delete(e).where(*of_period))
    if known.months:
        transaction.execute(insert(m), known.months)
    transaction.execute(insert(e), known.evidence)


def _month(model: Model, month: date) -> dict[str, Any] | None:
    """Return the figures of the loans that were granted in a month."""
    within = (_d.created_at >= midnight(month), _d.created_at < midnight(_months_later(month, 1)))
    rows = db.session.execute(_that_count(model).where(*within)).all()
    if not rows:
        return None
    found = realised(*_arrays(rows))
    return {
        "month": month,
        "product": model.product,
        "model": model.version,
        "outcomes": found.outcomes,
        "good": found.good,
        "expected": found.expected,
        "brier": found.brier,
        "roc_auc": found.roc_auc,
    }


def _period(model: Model, period: date, *, last: int) -> dict[str, Any]:
    """Test the outcomes that became known in a period, in the order of their days."""
    end = _months_later(period, MONTHS_IN_PERIOD)
    within = (_o.known_on >= period, _o.known_on < end)
    rows = db.session.execute(_that_count(model).where(*within).order_by(_o.known_on, _o.id)).all()
    test = CalibrationTest()
    for _, of_day in groupby(rows, key=lambda row: row.known_on):
        test.add(*_arrays(list(of_day)))
    return {
        "period": period,
        "product": model.product,
        "model": model.version,
        "outcomes": test.seen,
        "last_outcome": last,
        "evidence": test.evidence,
        "highest": test.highest,
    }


def _that_count(model: Model) -> Select[Any]:
    """Return a query for the last outcome of each loan."""
    later = aliased(OutcomeRow)
    corrected = exists().where(later.decision_id == _o.decision_id, later.number > _o.number)
    return _of(model, select(_d.probability, _o.outcome, _o.known_on)).where(~corrected)


def _of(model: Model, query: Any) -> Select[Any]:  # noqa: ANN401 - of any columns
    selected: Select[Any] = (
        query.select_from(_o)
        .join(_d, _d.id == _o.decision_id)
        .where(_d.product == model.product, _d.model == model.version)
    )
    return selected


def _arrays(rows: Any) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN401 - rows of `_that_count`
    probability = np.array([row.probability for row in rows], dtype=float)
    return probability, np.array([row.outcome == "good" for row in rows], dtype=bool)


def first_of_month(moment: datetime) -> date:
    return moment.astimezone(UTC).date().replace(day=1)


def _months_later(month: date, count: int) -> date:
    years, index = divmod(month.month - 1 + count, 12)
    return date(month.year + years, index + 1, 1)
