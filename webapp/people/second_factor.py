"""The second factor: codes of an authenticator app, and recovery codes.

The codes are those of RFC 6238. Flask-Security's own pages accept a code twice and store recovery
codes in clear text, so only the library below them is used.
"""

import base64
import hashlib
import hmac
import re
import secrets
from typing import Any, NamedTuple

import segno
from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer
from passlib.exc import TokenError
from passlib.totp import TOTP
from sqlalchemy import Connection, delete, func, insert, select, update

from webapp.extensions import db
from webapp.failures import NotFound
from webapp.ledger.audit import record
from webapp.ledger.chain import Event
from webapp.people import throttle
from webapp.people.service import end_sessions
from webapp.people.tables import RecoveryCode, User

ISSUER = "Loan Desk"
RECOVERY_CODES = 10
RECOVERY_BYTES = 10  # 80 random bits: a slow hash would not protect them better
GROUP = 4  # characters of a recovery code between hyphens
CLOCK_SECONDS = 30  # that a phone may be wrong: the codes just before and just after are accepted
_users, _codes = User.__table__, RecoveryCode.__table__


class Enrolment(NamedTuple):
    """A new secret to be read by an authenticator app.

    The form holds it, encrypted and signed, until the first code proves that the app has it.
    """

    sealed: str
    key: str  # to be typed
    picture: str  # a QR code, as the address of an image


def enrol(user_id: int, username: str, secret: str | None) -> Enrolment:
    """Return a new secret, or one that a form has held already."""
    secret = secret or _library().new().to_json(encrypt=True)
    totp = _library().from_source(secret)
    code = segno.make(totp.to_uri(label=username.replace(":", " ")), error="m", micro=False)
    picture = code.svg_data_uri(scale=4, border=4, light="white")
    return Enrolment(_signer().dumps([user_id, secret]), totp.pretty_key(), picture)


def opened(sealed: str, user_id: int) -> str | None:
    """Return the secret, still encrypted, of a form that was made for this user."""
    try:
        owner, secret = _signer().loads(sealed)
    except BadSignature:
        return None
    return str(secret) if owner == user_id else None


def turn_on(transaction: Connection, user_id: int, *, secret: str, code: str) -> list[str] | None:
    """Turn the second factor on, and return new recovery codes; None if the code is wrong."""
    counter = _counter(secret, code)
    if counter is None:
        return None
    _set(transaction, user_id, totp_secret=secret, totp_counter=counter)
    record(transaction, "second_factor.on", f"operator:{user_id}", operator_id=user_id)
    return new_recovery_codes(transaction, user_id)


def turn_off(transaction: Connection, user_id: int, *, operator_id: int | None = None) -> None:
    """Turn the second factor of a user off; without an operator, it is the system who does so.

    If it is not the user, every session of the user ends: the device may be in other hands.
    """
    _set(transaction, user_id, totp_secret=None, totp_counter=None)
    transaction.execute(delete(_codes).where(_codes.c.user_id == user_id))
    throttle.forget(transaction, throttle.of_codes(user_id))  # else no other could be set up soon
    record(transaction, "second_factor.off", f"operator:{user_id}", operator_id=operator_id)
    if user_id != operator_id:
        end_sessions(transaction, user_id)


def new_recovery_codes(transaction: Connection, user_id: int) -> list[str]:
    """Replace the recovery codes of a user; only their hashes are kept."""
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    transaction.execute(delete(_codes).where(_codes.c.user_id == user_id))
    rows = [{"user_id": user_id, "digest": _digest(code)} for code in codes]
    transaction.execute(insert(_codes), rows)
    subject = f"operator:{user_id}"
    record(transaction, "second_factor.recovery_codes", subject, operator_id=user_id)
    return codes


def count_recovery_codes(user_id: int) -> int:
    """Return how many recovery codes a user has left."""
    query = select(func.count()).where(_codes.c.user_id == user_id)
    return int(db.session.scalar(query) or 0)


def accept(transaction: Connection, user_id: int, *, secret: str, code: str) -> bool:
    """Return whether a code is right, and use it up."""
    event: Event = "second_factor.refused"
    if _accept_app(transaction, user_id, secret=secret, code=code):
        event = "second_factor.accepted"
    elif _accept_recovery(transaction, user_id, code):
        event = "second_factor.recovery_used"
    record(transaction, event, f"operator:{user_id}", operator_id=user_id)
    return event != "second_factor.refused"


def mark_of(secret: str) -> str:
    """Return what a session holds that has passed the second factor with this secret."""
    return hashlib.sha256(secret.encode()).hexdigest()[:32]


def _accept_app(transaction: Connection, user_id: int, *, secret: str, code: str) -> bool:
    counter = _counter(secret, code)
    if counter is None:
        return False
    # Of several requests with one code, the database lets only one change the counter.
    newer = (_users.c.id == user_id) & (_users.c.totp_counter < counter)
    used = transaction.execute(update(_users).where(newer).values(totp_counter=counter))
    return bool(used.rowcount)


def _accept_recovery(transaction: Connection, user_id: int, code: str) -> bool:
    # Of several requests with one code, the database lets only one delete it.
    of_code = (_codes.c.user_id == user_id) & (_codes.c.digest == _digest(code))
    used = transaction.execute(delete(_codes).where(of_code))
    return bool(used.rowcount)


def _counter(secret: str, code: str) -> int | None:
    """Return the number of the half minute that a code belongs to, or None if it is wrong."""
    try:
        match = _library().verify(re.sub(r"\s", "", code), secret, window=CLOCK_SECONDS)
    except (TokenError, ValueError):
        return None
    return int(match.counter)


def _set(transaction: Connection, user_id: int, **values: Any) -> None:  # noqa: ANN401
    changed = transaction.execute(update(_users).where(_users.c.id == user_id).values(values))
    if not changed.rowcount:
        raise NotFound(f"there is no user {user_id}")


def _recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower()
    return "-".join(text[i : i + GROUP] for i in range(0, len(text), GROUP))


def _digest(code: str) -> str:
    return hashlib.sha256(re.sub(r"[\s-]", "", code).lower().encode(errors="replace")).hexdigest()


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="second factor")


def _library() -> type[TOTP]:
    """Return the library with the key that encrypts secrets, derived from the one of sessions."""
    key = hmac.digest(str(current_app.config["SECRET_KEY"]).encode(), b"second factor", "sha256")
    made: type[TOTP] = TOTP.using(secrets={"1": key.hex()}, issuer=ISSUER)
    return made
