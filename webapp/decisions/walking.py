"""Finds the next decisions of an order that a filter lets through, in a bounded time; ADR 0025."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, any_, func, select

from webapp.decisions.order import Order
from webapp.decisions.tables import DecisionRow
from webapp.decisions.value_index import Bounds, select_first
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
    return not way.via or are_few(way.to())


def are_few(numbers: Select[Any]) -> bool:
    """Return whether a query returns few enough numbers to gather their decisions."""
    some = numbers.limit(MAX_GATHERED + 1).subquery()
    return (db.session.scalar(select(func.count()).select_from(some)) or 0) <= MAX_GATHERED


def is_among(numbers: Select[Any]) -> ColumnElement[bool]:
    """Return the condition that a decision's number is one of those that a query returns.

    Its decisions are looked up one by one: as an array, because for a subquery PostgreSQL would
    rather read all decisions.
    """
    number: ColumnElement[int] = _d.c.id
    if db.engine.dialect.name == "postgresql":
        return number == any_(func.array(numbers.scalar_subquery()))
    return number.in_(numbers)


def gather(way: Way, conditions: Conditions, order: Order, *, limit: int) -> Found:
    """Read all decisions of a way that has few, and sort those that the filter lets through."""
    # With an offset, no database sorts by walking through all decisions in their order instead.
    kept = way.to(*conditions).add_columns(order.value()).offset(0).subquery("kept")
    return Found(_numbers(select(kept.c.id).order_by(*order.by(kept)).limit(limit)))


def walk_by_time(
    way: Way, conditions: Conditions, order: Order, *, after: int | None, limit: int
) -> Found:
    """Read decisions of a way that has the order of time."""

    def step(after: int | None, count: int) -> Select[Any]:
        place = [] if after is None else [order.after(after)]
        return way.to(*place).add_columns(order.value()).order_by(*order.by()).limit(count)

    return _walk(step, conditions, order, STEPS_BY_TIME, after=after, limit=limit)


def walk_by_value(
    bounds: Bounds, conditions: Conditions, order: Order, *, after: int | None, limit: int
) -> Found:
    """Read decisions within bounds of a value, in its order."""

    def step(after: int | None, count: int) -> Select[Any]:
        def along(table: Any) -> list[ColumnElement[bool]]:  # noqa: ANN401
            return bounds(table) if after is None else [*bounds(table), order.after(after, table)]

        return select_first(order, along, limit=count)

    return _walk(step, conditions, order, STEPS_BY_VALUE, after=after, limit=limit)


def _walk(
    step: Callable[[int | None, int], Select[Any]],
    conditions: Conditions,
    order: Order,
    steps: Sequence[int],
    *,
    after: int | None,
    limit: int,
) -> Found:
    """Take step after step, until there are enough decisions or no more steps to take."""
    if not conditions:
        return Found(_numbers(step(after, limit)))
    numbers: list[int] = []
    for count in steps:
        query = step(after, count)
        some = query.subquery("some")
        # The limit of the step keeps databases from looking for the others in another way.
        kept = select(_d.c.id).join(some, some.c.id == _d.c.id).where(*conditions)
        numbers += _numbers(kept.order_by(*order.by(some)).limit(limit - len(numbers)))
        after = db.session.scalar(query.offset(count - 1).limit(1))
        if after is None or len(numbers) == limit:
            return Found(numbers)
    return Found(numbers, after)


def _numbers(query: Select[Any]) -> list[int]:
    return list(db.session.scalars(query))
