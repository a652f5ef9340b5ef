"""Create, revoke and list API keys, and find the operator of a key."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from webapp.columns import now
from webapp.extensions import db
from webapp.failures import NotFound
from webapp.people.operators import Operator, add_operator
from webapp.people.tables import ApiKey, OperatorRow

_operators, _keys = OperatorRow.__table__, ApiKey.__table__


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """The facts of an API key that may be shown."""

    name: str
    created_at: datetime
    revoked_at: datetime | None


def create_api_key(transaction: Connection, name: str) -> str:
    """Create an API key and return it; only its hash is kept."""
    key = f"ld_{secrets.token_urlsafe(32)}"
    number = add_operator(transaction, "api_key", name)
    transaction.execute(insert(_keys).values(id=number, digest=_digest(key)))
    return key


def revoke_api_key(transaction: Connection, name: str) -> None:
    key = select(_operators.c.id).where(_operators.c.kind == "api_key", _operators.c.name == name)
    in_use = (_keys.c.id == key.scalar_subquery()) & _keys.c.revoked_at.is_(None)
    if not transaction.execute(update(_keys).where(in_use).values(revoked_at=now())).rowcount:
        raise NotFound(f"there is no API key {name} in use")


def list_api_keys() -> Sequence[KeyFacts]:
    query = select(_operators.c.name, _operators.c.created_at, _keys.c.revoked_at)
    rows = db.session.execute(query.join_from(_operators, _keys).order_by(_operators.c.name))
    return [KeyFacts(*row) for row in rows]


def operator_of_key(key: str) -> Operator | None:
    """Return the operator of an API key, or None if the key is unknown or revoked."""
    query = select(_operators.c.id, _operators.c.name).join_from(_keys, _operators)
    in_use = query.where(_keys.c.digest == _digest(key), _keys.c.revoked_at.is_(None))
    row = db.session.execute(in_use).first()
    return Operator("api_key", row.id, row.name) if row else None


def _digest(key: str) -> str:
    # The key has 256 random bits, so a slow hash would not protect it better.
    return hashlib.sha256(key.encode()).hexdigest()
