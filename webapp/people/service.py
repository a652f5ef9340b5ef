"""Users: created, and given passwords."""

import uuid

from sqlalchemy import Connection, insert, select, update

from webapp.extensions import security
from webapp.failures import NameRefused, NotFound
from webapp.people.operators import add_operator
from webapp.people.tables import OperatorRow, User

_operators, _users = OperatorRow.__table__, User.__table__


def create_user(transaction: Connection, username: str, *, password_hash: str) -> None:
    name = _as_signed_in(username)
    number = add_operator(transaction, "user", name)
    row = {"password": password_hash, "active": True, "fs_uniquifier": uuid.uuid4().hex}
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
    name = _as_signed_in(username)
    user = select(_operators.c.id).where(_operators.c.kind == "user", _operators.c.name == name)
    values = {"password": password_hash, "fs_uniquifier": uuid.uuid4().hex}
    changed = transaction.execute(
        update(_users).where(_users.c.id == user.scalar_subquery()).values(values)
    )
    if not changed.rowcount:
        raise NotFound(f"there is no user {username}")


def _as_signed_in(username: str) -> str:
    """Return a name as the sign-in form will read it, which normalises and may refuse it."""
    read: str | None = security.username_util.normalize(username)
    if not read:
        raise NameRefused(f"{username!r} cannot be a user's name")
    return read
