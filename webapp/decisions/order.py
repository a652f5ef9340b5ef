"""The orders of a list of decisions, and the places in them.

A place is the number of a decision: what a list is ordered by never changes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    literal,
    literal_column,
    select,
    tuple_,
)

from webapp.decisions.filters import Sort
from webapp.decisions.tables import SEGMENT, DecisionRow
from webapp.extensions import db

_table: Any = DecisionRow.__table__
Condition = ColumnElement[bool]


class Order(NamedTuple):
    """An order by a column and then by number."""

    column: str
    descending: bool

    @property
    def by_time(self) -> bool:
        return self.column == "created_at"

    @property
    def reversed(self) -> "Order":
        return self._replace(descending=not self.descending)

    @property
    def value(self) -> ColumnElement[Any]:
        value: ColumnElement[Any] = _table.c[self.column]
        return value

    def by(self, table: Any = _table) -> Sequence[ColumnElement[Any]]:  # noqa: ANN401 - or an alias
        """Return what to order rows by."""
        columns = (table.c[self.column], table.c.id)
        return [c.desc() if self.descending else c.asc() for c in columns]

    def after(self, number: int) -> Condition:
        """Return the condition of what comes after a decision."""
        value = self._value_of(number)
        # A tuple of SQL, whose comparison has no type.
        key: Any = tuple_(self.value, _table.c.id)
        place = tuple_(value, literal(number, BigInteger))
        return self._near(key < place if self.descending else key > place, value)

    def up_to(self, number: int) -> Condition:
        """Return the condition of what comes before a decision, and of the decision itself."""
        value = self._value_of(number)
        key: Any = tuple_(self.value, _table.c.id)
        place = tuple_(value, literal(number, BigInteger))
        return self.reversed._near(key >= place if self.descending else key <= place, value)

    def _near(self, condition: Condition, value: Any) -> Condition:  # noqa: ANN401 - of the column
        """Say of the value alone, too, what a condition says of a place.

        PostgreSQL then knows how few decisions are between two places.
        """
        if self.by_time:
            return condition
        return and_(self.value <= value if self.descending else self.value >= value, condition)

    def _value_of(self, number: int) -> Any:  # noqa: ANN401
        """Return what a decision is ordered by; a damaged moment stays in the database."""
        there = _table.alias()
        query = select(there.c[self.column]).where(there.c.id == number)
        if self.by_time:
            return query.scalar_subquery()
        return literal(db.session.scalar(query), self.value.type)


def order_of(sort: Sort) -> Order:
    if sort in ("newest", "oldest"):
        return Order("created_at", sort == "newest")
    column, _, end = sort.partition("_")
    return Order(column, end == "high")


def segment_of() -> ColumnElement[int]:
    """Return the segment of a decision, in the words of the indexes by segment."""
    return literal_column(f"decisions.id / {SEGMENT}", BigInteger)
