"""The SQL conditions of a filter, and the ways by which an index leads to what they let through."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, column, exists, false, select, table

from webapp.decisions.filters import Filter
from webapp.decisions.order import Order
from webapp.decisions.search import visible_to
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.decisions.value_index import Bounds, select_within
from webapp.decisions.walking import Way, are_few, is_among
from webapp.extensions import db
from webapp.people.access import sees_all
from webapp.people.operators import Operator
from webapp.people.tables import OperatorRow

VALUES = ("amount", "probability", "novelty")  # what decisions are ordered by, besides their time
UNUSUAL = 1  # a novelty above
MAX_KNOWN = 1_000  # decisions whose numbers another table tells
# What a reference can begin with; all its characters come before the last one of ASCII.
BEGINNING = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/#-]{0,63}")
LAST_CHARACTER = "\x7f"

_d, _c = DecisionRow, DecisionContents
_operators = OperatorRow.__table__
# Of the capability above this one.
_reviews = table("reviews", column("decision_id"), column("closed_at"), column("final"))
# Of the decisions of some days: all of them, an operator's or a model's.
TIME_INDEXES = {
    "operator_id": "ix_decisions_operator_id_created_at",
    "model": "ix_decisions_model_created_at",
    "created_at": "ix_decisions_created_at",
}
# The conditions on each column, and `other` ones.
Parts = dict[str, list[ColumnElement[bool]]]


@dataclass(frozen=True)
class Question:
    """What is asked for: a filter, by whom, and in which time zone its days are."""

    filter: Filter
    operator: Operator
    zone: ZoneInfo


def parts_of(question: Question) -> Parts:
    """Return the conditions of a question, which let only decisions through that may be seen."""
    f, number = question.filter, _operator_id(question)
    parts: Parts = {
        "reference": _reference(f.search),
        "operator_id": [] if number is None else [_d.operator_id == number],
        "model": [] if f.model is None else [_d.model == f.model],
        "created_at": _days(f.since, f.until, question.zone),
        **{name: bounds_of(question, name)(_d.__table__) for name in VALUES},
        "reviewed": _reviewed(f.reviewed),
        "other": [] if sees_all(question.operator) else [visible_to(question.operator)],
    }
    if f.decision:
        parts["other"].append(_d.decision == f.decision)
    if f.channel:
        parts["other"].append(_d.channel == f.channel)
    if f.operator is not None and (ids := _ids_of(f.operator)) != [number]:
        parts["other"].append(_d.operator_id.in_(ids))
    return parts


def bounds_of(question: Question, name: str) -> Bounds:
    """Return the conditions on a value."""
    f = question.filter

    def bounds(table: Any) -> list[ColumnElement[bool]]:  # noqa: ANN401
        value = table.c[name]
        if name == "novelty":
            return _novelty(value, f.novelty)
        low, high = (getattr(f, f"{name}_{end}") for end in ("from", "to"))
        above = [] if low is None else [value >= low]
        return above if high is None else [*above, value <= high]

    return bounds


def all_of(parts: Parts) -> list[ColumnElement[bool]]:
    return [condition for part in parts.values() for condition in part]


def short_ways(question: Question, parts: Parts, order: Order) -> Iterator[Way]:
    """Yield the ways that can lead to few decisions, likely ones first."""
    if question.filter.search is not None:
        referenced = select(_c.decision_id).where(*_reference_range(question.filter.search))
        yield from _known(referenced)
    if question.filter.reviewed == "open":
        yield from _known(select(_reviews.c.decision_id).where(_reviews.c.closed_at.is_(None)))
    if not order.by_time:
        for name in filter(parts.get, TIME_INDEXES):
            yield time_way(parts, name)
    for name in filter(parts.get, VALUES):
        numbers = select_within(name, bounds_of(question, name))
        if are_few(numbers):
            yield Way("", [is_among(numbers)])


def _known(query: Select[Any]) -> Iterator[Way]:
    """Yield the way to decisions whose numbers a query returns, unless there are many."""
    numbers = list(db.session.scalars(query.limit(MAX_KNOWN + 1)))
    if len(numbers) <= MAX_KNOWN:
        yield Way("", [_d.id.in_(numbers)])


def time_way(parts: Parts, name: str) -> Way:
    """Return the way to the decisions of some days, within an operator or a model if so named."""
    own = [] if name == "created_at" else parts[name]
    return Way(TIME_INDEXES[name], [*own, *parts["created_at"]])


def _operator_id(question: Question) -> int | None:
    """Return the only operator whose decisions are asked for, or may be seen."""
    if question.filter.mine or not sees_all(question.operator):
        return question.operator.id
    ids = _ids_of(question.filter.operator)
    return ids[0] if len(ids) == 1 else None


def _ids_of(name: str | None) -> Sequence[int]:
    """Return the operators with a name: at most a person and an API key."""
    if name is None:
        return []
    return db.session.scalars(select(_operators.c.id).where(_operators.c.name == name)).all()


def _days(since: date | None, until: date | None, zone: ZoneInfo) -> list[ColumnElement[bool]]:
    def start(day: date) -> datetime:
        return datetime.combine(day, time.min, zone)

    after = [] if since is None else [_d.created_at >= start(since)]
    return after if until is None else [*after, _d.created_at < start(until + timedelta(days=1))]


def _novelty(value: Any, chosen: str | None) -> list[ColumnElement[bool]]:  # noqa: ANN401
    if chosen is None:
        return []
    return [value > UNUSUAL if chosen == "unusual" else value <= UNUSUAL]


def _reviewed(chosen: str | None) -> list[ColumnElement[bool]]:
    if chosen is None:
        return []
    reviews = exists().where(_reviews.c.decision_id == _d.id)
    if chosen == "no":
        return [~reviews]
    if chosen == "open":
        return [reviews.where(_reviews.c.closed_at.is_(None))]
    return [reviews.where(_reviews.c.final.is_not(None))]


def _reference(search: str | None) -> list[ColumnElement[bool]]:
    if search is None:
        return []
    same = _c.decision_id == _d.id
    return [exists().where(same, *_reference_range(search))]


def _reference_range(search: str) -> list[ColumnElement[bool]]:
    """Return the conditions of a reference that is this one; if there is none, that begins so."""
    if not BEGINNING.fullmatch(search):
        return [false()]
    if db.session.scalar(select(_c.decision_id).where(_c.reference == search).limit(1)):
        return [_c.reference == search]
    return [_c.reference >= search, _c.reference < search + LAST_CHARACTER]
