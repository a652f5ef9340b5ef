"""Users: created, and given passwords."""

from flask_security import hash_password
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from webapp.extensions import db, security
from webapp.failures import NameRefused, NameTaken, NotFound
from webapp.ledger.transaction import writing
from webapp.people.tables import User


def create_user(username: str, password: str) -> None:
    username = _as_signed_in(username)
    try:
        with writing():
            security.datastore.create_user(username=username, password=hash_password(password))
    except IntegrityError:
        raise NameTaken(f"there is a user {username} already") from None


def set_password(username: str, password: str) -> None:
    """Set a user's password; every session of theirs ends."""
    digest = hash_password(password)
    with writing():
        name = _as_signed_in(username)
        user = db.session.scalar(select(User).filter_by(username=name))
        if user is None:
            raise NotFound(f"there is no user {username}")
        user.password = digest
        security.datastore.set_uniquifier(user)


def _as_signed_in(username: str) -> str:
    """Return a name as the sign-in form will read it, which normalises and may refuse it."""
    read: str | None = security.username_util.normalize(username)
    if not read:
        raise NameRefused(f"{username!r} cannot be a user's name")
    return read


def create_first_user(username: str, password: str) -> bool:
    """Create a user if there is none at all, and say whether that was so."""
    digest = hash_password(password)
    try:
        with writing():
            if db.session.scalar(select(User.id).limit(1)) is not None:
                return False
            security.datastore.create_user(username=username, password=digest)
    except IntegrityError:  # another replica was first
        return False
    return True
