"""Counts the values of applications by hour, in the bins of the model that decided them.

A corrected application counts once, with its first decision, so that one customer's tries do not
count as many.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Text, cast, delete, func, insert, select

from ml.monitoring.bins import FieldBins, Reference
from ml.product.application import Application, Rules, Value, as_columns
from ml.product.errors import InvalidApplication, MalformedApplication
from webapp.decisions.damage import readable
from webapp.decisions.tables import DecisionContents, DecisionCount, DecisionRow
from webapp.extensions import db
from webapp.monitoring.tables import FieldCount, TrainingScore, WatchedHour
from webapp.serving.served import model

ROWS_PER_FETCH = 2_000
HOUR = timedelta(hours=1)


class Hour(NamedTuple):
    """An hour of the decisions of a model, and how many there are."""

    hour: datetime
    product: str
    model: str
    decisions: int


class Watched(NamedTuple):
    """What an hour holds: the rows of the tables `watched_hours` and `field_counts`."""

    hour: dict[str, Any]
    fields: list[dict[str, Any]]


def uncounted_hours(*, before: datetime, since: datetime | None = None) -> list[Hour]:
    """Return the hours that have not been counted, or have other decisions than when they were.

    Hours of models that are no longer kept are among them.
    """
    c, w = DecisionCount, WatchedHour
    kind = (c.hour, c.product, c.model)
    first = select(*kind, func.sum(c.count)).where(c.hour < before, ~c.correction)
    query = first.group_by(*kind)
    counted = select(w.hour, w.product, w.model, w.decisions)
    if since is not None:
        query, counted = query.where(c.hour >= since), counted.where(w.hour >= since)
    known = {tuple(row) for row in db.session.execute(counted)}
    found = [Hour(*row[:3], int(row[3])) for row in db.session.execute(query.order_by(c.hour))]
    return [hour for hour in found if tuple(hour) not in known]


def count_hour(hour: Hour, reference: Reference) -> Watched:
    """Count what the applications of an hour hold."""
    counts = {name: np.zeros(len(bins.counts)) for name, bins in reference.fields.items()}
    found = rows = unusual = 0
    for block in _applications(hour):
        found += len(block)
        unusual += sum(novelty > 1 for novelty, _ in block)
        known = [a for _, a in block if a is not None]
        rows += len(known)
        for name, values in as_columns(known).items() if known else ():
            counts[name] += _placed(reference.fields[name], values)
    key = {"hour": hour.hour, "product": hour.product, "model": hour.model}
    fields = [
        {**key, "field": name, "bin": i, "count": int(count)}
        for name, bins in counts.items()
        for i, count in enumerate(bins)
        if count
    ]
    totals = {"decisions": hour.decisions, "found": found, "rows": rows, "unusual": unusual}
    return Watched({**key, **totals}, fields)


def store_hours(transaction: Connection, watched: Sequence[Watched]) -> None:
    """Replace the counts of hours."""
    for table in (FieldCount, WatchedHour):
        for one in watched:
            key = (table.hour == one.hour["hour"], table.product == one.hour["product"])
            transaction.execute(delete(table).where(*key, table.model == one.hour["model"]))
    fields = [row for one in watched for row in one.fields]
    if fields:
        transaction.execute(insert(FieldCount), fields)
    transaction.execute(insert(WatchedHour), [one.hour for one in watched])


def store_training_scores(
    transaction: Connection, hours: Sequence[Hour], references: Mapping[str, Reference]
) -> None:
    """Store the scores of the training rows of the models that decided in some hours."""
    t = TrainingScore
    for product, version in sorted({(hour.product, hour.model) for hour in hours}):
        of_model = (t.product == product, t.model == version)
        transaction.execute(delete(t).where(*of_model))
        rows = [
            {"product": product, "model": version, "score_bin": i, "count": count}
            for i, count in enumerate(references[version].scores)
        ]
        transaction.execute(insert(t), rows)


def _applications(hour: Hour) -> Iterator[list[tuple[float, Application | None]]]:
    """Yield the novelty and the application of each decision; None if it cannot be read."""
    d, c = DecisionRow, DecisionContents
    # Cast to text, because a row that was changed by hand need not hold JSON.
    query = (
        select(readable(d.novelty), cast(c.inputs, Text))
        .outerjoin(c, c.decision_id == d.id)
        .where(d.created_at >= hour.hour, d.created_at < hour.hour + HOUR)
        .where(d.product == hour.product, d.model == hour.model, d.corrects.is_(None))
        .execution_options(yield_per=ROWS_PER_FETCH)
    )
    rules = model.rules_of(hour.model)
    for block in db.session.execute(query).partitions():
        yield [
            (novelty if isinstance(novelty, float) else 0.0, _application(rules, inputs))
            for novelty, inputs in block
        ]


def applications_of(version: str, numbers: Sequence[int]) -> dict[int, Application]:
    """Return the applications of some decisions of a model by number, as far as they are kept."""
    c, rules = DecisionContents, model.rules_of(version)
    found = {}
    for start in range(0, len(numbers), ROWS_PER_FETCH):
        some = numbers[start : start + ROWS_PER_FETCH]
        query = select(c.decision_id, cast(c.inputs, Text)).where(c.decision_id.in_(some))
        for number, inputs in db.session.execute(query):
            application = _application(rules, inputs)
            if application is not None:
                found[number] = application
    return found


def _application(rules: Rules, inputs: str | None) -> Application | None:
    if inputs is None:  # erased
        return None
    try:
        return rules.check_json(inputs.encode())
    except (InvalidApplication, MalformedApplication):  # `audit verify --contents` finds it
        return None


def _placed(bins: FieldBins, values: Sequence[Value]) -> np.ndarray:
    return np.bincount(bins.place(values), minlength=len(bins.counts))
