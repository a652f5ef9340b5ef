"""Lists decisions: those that a filter lets through, in an order, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import func, select

from ml.product.formats import parse_integer
from webapp.columns import MAX_ID
from webapp.decisions.conditions import (
    Question,
    all_of,
    bounds_of,
    parts_of,
    short_ways,
    time_way,
)
from webapp.decisions.damage import Damaged, read, readable
from webapp.decisions.order import Order, order_of
from webapp.decisions.records import Decision
from webapp.decisions.search import PAGE, select_decisions, visible_to
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.decisions.walking import Found, gather, is_short, walk_by_time, walk_by_value
from webapp.extensions import db
from webapp.people.access import sees_all
from webapp.people.operators import Operator
from webapp.people.tables import OperatorRow

_d, _c = DecisionRow, DecisionContents
_operators = OperatorRow.__table__


class Position(NamedTuple):
    """Where a page is: it begins after a decision of the list, or ends before it."""

    number: int
    backwards: bool = False


# Of a list; no decision has this number.
START, END = Position(0), Position(0, backwards=True)


@dataclass(frozen=True, slots=True)
class Listed:
    """A decision on a list, with its reference, which is None if it has none or is erased."""

    decision: Decision | Damaged
    reference: str | None

    @property
    def id(self) -> int:
        return self.decision.id


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list, and the decisions before and after which there can be others.

    If the search stopped before the page was full, `searched_to` is the last decision that was
    looked at, from which it goes on.
    """

    rows: Sequence[Listed]
    before: int | None = None
    after: int | None = None
    searched_to: Listed | None = None


def list_decisions(
    question: Question, *, position: Position | None = None, size: int = PAGE
) -> Page:
    """Return the first page of a list, or the one at a position.

    There is no page at a decision that the operator must not see.
    """
    order = order_of(question.filter.sort)
    if position == END:
        found = _find(question, order.reversed, None, limit=size + 1)
        return replace(_page_back(found, size), after=None)
    if position is None or not _is_visible(position.number, question.operator):
        return _page(_find(question, order, None, limit=size + 1), size, came_from=None)
    if not position.backwards:
        found = _find(question, order, position.number, limit=size + 1)
        return _page(found, size, came_from=position.number)
    found = _find(question, order.reversed, position.number, limit=size + 1)
    return _page_back(found, size)


def find_number(text: str, operator: Operator) -> int | None:
    """Return the number of a decision that a text is, if there is one that may be seen."""
    number = parse_integer(text.removeprefix("#"))
    if number is None or not 0 < number <= MAX_ID or not _is_visible(number, operator):
        return None
    return number


def list_models() -> list[str]:
    """Return the versions of the models of all decisions, found one after the other."""
    first = select(func.min(_d.model).label("model")).cte("models", recursive=True)
    following = select(func.min(_d.model)).where(_d.model > first.c.model).scalar_subquery()
    models = first.union_all(select(following).where(first.c.model.is_not(None)))
    return list(db.session.scalars(select(models.c.model).where(models.c.model.is_not(None))))


def list_operators() -> list[str]:
    """Return the names of everybody who can have made a decision."""
    query = select(_operators.c.name).where(_operators.c.kind != "system").distinct()
    return list(db.session.scalars(query.order_by(_operators.c.name)))


def _is_visible(number: int, operator: Operator) -> bool:
    query = select(_d.id).where(_d.id == number, visible_to(operator))
    return db.session.scalar(query) is not None


def _find(question: Question, order: Order, after: int | None, *, limit: int) -> Found:
    """Find decisions by the first way that leads to few of them, or by walking in the order."""
    parts = parts_of(question)
    way = next(filter(is_short, short_ways(question, parts, order)), None)
    if way is None and not (order.by_time or sees_all(question.operator)):
        way = time_way(parts, "operator_id")  # a walk would stop at decisions of others
    if way is not None:
        place = [] if after is None else [order.after(after)]
        return gather(way, [*all_of(parts), *place], order, limit=limit)
    if not order.by_time:
        del parts[order.column]
        bounds = bounds_of(question, order.column)
        return walk_by_value(bounds, all_of(parts), order, after=after, limit=limit)
    column = next((c for c in ("operator_id", "model") if parts[c]), "created_at")
    rest = {c: part for c, part in parts.items() if c not in (column, "created_at")}
    return walk_by_time(time_way(parts, column), all_of(rest), order, after=after, limit=limit)


def _page(found: Found, size: int, *, came_from: int | None) -> Page:
    rows = _rows(found.numbers[:size])
    start = rows[0].id if rows else found.searched_to or END.number
    before = None if came_from is None else start
    if found.searched_to is not None:
        [last] = _rows([found.searched_to])
        return Page(rows, before, last.id, last)
    return Page(rows, before, rows[-1].id if len(found.numbers) > size else None)


def _page_back(found: Found, size: int) -> Page:
    rows = _rows(found.numbers[:size][::-1])
    after = rows[-1].id if rows else found.searched_to or START.number
    if found.searched_to is not None:
        [last] = _rows([found.searched_to])
        return Page(rows, last.id, after, last)
    return Page(rows, rows[0].id if len(found.numbers) > size else None, after)


def _rows(numbers: Sequence[int]) -> list[Listed]:
    query = select_decisions(readable(_c.reference)).outerjoin(_c, _c.decision_id == _d.id)
    found = {row.id: row for row in db.session.execute(query.where(_d.id.in_(numbers)))}
    return [_listed(found[number]) for number in numbers]


def _listed(row: Any) -> Listed:  # noqa: ANN401 - of the database
    reference = row.reference if isinstance(row.reference, str) else None
    return Listed(read(Decision, row), reference)
