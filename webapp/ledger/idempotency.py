"""Idempotency keys: what a request claims with its key, and what the key was used for before."""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, TypeVar

from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

from webapp.failures import InFlight, InvalidKey, KeyClaimed, KeyReused
from webapp.ledger.driver import Driver, Reader
from webapp.ledger.transaction import end_reading

T = TypeVar("T")

# The IETF's draft allows any string in quotation marks. Here they may be left out, and a key has no
# character that a proxy, a log or a shell could change.
KEY = re.compile(r"[A-Za-z0-9_.:~+/=-]{1,255}", re.ASCII)
NO_SALT = b""  # of an outcome, which is never erased
IN_FLIGHT = "another process is working on a request with the same key"
LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL's SQLSTATE
FIND = (
    "SELECT i.fingerprint, i.language, i.decision_id, i.outcome_id, c.salt FROM idempotency_keys i "
    "LEFT JOIN decision_contents c ON c.decision_id = i.decision_id "
    "WHERE i.operator_id = ? AND i.digest = ?"
)


class Claim(NamedTuple):
    """What a request claims: that its key, which is the operator's own on one route, is new."""

    operator_id: int
    digest: bytes  # of the route and the key
    sent: bytes  # the SHA-256 of what was sent
    language: str  # of the texts in the answer


class Used(NamedTuple):
    """What an idempotency key was used for."""

    language: str
    number: int  # of the decision or the outcome, which depends on the route


def read_key(header: str) -> str:
    """Return the key in the header Idempotency-Key; raises InvalidKey."""
    quoted = len(header) > 1 and header[0] == header[-1] == '"'
    key = header[1:-1] if quoted else header
    if not KEY.fullmatch(key):
        raise InvalidKey
    return key


def key_digest(route: str, key: str) -> bytes:
    """Return what is stored of a key, which may be any text of a client."""
    return hashlib.sha256(f"{route} {key}".encode()).digest()


def body_digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def fingerprint(sent: bytes, salt: bytes) -> bytes:
    """Return what is stored of a request, to tell it from another one with the same key.

    Once the salt is erased with the contents, nobody can find out from it what was sent.
    """
    return hmac.digest(salt, sent, "sha256")


def find_use(reader: Reader, claim: Claim) -> Used | None:
    """Return what a key was used for; raises KeyReused if that was another request."""
    rows = reader.fetch(FIND, (claim.operator_id, claim.digest))
    if not rows:
        return None
    stored, language, decision_id, outcome_id, salt = rows[0]
    if outcome_id is not None:
        salt = NO_SALT
    if salt is not None and bytes(stored) != fingerprint(claim.sent, bytes(salt)):
        raise KeyReused
    return Used(language, decision_id if outcome_id is None else outcome_id)


def write_claim(driver: Driver, claim: Claim, *, outcome_id: int) -> None:
    """Store that a key was used for an outcome, in the transaction that records it."""
    columns = ("operator_id", "digest", "fingerprint", "language", "outcome_id")
    mark = fingerprint(claim.sent, NO_SALT)
    row = (claim.operator_id, claim.digest, mark, claim.language, outcome_id)
    driver.insert("idempotency_keys", columns, [row])


def store_once(
    find: Callable[[Claim], Used | None], claim: Claim | None, store: Callable[[], T]
) -> T | Used:
    """Store something, or return what the claim's key was used for before.

    Raises KeyReused if that was another request, InFlight, and what `store` raises.
    """
    while True:
        used = find(claim) if claim else None
        if used:
            end_reading()  # it may have begun before the other request committed
            return used
        with suppress(KeyClaimed), claiming(claim):  # another request may use the key meanwhile
            return store()


@contextmanager
def claiming(key: object) -> Iterator[None]:
    """Raise KeyClaimed or InFlight for the errors of a database in which a key stands already."""
    try:
        yield
    except (IntegrityError, OperationalError) as error:
        meaning = of_key(error, key)
        if meaning is error:
            raise
        raise meaning from error


def of_key(error: Exception, key: object) -> Exception:
    """Return KeyClaimed or InFlight if a key that stands in the database has caused an error."""
    if isinstance(error, IntegrityError) and key is not None and stands_already(error):
        return KeyClaimed()
    if isinstance(error, OperationalError) and waited_for_key(error):
        return InFlight(IN_FLIGHT)
    return error


def stands_already(error: IntegrityError) -> bool:
    """Return whether a key was not stored because it has been stored before."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is None:
        return str(error.orig).startswith("idempotency_keys")  # the message of SQLite's trigger
    return bool(diagnosis.constraint_name == "pk_idempotency_keys")


def waited_for_key(error: OperationalError | InterfaceError) -> bool:
    """Return whether PostgreSQL waited too long for a transaction that stores the same key."""
    diagnosis = getattr(error.orig, "diag", None)
    return (
        diagnosis is not None
        and diagnosis.sqlstate == LOCK_NOT_AVAILABLE
        and "pk_idempotency_keys" in (diagnosis.context or "")
    )
