"""Estimates the performance of each month's decisions from their probabilities."""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, delete, func, insert, select

from ml.bundle.reader import Bundle
from ml.monitoring.estimated import Decided, Estimated, estimate, figures_of
from ml.monitoring.rows import TrainingRows
from ml.product.application import Application, as_columns
from webapp.decisions.damage import readable
from webapp.decisions.tables import DecisionRow
from webapp.extensions import db
from webapp.monitoring.days import ROWS_PER_FETCH, Model, midnight
from webapp.monitoring.hours import applications_of
from webapp.monitoring.kept import reference_of, training_rows_of
from webapp.monitoring.tables import (
    EstimatedFigure,
    EstimatedMonth,
    ScoreEvidence,
    WatchedHour,
)
from webapp.serving.served import model as kept

# Of a month with more, a random part: that many decisions determine the figures to 0.3 percentage
# points, and that many applications their weights. Our own choice.
MAX_DECISIONS, MAX_APPLICATIONS = 20_000, 3_000

_m, _f = EstimatedMonth, EstimatedFigure


class Month(NamedTuple):
    """A month in which a model made decisions on days that have been compared."""

    model: Model
    first: date
    last: date  # of those days
    decisions: int


class Known(NamedTuple):
    """The rows of the tables `estimated_months` and `estimated_figures` of a month."""

    month: dict[str, Any]
    figures: list[dict[str, Any]]


def changed_months() -> list[Month]:
    """Return the months with other decisions than when they were estimated."""
    e = ScoreEvidence
    months: dict[tuple[Model, date], Month] = {}
    for product, version, day, decisions in db.session.execute(
        select(e.product, e.model, e.day, e.decisions).order_by(e.day)
    ):
        key = Model(product, version), day.replace(day=1)
        before = months[key].decisions if key in months else 0
        months[key] = Month(*key, day, before + decisions)
    rows = db.session.execute(select(_m.product, _m.model, _m.month, _m.decisions))
    known = {(Model(p, v), month): decisions for p, v, month, decisions in rows}
    return [m for key, m in sorted(months.items()) if known.get(key) != m.decisions]


def estimate_month(month: Month) -> Known | None:
    """Estimate the performance of a month's decisions; None if the model is no longer kept."""
    bundle, training = kept.of(month.model.version), training_rows_of(month.model.version)
    if bundle is None or training is None:
        return None
    random = np.random.default_rng(month.first.toordinal())
    decided = _decided(month, bundle, random)
    found = estimate(
        decided,
        training,
        cost_ratio=bundle.manifest.cost_ratio,
        seed=month.first.toordinal(),
    )
    key = {"month": month.first, "product": month.model.product, "model": month.model.version}
    row = {
        **key,
        "decisions": month.decisions,
        "effective": found.effective if found else 0.0,
        "trustworthy": bool(found and found.trustworthy and not _unusual(month)),
    }
    return Known(row, _figures(key, found, training, bundle) if found else [])


def store_month(transaction: Connection, known: Known) -> None:
    """Replace the estimates of a month."""
    row = known.month
    for table in (_m, _f):
        of_month = (table.month == row["month"], table.product == row["product"])
        transaction.execute(delete(table).where(*of_month, table.model == row["model"]))
    transaction.execute(insert(_m), [row])
    if known.figures:
        transaction.execute(insert(_f), known.figures)


def _figures(
    key: dict[str, Any], found: Estimated, training: TrainingRows, bundle: Bundle
) -> list[dict[str, Any]]:
    granted = training.probability >= bundle.threshold
    in_training = figures_of(
        training.probability,
        training.good.astype(float),
        granted=granted,
        cost_ratio=bundle.manifest.cost_ratio,
    )
    return [
        {
            **key,
            "figure": name,
            "plain": getattr(found.plain, name),
            "value": estimated.value,
            "low": estimated.low,
            "high": estimated.high,
            "in_training": getattr(in_training, name),
        }
        for name, estimated in found.estimates.items()
    ]


def _unusual(month: Month) -> bool:
    """Return whether many applications of a month are unlike the training rows."""
    w, reference = WatchedHour, reference_of(month.model.version)
    decisions, unusual = db.session.execute(
        select(func.sum(w.decisions), func.sum(w.unusual)).where(
            w.product == month.model.product,
            w.model == month.model.version,
            *_within(w.hour, month),
        )
    ).one()
    return bool(reference and reference.exceeded(int(unusual or 0), total=int(decisions or 0)))


def _decided(month: Month, bundle: Bundle, random: np.random.Generator) -> Decided:
    """Return the decisions of a month, and the applications of some of them."""
    numbers, probability, granted = _decisions(month)
    if len(numbers) > MAX_DECISIONS:
        some = np.sort(random.choice(len(numbers), MAX_DECISIONS, replace=False))
        numbers, probability, granted = numbers[some], probability[some], granted[some]
    order = random.permutation(len(numbers))[:MAX_APPLICATIONS]
    read = applications_of(month.model.version, numbers[order].tolist())
    places = [place for place in order.tolist() if int(numbers[place]) in read]
    applications: list[Application] = [read[int(numbers[place])] for place in places]
    columns = bundle.scorer.columns
    matrix = columns.matrix(as_columns(applications)) if applications else np.zeros((0, 0))
    return Decided(probability, granted, matrix, probability[places])


def _decisions(month: Month) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the number, the probability and the result of each decision of a month."""
    d = DecisionRow
    query = (
        select(d.id, readable(d.probability), d.model_decision)
        .where(d.product == month.model.product, d.model == month.model.version)
        .where(*_within(d.created_at, month), d.corrects.is_(None))
        .order_by(d.id)
        .execution_options(yield_per=ROWS_PER_FETCH)
    )
    parts: list[np.ndarray] = [np.zeros((0, 3))]
    for block in db.session.execute(query).partitions():
        parts.append(_sound(block))
    numbers, probability, granted = np.concatenate(parts).T
    return numbers.astype(np.int64), probability, granted.astype(bool)


def _sound(block: Sequence[Any]) -> np.ndarray:
    """Return rows as numbers, without those that were changed by hand."""
    rows = [
        (number, probability, decision == "granted")
        for number, probability, decision in block
        if isinstance(probability, float)
    ]
    return np.array(rows, dtype=float).reshape(-1, 3)


def _within(column: Any, month: Month) -> tuple[Any, Any]:  # noqa: ANN401 - a mapped column
    """Return the conditions of moments in a month, up to the last day that was compared."""
    end = date.fromordinal(month.last.toordinal() + 1)
    return column >= midnight(month.first), column < midnight(end)
