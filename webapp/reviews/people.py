"""Who may review what: nobody the own decisions."""

from sqlalchemy import Connection, select

from webapp.people.tables import User

_users = User.__table__


def same_person(_connection: Connection, one: int, other: int) -> bool:
    return one == other


def is_reviewer(connection: Connection, operator_id: int) -> bool:
    active = select(_users.c.active).where(_users.c.id == operator_id)
    return bool(connection.scalar(active))
