"""Finds the next decisions of an order that a filter lets through, in a bounded time; ADR 0025."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, cast, func, select

from webapp.decisions.order import Order, segment_of
from webapp.decisions.tables import SEGMENT, DecisionRow
from webapp.extensions import db

Conditions = Sequence[ColumnElement[bool]]

MAX_GATHERED = 10_000  # decisions that are all read and sorted
# The decisions that one page looks at, step by step. Those that follow each other in time are near
# each other in the database, too.
STEPS_BY_TIME = (500, 4_000, 20_000)
STEPS_BY_VALUE = (250, 1_000, 4_000)

_d: Any = DecisionRow.__table__


class Way(NamedTuple):
    """An index that leads to some of the decisions, and the conditions of those."""

    via: str  # the name of the index; empty if the numbers are known
    conditions: Conditions

    def to(self, *more: ColumnElement[bool]) -> Select[Any]:
        """Return the query for the numbers of decisions on this way.

        SQLite does not know how many rows there are, and is told which index to use.
        """
        query = select(_d.c.id).where(*self.conditions, *more)
        return query.with_hint(_d, f"INDEXED BY {self.via}", "sqlite") if self.via else query


class Found(NamedTuple):
    """The numbers of decisions in their order, and where the search stopped before its end."""

    numbers: list[int]
    searched_to: int | None = None


def is_short(way: Way) -> bool:
    """Return whether a way leads to few enough decisions to gather."""
    some = way.to().limit(MAX_GATHERED + 1).subquery()
    return (db.session.scalar(select(func.count()).select_from(some)) or 0) <= MAX_GATHERED


def gather(way: Way, conditions: Conditions, order: Order, *, limit: int) -> Found:
    """Read all decisions of a way that has few, and sort those that the filter lets through."""
    # With an offset, no database sorts by walking through all decisions in their order instead.
    kept = way.to(*conditions).add_columns(order.value).offset(0).subquery("kept")
    return Found(_numbers(select(kept.c.id).order_by(*order.by(kept)).limit(limit)))


def walk_by_time(
    way: Way, conditions: Conditions, order: Order, *, after: int | None, limit: int
) -> Found:
    """Read decisions of a way that has the order of time."""

    def step(place: Conditions, count: int) -> Select[Any]:
        return way.to(*place).add_columns(order.value).order_by(*order.by()).limit(count)

    return _walk(step, conditions, order, STEPS_BY_TIME, after=after, limit=limit)


def walk_by_value(
    bounds: Conditions, conditions: Conditions, order: Order, *, after: int | None, limit: int
) -> Found:
    """Read decisions within bounds in the order of a value, which each segment has for itself."""
    all_segments = segments()

    def step(place: Conditions, count: int) -> Select[Any]:
        along = [*bounds, *place]
        end = _place_after(along, order, wanted=count, segments=len(all_segments))
        near = along if end is None else [*along, order.up_to(end)]
        way = way_of_values(order.column, near, all_segments)
        return way.to().add_columns(order.value).order_by(*order.by()).limit(count)

    return _walk(step, conditions, order, STEPS_BY_VALUE, after=after, limit=limit)


def segments() -> list[int]:
    """Return every segment that decisions are in."""
    return list(range((db.session.scalar(select(func.max(_d.c.id))) or 0) // SEGMENT + 1))


def way_of_values(column: str, conditions: Conditions, all_segments: Sequence[int]) -> Way:
    """Return the way to the decisions within a range of a value that has an index by segment."""
    return Way(f"ix_decisions_segment_{column}", [segment_of().in_(all_segments), *conditions])


def _walk(
    step: Callable[[Conditions, int], Select[Any]],
    conditions: Conditions,
    order: Order,
    steps: Sequence[int],
    *,
    after: int | None,
    limit: int,
) -> Found:
    """Take step after step, until there are enough decisions or no more steps to take."""
    place = [] if after is None else [order.after(after)]
    if not conditions:
        return Found(list(db.session.scalars(step(place, limit))))
    numbers: list[int] = []
    for count in steps:
        some = step(place, count).subquery("some")
        # The limit of the step keeps databases from looking for the others in another way.
        kept = select(_d.c.id).join(some, some.c.id == _d.c.id).where(*conditions)
        numbers += _numbers(kept.order_by(*order.by(some)).limit(limit - len(numbers)))
        last = db.session.scalar(step(place, count).offset(count - 1).limit(1))
        if last is None or len(numbers) == limit:
            return Found(numbers)
        after, place = last, [order.after(last)]
    return Found(numbers, after)


def _place_after(along: Conditions, order: Order, *, wanted: int, segments: int) -> int | None:
    """Return a place before which there are at least so many decisions, and few more.

    None if there are not that many. A segment with a decision at some depth has so many before it;
    so of the places at a depth in all segments, the n-th has at least n times the depth before it.
    """
    depth = -(-wanted // segments)
    while True:
        nth = -(-wanted // depth)
        place: int | None = db.session.scalar(_place_at(along, order, depth, nth=nth))
        if place is not None or nth == 1:
            return place
        depth *= 2


def _place_at(along: Conditions, order: Order, depth: int, *, nth: int) -> Select[Any]:
    """Return a query for the n-th in order of the decisions at a depth of their segments."""
    start = select(cast(0, BigInteger).label("n")).cte("segments", recursive=True)
    last = select(func.max(_d.c.id)).scalar_subquery() // SEGMENT
    every = start.union_all(select(start.c.n + 1).where(start.c.n < last))
    # A sum has no type in SQLite, as the indexed expression has none: only then is it searched for.
    in_one = segment_of() == every.c.n + 0
    way = Way(f"ix_decisions_segment_{order.column}", [in_one, *along])
    in_segment = way.to().order_by(*order.by()).limit(1).offset(depth - 1)
    at_depth = in_segment.correlate(every).scalar_subquery()
    places = select(at_depth.label("id")).select_from(every).subquery("places")
    there = _d.alias("there")
    query = select(there.c.id).select_from(places).join(there, there.c.id == places.c.id)
    return query.order_by(*order.by(there)).limit(1).offset(nth - 1)


def _numbers(query: Select[Any]) -> list[int]:
    return list(db.session.scalars(query))
