"""Who may review: the people who have that role and can sign in."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, or_, select

from webapp.people.tables import OperatorRow, User, UserRole
from webapp.reviews.records import Person
from webapp.reviews.tables import ReviewRow

_operators, _users = OperatorRow.__table__, User.__table__
_roles, _r = UserRole.__table__, ReviewRow


def is_reviewer(connection: Connection, operator_id: int) -> bool:
    """Return whether an operator is a person who may review now."""
    found = _select_reviewers().where(_operators.c.id == operator_id)
    return connection.execute(found).first() is not None


def list_reviewers(connection: Connection) -> list[Person]:
    """Return the people who may review, by name."""
    query = _select_reviewers().order_by(_operators.c.name)
    return [Person(number, name) for number, name in connection.execute(query)]


def without_reviewer() -> ColumnElement[bool]:
    """Return the SQL condition of reviews that nobody has, or somebody who no longer reviews."""
    ids = _select_reviewers().with_only_columns(_operators.c.id)
    return or_(_r.claimed_by.is_(None), _r.claimed_by.not_in(ids))


def _select_reviewers() -> Select[Any]:
    return (
        select(_operators.c.id, _operators.c.name)
        .join(_users, _users.c.id == _operators.c.id)
        .join(_roles, _roles.c.user_id == _users.c.id)
        .where(_users.c.active, _roles.c.role == "reviewer")
    )
