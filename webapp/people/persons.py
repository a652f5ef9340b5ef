"""The people as admins see them, and which accounts and API keys belong to one person."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from webapp.extensions import db
from webapp.failures import NotFound
from webapp.people.access import ROLES
from webapp.people.tables import ApiKey, OperatorRow, Role, User

STROKE = re.compile(r"LATIN SMALL LETTER ([A-Z]) WITH STROKE\b")
_users, _keys, _operators = User.__table__, ApiKey.__table__, OperatorRow.__table__


@dataclass(frozen=True, slots=True)
class Person:
    """A user's account, without its secrets."""

    id: int
    name: str
    full_name: str
    active: bool
    roles: tuple[Role, ...]
    second_factor: bool
    created_at: datetime


def list_people() -> list[Person]:
    """Return every user by name."""
    return [_person(user) for user in db.session.scalars(select(User).order_by(User.name))]


def find_person(number: int) -> Person:
    user = db.session.get(User, number)
    if user is None:
        raise NotFound(f"there is no user {number}")
    return _person(user)


def same_person(transaction: Connection, operator_id: int, other_id: int) -> bool:
    """Return whether two operators are known to be one person.

    They are if they have the same account, or names that differ only in case, accents, punctuation
    or the order of their words. The name of an account without a full name is its user name. An API
    key belongs to the person who created it.
    """
    one, other = (_owner(transaction, number) for number in (operator_id, other_id))
    if one == other:
        return True
    query = (
        select(_users.c.full_name, _operators.c.name)
        .join(_operators, _operators.c.id == _users.c.id)
        .where(_users.c.id.in_([one, other]))
    )
    names = [words_of(full or name) for full, name in transaction.execute(query)]
    return len(names) == 2 and names[0] == names[1] != ()


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name, sorted, without case, accents and punctuation."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    kept = (_plain(c) for c in letters if not unicodedata.combining(c))
    return tuple(sorted("".join(c if c.isalnum() else " " for c in kept).split()))


def _plain(letter: str) -> str:
    """Return a letter without a stroke, which Unicode does not decompose: ł is l, ø is o."""
    found = STROKE.match(unicodedata.name(letter, ""))
    return found[1].lower() if found else letter


def _owner(transaction: Connection, operator_id: int) -> int:
    """Return the operator who created an API key, or the operator itself."""
    creator = transaction.scalar(select(_keys.c.created_by).where(_keys.c.id == operator_id))
    return operator_id if creator is None else creator


def _person(user: User) -> Person:
    held = {row.role for row in user.role_rows}
    return Person(
        user.id,
        user.name,
        user.full_name or "",
        user.active,
        tuple(role for role in ROLES if role in held),
        user.totp_secret is not None,
        user.created_at,
    )
