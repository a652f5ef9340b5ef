"""Makes, hashes and checks passwords; slow, so call it outside of transactions."""

import secrets
from typing import Literal

from flask_security import hash_password
from flask_security.utils import verify_password

from webapp.extensions import security

MIN_PASSWORD = 12  # characters
MAX_PASSWORD = 1_000  # generated passwords are shorter, and long ones are slow to hash
Fault = Literal["short", "long", "name", "same"]


def new_password() -> tuple[str, str]:
    """Return a generated password and its hash."""
    password = secrets.token_urlsafe(12)
    return password, hash_password(password)


def hashed(password: str) -> str:
    made: str = hash_password(_normalized(password))
    return made


def matches(password: str, stored: str) -> bool:
    right: bool = verify_password(_normalized(password), stored)
    return right


def fault_of(password: str, *, username: str, present: str) -> Fault | None:
    """Return what is wrong with a chosen password, if something is; the present one is a hash."""
    if len(password) < MIN_PASSWORD:
        return "short"
    if len(password) > MAX_PASSWORD:
        return "long"
    if password.casefold() in (username.casefold(), username.casefold() * 2):
        return "name"
    return "same" if matches(password, present) else None


def _normalized(password: str) -> str:
    """Return a password as the sign-in form compares it: keyboards encode an é in two ways."""
    normalized: str = security.password_util.normalize(password)
    return normalized
