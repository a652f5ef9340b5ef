"""API keys: created, revoked, and whom one stands for."""

import hashlib
import secrets
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from webapp.columns import now
from webapp.extensions import db
from webapp.failures import NameTaken, NotFound
from webapp.ledger.transaction import writing
from webapp.people.operator import Operator
from webapp.people.tables import ApiKey


def create_api_key(name: str) -> str:
    """Create an API key and return it; only its hash is kept."""
    key = f"ld_{secrets.token_urlsafe(32)}"
    try:
        with writing():
            db.session.add(ApiKey(name=name, digest=_digest(key)))
    except IntegrityError:
        raise NameTaken(f"there is an API key {name} already") from None
    return key


def revoke_api_key(name: str) -> None:
    with writing():
        found = db.session.scalar(select(ApiKey).filter_by(name=name, revoked_at=None))
        if found is None:
            raise NotFound(f"there is no API key {name} in use")
        found.revoked_at = now()


def list_api_keys() -> Sequence[ApiKey]:
    return list(db.session.scalars(select(ApiKey).order_by(ApiKey.name)))


def operator_of_key(key: str) -> Operator | None:
    """Return whom an API key stands for, or None for a key that is unknown or revoked."""
    query = select(ApiKey).filter_by(digest=_digest(key), revoked_at=None)
    found = db.session.scalar(query)
    return found and Operator("api_key", found.id, found.name)


def _digest(key: str) -> str:
    # The key is 256 random bits: a slow hash would protect nothing more.
    return hashlib.sha256(key.encode()).hexdigest()
