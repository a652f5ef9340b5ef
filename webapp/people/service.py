"""Create, disable and enable users, set their passwords and roles, and end their sessions."""

import uuid
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from webapp.extensions import security
from webapp.failures import LastAdmin, NameRefused, NotFound, OwnAccount
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
    temporary: bool = False,
    operator_id: int | None = None,
) -> int:
    """Create a user and return its number; without an operator who does so, it is the system.

    The user replaces a temporary password at the next sign-in.
    """
    name = _as_signed_in(username)
    number = add_operator(transaction, "user", name)
    password = {"password": password_hash, "password_is_temporary": temporary}
    row = {**password, "active": True, "full_name": full_name, **_new_sessions()}
    transaction.execute(insert(_users).values(id=number, **row))
    record(transaction, "user.created", f"operator:{number}", operator_id=operator_id)
    _add_roles(transaction, number, roles, operator_id=operator_id)
    return number


def create_first_user(transaction: Connection, username: str, *, password_hash: str) -> bool:
    """Create a user if there is none at all, and return whether it was created."""
    if transaction.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        transaction.exec_driver_sql("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
    if transaction.scalar(select(_users.c.id).limit(1)) is not None:
        return False
    create_user(
        transaction, username, password_hash=password_hash, roles=FIRST_ROLES, temporary=True
    )
    return True


def number_of(transaction: Connection, username: str) -> int:
    """Return the number of the user of that name."""
    name = _as_signed_in(username)
    user = select(_operators.c.id).where(_operators.c.kind == "user", _operators.c.name == name)
    number: int | None = transaction.scalar(user.join(_users, _users.c.id == _operators.c.id))
    if number is None:
        raise NotFound(f"there is no user {username}")
    return number


def set_password(
    transaction: Connection,
    number: int,
    *,
    password_hash: str,
    temporary: bool = False,
    operator_id: int | None = None,
) -> str:
    """Set a user's password, end every session of the user, and return what new ones hold."""
    sessions = _new_sessions()
    password = {"password": password_hash, "password_is_temporary": temporary}
    _change(transaction, number, **password, **sessions)
    record(transaction, "user.password_set", f"operator:{number}", operator_id=operator_id)
    return sessions["fs_uniquifier"]


def set_full_name(
    transaction: Connection, number: int, full_name: str, *, operator_id: int | None = None
) -> None:
    _change(transaction, number, full_name=full_name or None)
    record(transaction, "user.full_name_set", f"operator:{number}", operator_id=operator_id)


def set_roles(
    transaction: Connection, number: int, roles: Iterable[Role], *, operator_id: int | None = None
) -> None:
    """Set a user's roles, and end every session of the user if they change.

    Raises OwnAccount or LastAdmin.
    """
    new = set(roles)
    _lock(transaction)
    old = set(transaction.scalars(select(_roles.c.role).where(_roles.c.user_id == number)))
    if old == new:
        return
    if "admin" in old - new:
        _keep_an_admin(transaction, number, operator_id=operator_id)
    end_sessions(transaction, number)
    transaction.execute(delete(_roles).where(_roles.c.user_id == number))
    _add_roles(transaction, number, new, operator_id=operator_id)


def set_active(
    transaction: Connection, number: int, *, active: bool, operator_id: int | None = None
) -> None:
    """Enable or disable a user, and end every session of the user.

    Raises OwnAccount or LastAdmin.
    """
    _lock(transaction)
    if not active:
        _keep_an_admin(transaction, number, operator_id=operator_id)
    _change(transaction, number, active=active, **_new_sessions())
    event: Event = "user.enabled" if active else "user.disabled"
    record(transaction, event, f"operator:{number}", operator_id=operator_id)


def end_sessions(transaction: Connection, number: int) -> None:
    """End every session of a user, also those with a copied cookie."""
    _change(transaction, number, **_new_sessions())


def _change(transaction: Connection, number: int, **values: Any) -> None:  # noqa: ANN401
    changed = transaction.execute(update(_users).where(_users.c.id == number).values(values))
    if not changed.rowcount:
        raise NotFound(f"there is no user {number}")


def _add_roles(
    transaction: Connection, number: int, roles: Iterable[Role], *, operator_id: int | None
) -> None:
    names = sorted(set(roles))
    transaction.execute(insert(_roles), [{"user_id": number, "role": role} for role in names])
    subject = f"operator:{number} {'+'.join(names)}"
    record(transaction, "user.roles_set", subject, operator_id=operator_id)


def _lock(transaction: Connection) -> None:
    """Let no other transaction take a role or an account from an admin until this one has ended."""
    if transaction.dialect.name == "postgresql":
        transaction.exec_driver_sql("LOCK TABLE user_roles IN SHARE ROW EXCLUSIVE MODE")


def _keep_an_admin(transaction: Connection, number: int, *, operator_id: int | None) -> None:
    """Refuse to take rights from oneself, or from the last admin who can sign in."""
    if number == operator_id:
        raise OwnAccount("nobody takes rights from his or her own account: another admin does")
    admins = select(func.count()).join_from(_users, _roles, _roles.c.user_id == _users.c.id)
    admins = admins.where(_roles.c.role == "admin", _users.c.active)
    if transaction.scalar(admins.where(_users.c.id == number)) == transaction.scalar(admins) == 1:
        raise LastAdmin("this is the last admin who can sign in: make another one first")


def _new_sessions() -> dict[str, str]:
    """Return a new value of the column that Flask-Security compares with each session's."""
    return {"fs_uniquifier": uuid.uuid4().hex}


def _as_signed_in(username: str) -> str:
    """Return a name as the sign-in form normalises it; raises NameRefused if the form does."""
    normalised: str | None = security.username_util.normalize(username)
    if not normalised:
        raise NameRefused(f"{username!r} cannot be a user's name")
    return normalised
