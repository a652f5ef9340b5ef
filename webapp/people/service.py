"""Users: created, given passwords, let in or kept out; and their sessions, which end."""

import uuid
from typing import Any

from sqlalchemy import Connection, insert, select, update

from webapp.extensions import security
from webapp.failures import NameRefused, NotFound
from webapp.people.operators import add_operator
from webapp.people.tables import OperatorRow, User

_operators, _users = OperatorRow.__table__, User.__table__


def create_user(transaction: Connection, username: str, *, password_hash: str) -> None:
    name = _as_signed_in(username)
    number = add_operator(transaction, "user", name)
    row = {"password": password_hash, "active": True, **_new_sessions()}
    transaction.execute(insert(_users).values(id=number, **row))


def create_first_user(transaction: Connection, username: str, *, password_hash: str) -> bool:
    """Create a user if there is none at all, and say whether that was so."""
    if transaction.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        transaction.exec_driver_sql("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
    if transaction.scalar(select(_users.c.id).limit(1)) is not None:
        return False
    create_user(transaction, username, password_hash=password_hash)
    return True


def set_password(transaction: Connection, username: str, *, password_hash: str) -> None:
    """Set a user's password; every session of theirs ends."""
    _change(transaction, username, password=password_hash)


def set_active(transaction: Connection, username: str, *, active: bool) -> None:
    """Let a user sign in, or no longer; every session of theirs ends."""
    _change(transaction, username, active=active)


def end_sessions(transaction: Connection, user_id: int) -> None:
    """End every session of a user, whoever holds its cookie."""
    transaction.execute(update(_users).where(_users.c.id == user_id).values(_new_sessions()))


def _change(transaction: Connection, username: str, **values: Any) -> None:  # noqa: ANN401
    name = _as_signed_in(username)
    user = select(_operators.c.id).where(_operators.c.kind == "user", _operators.c.name == name)
    statement = update(_users).where(_users.c.id == user.scalar_subquery())
    if not transaction.execute(statement.values(values | _new_sessions())).rowcount:
        raise NotFound(f"there is no user {username}")


def _new_sessions() -> dict[str, str]:
    """Return what Flask-Security compares with a session's at every request, made anew."""
    return {"fs_uniquifier": uuid.uuid4().hex}


def _as_signed_in(username: str) -> str:
    """Return a name as the sign-in form will read it, which normalises and may refuse it."""
    read: str | None = security.username_util.normalize(username)
    if not read:
        raise NameRefused(f"{username!r} cannot be a user's name")
    return read
