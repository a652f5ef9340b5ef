"""The part of the report on the reasons of refusals and on trials, of two periods."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import InstrumentedAttribute

from ml.product.definition import Product
from ml.product.texts import Text
from webapp.columns import decision_value
from webapp.decisions.tables import TrialCount
from webapp.extensions import db
from webapp.monitoring.days import Model, midnight
from webapp.monitoring.tables import DecisionHour

MAX_REASONS = 6  # in the report
ALL = ""  # refusals, whatever their reasons
Within = Callable[[InstrumentedAttribute[datetime]], ColumnElement[bool]]


@dataclass(frozen=True)
class ReasonReport:
    """How many refusals name a principal reason, in the days of the report and those before."""

    name: str
    label: Text
    refusals: int
    refusals_before: int


@dataclass(frozen=True)
class Reasons:
    """The most frequent principal reasons of a model's refusals, and trials.

    Refusals are counted when their hour has ended, trials at once.
    """

    refusals: int
    refusals_before: int
    reasons: list[ReasonReport]
    trials: int
    trials_granted: int
    trials_before: int
    trials_before_granted: int


def reasons(product: Product, model: Model, *, first: date, before: date) -> Reasons:
    """Return the reasons and trials from a first day on, and from a day before it up to it."""
    periods = _between(first, None), _between(before, first)
    now, past = (_refusals(model, within) for within in periods)
    labels = {f.name: f.label for f in product.inputs} | {r.name: r.label for r in product.ratios}
    names = sorted(labels.keys() & {*now, *past}, key=lambda n: (-now[n], -past[n], n))
    trials, trials_before = (_trials(model, within) for within in periods)
    return Reasons(
        refusals=now[ALL],
        refusals_before=past[ALL],
        reasons=[
            ReasonReport(name, labels[name], now[name], past[name]) for name in names[:MAX_REASONS]
        ],
        trials=trials.total(),
        trials_granted=trials["granted"],
        trials_before=trials_before.total(),
        trials_before_granted=trials_before["granted"],
    )


def _between(first: date, end: date | None) -> Within:
    """Return the condition of the hours from a day on, up to another day if one is given."""
    if end is None:
        return lambda hour: hour >= midnight(first)
    return lambda hour: and_(hour >= midnight(first), hour < midnight(end))


def _refusals(model: Model, within: Within) -> Counter[str]:
    """Count the model's refusals that name each field as a principal reason; all under ""."""
    h = DecisionHour
    of_model = (h.product == model.product, h.model == model.version)
    query = (
        select(h.dimension, h.value, func.sum(h.count))
        .where(*of_model, h.decision == decision_value(False), within(h.hour))
        .where((h.dimension == "reason") | ((h.dimension == "basis") & (h.value == "model")))
        .group_by(h.dimension, h.value)
    )
    counts: Counter[str] = Counter()
    for dimension, value, count in db.session.execute(query):
        counts[value if dimension == "reason" else ALL] += int(count)
    return counts


def _trials(model: Model, within: Within) -> Counter[str]:
    t = TrialCount
    query = (
        select(t.model_decision, func.sum(t.count))
        .where(t.product == model.product, t.model == model.version, within(t.hour))
        .group_by(t.model_decision)
    )
    return Counter({decision: int(count) for decision, count in db.session.execute(query)})
