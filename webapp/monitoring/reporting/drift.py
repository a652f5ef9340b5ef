"""The part of the report on applications: how far they have moved from the training data."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select

from ml.monitoring.bins import FieldBins, Reference
from ml.monitoring.sequential import LOG_ALARM
from ml.monitoring.stability import Stability
from ml.product.definition import Product
from ml.product.texts import Text
from webapp.extensions import db
from webapp.metrics_stored import LastDay, MovedField
from webapp.monitoring.days import SCORE, SPANS, Model, midnight, period_of
from webapp.monitoring.reporting.verdict import Finding, day_text, finding, listed, percent
from webapp.monitoring.tables import FieldCount, FieldStability, ScoreEvidence, WatchedHour

DAY, WEEK = SPANS


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
class Drift:
    """How far the applications of a model have moved from its training rows.

    `last` is the last day that was compared, in UTC. `evidence` and `highest` are those of the
    sequential test of the score, as natural logarithms, `highest` in this quarter and the one
    before; `alarm` is the day of its first alarm in that time.
    """

    last: date | None
    watched: int
    unusual: int
    unusual_in_training: float  # share of the rows
    many_unusual: bool  # certainly more than that
    score: FieldReport
    fields: list[FieldReport]
    evidence: float | None
    highest: float | None
    alarm: date | None

    @property
    def moved(self) -> list[FieldReport]:
        """The fields whose values of the last week differ much from the training data."""
        return [f for f in self.fields if f.week and f.week.size == "large"]

    @property
    def findings(self) -> list[Finding]:
        found = []
        if self.alarm:
            found.append(finding("score_changed", day=day_text(self.alarm)))
        if self.score.week and self.score.week.size == "large":
            found.append(finding("score_moved"))
        if self.moved:
            found.append(finding("fields_moved", fields=listed([f.label for f in self.moved])))
        if self.many_unusual:
            found.append(finding("unusual", share=percent(self.unusual / self.watched)))
        return found


def drift(product: Product, model: Model, reference: Reference, *, first: date) -> Drift:
    """Return the drift of a model, with the counts of the days from the first one on."""
    w = WatchedHour
    watched, unusual = db.session.execute(
        select(func.sum(w.decisions), func.sum(w.unusual)).where(
            w.product == model.product, w.model == model.version, w.hour >= midnight(first)
        )
    ).one()
    tests = _score_tests(model)
    last = tests[-1] if tests else None
    stabilities = _stabilities(model, last.day) if last else {}
    counts = _counts(model, reference, first)
    scored = [stabilities.get((SCORE, span)) for span in SPANS]
    return Drift(
        last=last.day if last else None,
        watched=int(watched or 0),
        unusual=int(unusual or 0),
        unusual_in_training=reference.unusual,
        many_unusual=reference.exceeded(int(unusual or 0), total=int(watched or 0)),
        score=FieldReport(
            SCORE, Text(en="Score", fr="Score"), int(watched or 0), None, 0.0, None, *scored
        ),
        fields=[
            _field(f.name, f.label, reference.fields[f.name], counts[f.name], stabilities)
            for f in product.inputs
        ],
        evidence=last.evidence if last else None,
        highest=max((t.highest for t in tests), default=None),
        alarm=next((t.day for t in tests if t.highest >= LOG_ALARM), None),
    )


def last_day(model: Model) -> LastDay | None:
    """Return the last day of a model that was compared; None if there is none."""
    tests = _score_tests(model)
    if not tests:
        return None
    last = tests[-1].day
    fields = [MovedField(*key, s.index, s.bound) for key, s in _stabilities(model, last).items()]
    until = midnight(last + timedelta(days=1)).timestamp()
    return LastDay(until, max(test.highest for test in tests), fields)


def _score_tests(model: Model) -> Sequence[Any]:
    """Return the days of the last quarter that was compared and of the one before."""
    e = ScoreEvidence
    of_model = (e.product == model.product, e.model == model.version)
    last = db.session.scalar(select(func.max(e.day)).where(*of_model))
    if last is None:
        return []
    since = period_of(period_of(last) - timedelta(days=1))
    query = select(e.day, e.evidence, e.highest).where(*of_model, e.day >= since)
    return db.session.execute(query.order_by(e.day)).all()


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


def _stabilities(model: Model, day: date) -> dict[tuple[str, int], Stability]:
    s = FieldStability
    rows = db.session.execute(
        select(s.field, s.days, s.stability, s.bound, s.rows).where(
            s.product == model.product, s.model == model.version, s.day == day
        )
    )
    return {(row.field, row.days): Stability(*row[2:]) for row in rows}


def _counts(model: Model, reference: Reference, first: date) -> dict[str, list[int]]:
    f = FieldCount
    counts = {name: [0] * len(bins.counts) for name, bins in reference.fields.items()}
    rows = db.session.execute(
        select(f.field, f.bin, func.sum(f.count))
        .where(f.product == model.product, f.model == model.version, f.hour >= midnight(first))
        .group_by(f.field, f.bin)
    )
    for name, place, count in rows:
        counts[name][place] = int(count)
    return counts
