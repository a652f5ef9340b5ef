"""Idempotency keys: what a request claims with its key, and what the key was used for before."""

import hashlib
import hmac
import re
from typing import NamedTuple

from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

from webapp.failures import InvalidKey, KeyReused
from webapp.ledger.driver import Reader

# The IETF's draft allows any string in quotation marks. Here they may be left out, and a key has no
# character that a proxy, a log or a shell could change.
KEY = re.compile(r"[A-Za-z0-9_.:~+/=-]{1,255}", re.ASCII)
LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL's SQLSTATE
FIND = (
    "SELECT i.fingerprint, i.language, i.decision_id, c.salt FROM idempotency_keys i "
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
    decision_id: int


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
    stored, language, decision_id, salt = rows[0]
    if salt is not None and bytes(stored) != fingerprint(claim.sent, bytes(salt)):
        raise KeyReused
    return Used(language, decision_id)


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
