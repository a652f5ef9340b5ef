"""The orders of a list of decisions, and the places in them.

A place is the number of a decision: what a list is ordered by never changes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, String, and_, literal, select, tuple_

from webapp.decisions.filters import Sort
from webapp.decisions.tables import DecisionRow
from webapp.extensions import db

_table: Any = DecisionRow.__table__
Condition = ColumnElement[bool]


class Order(NamedTuple):
    """An order by a column and then by number, of decisions or another table with these columns."""

    column: str
    descending: bool

    @property
    def by_time(self) -> bool:
        return self.column == "created_at"

    @property
    def reversed(self) -> "Order":
        return self._replace(descending=not self.descending)

    def value(self, table: Any = _table) -> ColumnElement[Any]:  # noqa: ANN401
        """Return the column that rows are ordered by."""
        column: ColumnElement[Any] = table.c[self.column]
        return column

    def by(self, table: Any = _table) -> Sequence[ColumnElement[Any]]:  # noqa: ANN401
        """Return what to order rows by."""
        columns = (self.value(table), table.c.id)
        return [c.desc() if self.descending else c.asc() for c in columns]

    def after(self, number: int, table: Any = _table) -> Condition:  # noqa: ANN401
        """Return the condition of what comes after a decision."""
        key, value, place = self._compared(number, table)
        return self._near(key < place if self.descending else key > place, value, table)

    def up_to(self, number: int, table: Any = _table) -> Condition:  # noqa: ANN401
        """Return the condition of what comes before a decision, and of the decision itself."""
        key, value, place = self._compared(number, table)
        condition = key >= place if self.descending else key <= place
        return self.reversed._near(condition, value, table)

    def _compared(self, number: int, table: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401
        """Return what rows are compared by, the value of a decision, and its place."""
        value = self._value_of(number)
        # A tuple of SQL, whose comparison has no type.
        key: Any = tuple_(self.value(table), table.c.id)
        return key, value, tuple_(value, literal(number, BigInteger))

    def _near(self, condition: Condition, value: Any, table: Any) -> Condition:  # noqa: ANN401
        """Say of the value alone, too, what a condition says of a place.

        PostgreSQL then knows how few decisions are between two places.
        """
        if self.by_time:
            return condition
        column = self.value(table)
        return and_(column <= value if self.descending else column >= value, condition)

    def _value_of(self, number: int) -> Any:  # noqa: ANN401
        """Return what a decision is ordered by; a damaged moment stays in the database.

        A damaged number is a text in SQLite.
        """
        there = _table.alias()
        query = select(there.c[self.column]).where(there.c.id == number)
        if self.by_time:
            return query.scalar_subquery()
        value = db.session.scalar(query)
        return literal(value, String() if isinstance(value, str) else self.value().type)


def order_of(sort: Sort) -> Order:
    if sort in ("newest", "oldest"):
        return Order("created_at", sort == "newest")
    column, _, end = sort.partition("_")
    return Order(column, end == "high")
