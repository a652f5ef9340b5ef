"""Breaks down the decisions of each closed hour by one dimension at a time, for the dashboards."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, String, Text, cast, delete, func, insert, select

from webapp.decisions.tables import DecisionContents, DecisionCount, DecisionRow
from webapp.extensions import db
from webapp.monitoring.hours import HOUR
from webapp.monitoring.tables import DecisionHour
from webapp.people.tables import OperatorRow

_c, _d, _h = DecisionCount, DecisionRow, DecisionHour
# How decisions are counted already. The kind of operator and the reasons are not.
COUNTED = {
    "channel": _c.channel,
    "basis": _c.basis,
    "amount": cast(_c.amount_from, String),
    "score": cast(_c.score_bin, String),
}


NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")  # of a field, as in a product's file


class Kind(NamedTuple):
    """What is counted: the key of the table `decision_hours`."""

    hour: datetime
    dimension: str
    product: str
    model: str
    value: str
    decision: str


Counts = Counter[Kind]


def changed_hours(*, before: datetime, since: datetime | None = None) -> list[datetime]:
    """Return the hours that have other decisions than when they were broken down."""
    first = select(_c.hour, func.sum(_c.count)).where(_c.hour < before, ~_c.correction)
    decided = first.group_by(_c.hour)
    known = select(_h.hour, func.sum(_h.count)).where(_h.dimension == "channel").group_by(_h.hour)
    if since is not None:
        decided, known = decided.where(_c.hour >= since), known.where(_h.hour >= since)
    counts = {hour: int(count) for hour, count in db.session.execute(known)}
    rows = db.session.execute(decided.order_by(_c.hour))
    return [hour for hour, count in rows if counts.get(hour) != count]


def break_down(hours: Sequence[datetime]) -> Counts:
    """Count the decisions of some hours by each dimension.

    What the database has counted is read first: a decision that is stored meanwhile makes the
    numbers differ, and the hour is counted again.
    """
    counts: Counts = Counter()
    for name, value in COUNTED.items():
        query = (
            select(_c.hour, _c.product, _c.model, value, _c.decision, func.sum(_c.count))
            .where(_c.hour.in_(hours), ~_c.correction)
            .group_by(_c.hour, _c.product, _c.model, value, _c.decision)
        )
        for hour, product, version, band, decision, count in db.session.execute(query):
            counts[Kind(hour, name, product, version, band, decision)] += int(count)
    for hour in hours:
        for product, version, kind, decision, count in db.session.execute(_operators(hour)):
            counts[Kind(hour, "operator", product, version, kind, decision)] += count
        for product, version, reasons in db.session.execute(_refused(hour)):
            for field in _principal(reasons):
                counts[Kind(hour, "reason", product, version, field, "refused")] += 1
    return counts


def store_breakdown(transaction: Connection, hours: Sequence[datetime], counts: Counts) -> None:
    """Replace the counts of hours."""
    transaction.execute(delete(_h).where(_h.hour.in_(hours)))
    rows = [{**kind._asdict(), "count": count} for kind, count in counts.items()]
    if rows:
        transaction.execute(insert(_h), rows)


def _operators(hour: datetime) -> Select[*tuple[Any, ...]]:
    """Return the query of an hour's decisions by the kind of who asked."""
    kind = (_d.product, _d.model, OperatorRow.kind, _d.decision)
    query = select(*kind, func.count()).join(OperatorRow, OperatorRow.id == _d.operator_id)
    return query.where(*_within(hour)).group_by(*kind)


def _within(hour: datetime) -> tuple[Any, ...]:
    """Return the conditions of an hour's decisions that correct no earlier one."""
    return (_d.created_at >= hour, _d.created_at < hour + HOUR, _d.corrects.is_(None))


def _refused(hour: datetime) -> Select[*tuple[Any, ...]]:
    """Return the query of the reasons of an hour's refusals, unless they have been erased."""
    # Cast to text, because a row that was changed by hand need not hold JSON.
    return (
        select(_d.product, _d.model, cast(DecisionContents.reasons, Text))
        .join(DecisionContents, DecisionContents.decision_id == _d.id)
        .where(*_within(hour), _d.decision == "refused", _d.basis == "model")
        .where(DecisionContents.reasons.is_not(None))
    )


def _principal(reasons: str) -> Iterator[str]:
    """Yield the fields of the principal reasons; none of a row that was changed by hand."""
    try:
        fields = [r["field"] for r in json.loads(reasons) if r["principal"]]
    except (ValueError, TypeError, KeyError, RecursionError):  # `audit verify --contents` finds it
        return
    yield from (f for f in fields if isinstance(f, str) and NAME.fullmatch(f))
