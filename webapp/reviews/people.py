"""Who may review what: reviewers, but nobody a decision of his or her own."""

from typing import Any

from sqlalchemy import Connection, Select, select

from webapp.people.tables import ApiKey, OperatorRow, User, UserRole
from webapp.reviews.records import Person

_operators, _users = OperatorRow.__table__, User.__table__
_roles, _keys = UserRole.__table__, ApiKey.__table__


def same_person(connection: Connection, one: int, other: int) -> bool:
    """Return whether two operators are one person.

    An API key is the person who made it, and two accounts with the same full name are one person's.
    """
    people = [_person(connection, operator) for operator in (one, other)]
    numbers, names = zip(*people, strict=True)
    return numbers[0] == numbers[1] or (bool(names[0]) and names[0] == names[1])


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


def _person(connection: Connection, operator: int) -> tuple[int, str]:
    """Return the account that stands for an operator, and the full name without its form."""
    creator = connection.scalar(select(_keys.c.created_by).where(_keys.c.id == operator))
    number = operator if creator is None else creator
    name = connection.scalar(select(_users.c.full_name).where(_users.c.id == number))
    return number, " ".join((name or "").casefold().split())
