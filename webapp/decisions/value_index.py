"""The index of values: a copy of what decisions are ordered by, which the watch extends; ADR 0025.

Decisions that are not yet in it are few, and are sorted when they are asked for.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    cast,
    func,
    insert,
    literal_column,
    select,
    union_all,
)

from webapp.decisions.order import Order
from webapp.decisions.tables import SEGMENT, DecisionRow, IndexedValues
from webapp.extensions import db

# The conditions on a value and a number, as columns of the index or of the decisions themselves.
Bounds = Callable[[Any], list[ColumnElement[bool]]]
ROWS_PER_TRANSACTION = 10_000

_d: Any = DecisionRow.__table__
_i: Any = IndexedValues.__table__


def last_indexed() -> int:
    """Return the greatest number in the index, or 0."""
    return db.session.scalar(select(func.max(_i.c.id))) or 0


def find_unindexed(*, after: int, before: datetime) -> Sequence[int]:
    """Return the numbers of decisions after one that are not in the index, up to a limit.

    None is greater than that of the newest decision that was made before a moment.
    """
    newest = select(_d.c.id).where(_d.c.created_at < before).order_by(_d.c.created_at.desc())
    last = newest.limit(1).scalar_subquery()
    wanted = _unindexed(_d.c.id).where(_d.c.id > after, _d.c.id <= last)
    return db.session.scalars(wanted.order_by(_d.c.id).limit(ROWS_PER_TRANSACTION)).all()


def add_values(transaction: Connection, numbers: Sequence[int]) -> None:
    """Add the values of decisions whose numbers are in order, also damaged ones."""
    rows = _unindexed(*(_d.c[column.name] for column in _i.c))
    some = rows.where(_d.c.id.between(numbers[0], numbers[-1]))
    transaction.execute(insert(_i).from_select([column.name for column in _i.c], some))


def _unindexed(*columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).outerjoin(_i, _i.c.id == _d.c.id).where(_i.c.id.is_(None))


def select_first(order: Order, bounds: Bounds, *, limit: int) -> Select[Any]:
    """Return a query for the first decisions in the order of a value: their numbers and values."""
    last = last_indexed()
    segments = last // SEGMENT + 1 if last else 0
    end = _place_after(order, bounds, wanted=limit, segments=segments) if segments else None

    def near(table: Any) -> list[ColumnElement[bool]]:  # noqa: ANN401
        return bounds(table) if end is None else [*bounds(table), order.up_to(end, table)]

    def first(query: Select[Any], table: Any) -> Any:  # noqa: ANN401
        some = query.add_columns(order.value(table)).order_by(*order.by(table)).limit(limit)
        return select(some.subquery())

    newer = select(_d.c.id).where(_d.c.id > last, *near(_d))
    both = union_all(
        first(_in_segments(order.column, segments).where(*near(_i)), _i), first(newer, _d)
    ).subquery()
    return select(both).order_by(*order.by(both)).limit(limit)


def select_within(column: str, bounds: Bounds) -> Select[Any]:
    """Return a query for the numbers of all decisions within bounds of a value, in no order."""
    last = last_indexed()
    indexed = _in_segments(column, last // SEGMENT + 1).where(*bounds(_i))
    newer = select(_d.c.id).where(_d.c.id > last, *bounds(_d))
    return select(union_all(indexed, newer).subquery())


def _in_segments(column: str, segments: int) -> Select[Any]:
    return _by_segment(column).where(_segment().in_(range(segments)))


def _by_segment(column: str) -> Select[Any]:
    """Return a query that uses the index by segment, of which SQLite has to be told."""
    hint = f"INDEXED BY ix_indexed_values_{column}"
    return select(_i.c.id).with_hint(_i, hint, "sqlite")


def _segment() -> ColumnElement[int]:
    """Return the segment of a number, in the words of the indexes."""
    return literal_column(f"indexed_values.id / {SEGMENT}", BigInteger)


def _place_after(order: Order, bounds: Bounds, *, wanted: int, segments: int) -> int | None:
    """Return a place before which there are at least so many decisions, and few more.

    None if there are not that many. A segment with a decision at some depth has so many before it;
    so of the places at a depth in all segments, the n-th has at least n times the depth before it.
    """
    depth = -(-wanted // segments)
    while True:
        nth = -(-wanted // depth)
        place: int | None = db.session.scalar(_place_at(order, bounds, depth, nth=nth))
        if place is not None or nth == 1:
            return place
        depth *= 2


def _place_at(order: Order, bounds: Bounds, depth: int, *, nth: int) -> Select[Any]:
    """Return a query for the n-th in order of the decisions at a depth of their segments."""
    start = select(cast(0, BigInteger).label("n")).cte("segments", recursive=True)
    last = select(func.max(_i.c.id)).scalar_subquery() // SEGMENT
    every = start.union_all(select(start.c.n + 1).where(start.c.n < last))
    # A sum has no type in SQLite, as the indexed expression has none: only then is it searched for.
    in_one = _by_segment(order.column).where(_segment() == every.c.n + 0, *bounds(_i))
    in_segment = in_one.order_by(*order.by(_i)).limit(1).offset(depth - 1)
    at_depth = in_segment.correlate(every).scalar_subquery()
    places = select(at_depth.label("id")).select_from(every).subquery("places")
    there = _i.alias("there")
    query = select(there.c.id).select_from(places).join(there, there.c.id == places.c.id)
    return query.order_by(*order.by(there)).limit(1).offset(nth - 1)
