"""Makes, hashes and checks passwords; slow, so call it outside of transactions."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Literal

from flask_security import hash_password
from flask_security.utils import verify_password
from werkzeug.exceptions import TooManyRequests

from webapp.extensions import security

MIN_PASSWORD = 12  # characters
MIN_DIFFERENT = 5  # characters: otherwise it is one key pressed often, or a short word repeated
MAX_PASSWORD = 1_000  # generated passwords are shorter, and long ones are slow to hash
MAX_HASHES = 1  # computed at once by one worker; each uses several cores and 64 MiB
MAX_WAITING = 1  # requests that wait for a hash and keep a thread; the next one is refused at once
MAX_WAIT = 1.0  # seconds that a request waits for a hash
_hashing = BoundedSemaphore(MAX_HASHES)
_admitted = BoundedSemaphore(MAX_HASHES + MAX_WAITING)
Fault = Literal["short", "long", "simple", "name", "same"]


@contextmanager
def hashing() -> Iterator[None]:
    """Wait until this process may compute a hash; raises TooManyRequests."""
    if not _admitted.acquire(blocking=False):
        raise TooManyRequests
    try:
        if not _hashing.acquire(timeout=MAX_WAIT):
            raise TooManyRequests
        try:
            yield
        finally:
            _hashing.release()
    finally:
        _admitted.release()


def new_password() -> tuple[str, str]:
    """Return a generated password and its hash; raises TooManyRequests."""
    password = secrets.token_urlsafe(12)
    return password, hashed(password)


def hashed(password: str) -> str:
    """Return the hash of a password; raises TooManyRequests."""
    with hashing():
        made: str = hash_password(_normalized(password))
    return made


def matches(password: str, stored: str) -> bool:
    """Return whether a password has this hash; raises TooManyRequests."""
    with hashing():
        right: bool = verify_password(_normalized(password), stored)
    return right


def fault_of(password: str, *, username: str, present: str) -> Fault | None:
    """Return what is wrong with a chosen password, if something is; the present one is a hash."""
    if len(password) < MIN_PASSWORD:
        return "short"
    if len(password) > MAX_PASSWORD:
        return "long"
    if len(set(password.casefold())) < MIN_DIFFERENT:
        return "simple"
    if password.casefold() in (username.casefold(), username.casefold() * 2):
        return "name"
    return "same" if matches(password, present) else None


def _normalized(password: str) -> str:
    """Return a password as the sign-in form compares it: keyboards encode an é in two ways."""
    normalized: str = security.password_util.normalize(password)
    return normalized
