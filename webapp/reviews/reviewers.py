"""Who may review: the people who have that role and can sign in."""

from typing import Any

from sqlalchemy import Connection, Select, select

from webapp.people.tables import OperatorRow, User, UserRole
from webapp.reviews.records import Person

_operators, _users = OperatorRow.__table__, User.__table__
_roles = UserRole.__table__


def is_reviewer(connection: Connection, operator_id: int) -> bool:
    """Return whether an operator is a person who may review now."""
    found = _select_reviewers().where(_operators.c.id == operator_id)
    return connection.execute(found).first() is not None


def list_reviewers(connection: Connection) -> list[Person]:
    """Return the people who may review, by name."""
    query = _select_reviewers().order_by(_operators.c.name)
    return [Person(number, name) for number, name in connection.execute(query)]


def _select_reviewers() -> Select[Any]:
    return (
        select(_operators.c.id, _operators.c.name)
        .join(_users, _users.c.id == _operators.c.id)
        .join(_roles, _roles.c.user_id == _users.c.id)
        .where(_users.c.active, _roles.c.role == "reviewer")
    )
