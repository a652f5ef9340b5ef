"""Compares each closed day of a model's decisions with its training rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, delete, func, insert, select

from ml.monitoring.bins import SCORE_BINS, Reference
from ml.monitoring.sequential import ScoreTest
from ml.monitoring.stability import stability
from webapp.decisions.tables import DecisionCount
from webapp.extensions import db
from webapp.monitoring.tables import FieldCount, FieldStability, ScoreEvidence, WatchedHour

SPANS = (1, 7)  # days that are compared together: the day itself, and the week up to it
SCORE = ""  # in the column `field`
MONTHS_IN_PERIOD = 3  # see ml.monitoring.sequential
ONE = timedelta(days=1)
ROWS_PER_FETCH = 10_000  # of which two years have millions


class Model(NamedTuple):
    """A model that has decided applications for a product."""

    product: str
    version: str


@dataclass
class Day:
    """The decisions of a model on a day: by the bin of the score, and by that of each field."""

    scores: np.ndarray = field(default_factory=lambda: np.zeros(SCORE_BINS, dtype=int))
    fields: dict[str, np.ndarray] = field(default_factory=dict)


class Compared(NamedTuple):
    """The rows of the tables `field_stability` and `score_evidence` from a day on."""

    model: Model
    first: date
    stabilities: list[dict[str, Any]]
    evidence: list[dict[str, Any]]


def changed_days(*, before: datetime, since: datetime | None = None) -> dict[Model, date]:
    """Return the first day of each model that has other decisions than when it was compared.

    Only days that have been counted are among them; if a moment is given, those from its day on.
    """
    w, e = WatchedHour, ScoreEvidence
    hours = select(w.hour, w.product, w.model, w.decisions).where(w.hour < midnight(before.date()))
    days = select(e.product, e.model, e.day, e.decisions)
    if since is not None:
        hours = hours.where(w.hour >= midnight(since.date()))
        days = days.where(e.day >= since.date())
    counted: dict[tuple[Model, date], int] = {}
    for hour, product, version, decisions in db.session.execute(hours):
        key = Model(product, version), hour.date()
        counted[key] = counted.get(key, 0) + decisions
    known = {(Model(p, v), day): decisions for p, v, day, decisions in db.session.execute(days)}
    first: dict[Model, date] = {}
    for (model, day), decisions in sorted(counted.items()):
        if known.get((model, day)) != decisions:
            first.setdefault(model, day)
    return first


def compare_days(model: Model, first: date, reference: Reference, *, before: datetime) -> Compared:
    """Compare the days of a model with its training rows, from one day on."""
    days = _days(model, reference, since=first - max(SPANS) * ONE, before=before)
    stabilities = [
        row
        for day in sorted(days)
        if day >= first
        for span in SPANS
        for row in _stabilities(model, day, span, _summed(days, day, span, reference), reference)
    ]
    return Compared(model, first, stabilities, list(_evidence(model, first, days, reference)))


def store_days(transaction: Connection, compared: Compared) -> None:
    """Replace the results of a model from a day on."""
    model, since = compared.model, compared.first
    for table in (FieldStability, ScoreEvidence):
        of_model = (table.product == model.product, table.model == model.version)
        transaction.execute(delete(table).where(*of_model, table.day >= since))
    if compared.stabilities:
        transaction.execute(insert(FieldStability), compared.stabilities)
    if compared.evidence:
        transaction.execute(insert(ScoreEvidence), compared.evidence)


def period_of(day: date) -> date:
    """Return the first day of the period in which a day lies: a quarter of a year."""
    return date(day.year, day.month - (day.month - 1) % MONTHS_IN_PERIOD, 1)


def _evidence(
    model: Model, first: date, days: Mapping[date, Day], reference: Reference
) -> Iterator[dict[str, Any]]:
    """Continue the test of the score after the last day before the first, or begin a new one."""
    e = ScoreEvidence
    query = (
        select(e.day, e.state)
        .where(e.product == model.product, e.model == model.version, e.day < first)
        .order_by(e.day.desc())
        .limit(1)
    )
    last = db.session.execute(query).first()
    db.session.rollback()  # release the read transaction before computing
    test, period = (ScoreTest.resumed(last.state), period_of(last.day)) if last else (None, None)
    for day in sorted(d for d in days if d >= first):
        if test is None or period_of(day) != period:
            test, period = ScoreTest.against(reference.scores), period_of(day)
        scores = days[day].scores
        test.add(scores.tolist(), seed=day.toordinal())
        yield {
            "day": day,
            "product": model.product,
            "model": model.version,
            "decisions": int(scores.sum()),
            "evidence": test.evidence,
            "highest": test.highest,
            "state": test.state,
        }


def _stabilities(
    model: Model, day: date, span: int, summed: Day, reference: Reference
) -> Iterator[dict[str, Any]]:
    key = {"day": day, "days": span, "product": model.product, "model": model.version}
    found = stability(reference.scores, summed.scores.tolist())
    if found:
        yield _row(key, SCORE, found.rows, 0, 0, found.index, found.bound)
    for name, counts in summed.fields.items():
        bins = reference.fields[name]
        found = stability(bins.counts, counts.tolist())
        if found:
            missing, unusual = int(counts[bins.missing]), int(counts[list(bins.unusual)].sum())
            yield _row(key, name, found.rows, missing, unusual, found.index, found.bound)


def _row(key: dict[str, Any], field: str, *values: float) -> dict[str, Any]:
    names = ("rows", "missing", "unusual", "stability", "bound")
    return {**key, "field": field, **dict(zip(names, values, strict=True))}


def _summed(days: Mapping[date, Day], last: date, span: int, reference: Reference) -> Day:
    """Add the days up to the last one."""
    some: Sequence[Day] = [days[d] for i in range(span) if (d := last - i * ONE) in days]
    fields = {
        name: np.sum([day.fields[name] for day in some if name in day.fields], axis=0)
        for name in reference.fields
        if any(name in day.fields for day in some)
    }
    return Day(np.sum([day.scores for day in some], axis=0), fields)


def _days(model: Model, reference: Reference, *, since: date, before: datetime) -> dict[date, Day]:
    """Return the closed days on which a model decided anything."""
    days: dict[date, Day] = {}
    c, f = DecisionCount, FieldCount
    within = (midnight(since), midnight(before.date()))
    scores = (
        select(c.hour, c.score_bin, func.sum(c.count))
        .where(c.hour >= within[0], c.hour < within[1])
        .where(c.product == model.product, c.model == model.version, ~c.correction)
        .group_by(c.hour, c.score_bin)
        .execution_options(yield_per=ROWS_PER_FETCH)
    )
    for hour, place, count in db.session.execute(scores):
        days.setdefault(hour.date(), Day()).scores[place] += int(count)
    fields = (
        select(f.hour, f.field, f.bin, f.count)
        .where(f.hour >= within[0], f.hour < within[1])
        .where(f.product == model.product, f.model == model.version)
        .execution_options(yield_per=ROWS_PER_FETCH)
    )
    for hour, name, place, count in db.session.execute(fields):
        empty = np.zeros(len(reference.fields[name].counts), dtype=int)
        days.setdefault(hour.date(), Day()).fields.setdefault(name, empty)[place] += count
    return days


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
