"""Create, activate and deactivate users, set their passwords, and end their sessions."""

import uuid
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, insert, select, update

from webapp.extensions import security
from webapp.failures import NameRefused, NotFound
from webapp.ledger.audit import record
from webapp.ledger.chain import Event
from webapp.people.operators import add_operator
from webapp.people.tables import OperatorRow, Role, User, UserRole

FIRST_ROLES: tuple[Role, ...] = ("admin", "clerk", "analyst")  # of the first user
_operators, _users, _roles = OperatorRow.__table__, User.__table__, UserRole.__table__


def create_user(
    transaction: Connection,
    username: str,
    *,
    password_hash: str,
    roles: Iterable[Role],
    full_name: str | None = None,
) -> None:
    name = _as_signed_in(username)
    number = add_operator(transaction, "user", name)
    row = {"password": password_hash, "active": True, "full_name": full_name, **_new_sessions()}
    transaction.execute(insert(_users).values(id=number, **row))
    record(transaction, "user.created", f"operator:{number}")
    _add_roles(transaction, number, roles)


def create_first_user(transaction: Connection, username: str, *, password_hash: str) -> bool:
    """Create a user if there is none at all, and return whether it was created."""
    if transaction.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        transaction.exec_driver_sql("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
    if transaction.scalar(select(_users.c.id).limit(1)) is not None:
        return False
    create_user(transaction, username, password_hash=password_hash, roles=FIRST_ROLES)
    return True


def set_password(transaction: Connection, username: str, *, password_hash: str) -> None:
    """Set a user's password, and end every session of the user."""
    _change(transaction, username, "user.password_set", password=password_hash)


def set_active(transaction: Connection, username: str, *, active: bool) -> None:
    """Activate or deactivate a user, and end every session of the user."""
    event: Event = "user.activated" if active else "user.deactivated"
    _change(transaction, username, event, active=active)


def end_sessions(transaction: Connection, user_id: int) -> None:
    """End every session of a user, also those with a copied cookie."""
    transaction.execute(update(_users).where(_users.c.id == user_id).values(_new_sessions()))


def _add_roles(transaction: Connection, number: int, roles: Iterable[Role]) -> None:
    names = sorted(set(roles))
    transaction.execute(insert(_roles), [{"user_id": number, "role": role} for role in names])
    record(transaction, "user.roles_set", f"operator:{number} {'+'.join(names)}")


def _change(
    transaction: Connection,
    username: str,
    event: Event,
    **values: Any,  # noqa: ANN401
) -> None:
    name = _as_signed_in(username)
    user = select(_operators.c.id).where(_operators.c.kind == "user", _operators.c.name == name)
    number = transaction.scalar(user)
    if number is None:
        raise NotFound(f"there is no user {username}")
    statement = update(_users).where(_users.c.id == number)
    transaction.execute(statement.values(values | _new_sessions()))
    record(transaction, event, f"operator:{number}")


def _new_sessions() -> dict[str, str]:
    """Return a new value of the column that Flask-Security compares with each session's."""
    return {"fs_uniquifier": uuid.uuid4().hex}


def _as_signed_in(username: str) -> str:
    """Return a name as the sign-in form normalises it; raises NameRefused if the form does."""
    normalised: str | None = security.username_util.normalize(username)
    if not normalised:
        raise NameRefused(f"{username!r} cannot be a user's name")
    return normalised
