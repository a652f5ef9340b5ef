"""Create, revoke and list API keys, and find the operator of a key."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from webapp.columns import now
from webapp.extensions import db
from webapp.failures import NotFound
from webapp.ledger.audit import record
from webapp.ledger.driver import Driver, Reader
from webapp.people.operators import Operator, add_operator, system
from webapp.people.tables import ApiKey, OperatorRow

IN_USE = (
    "SELECT k.digest, o.id, o.name FROM api_keys k JOIN operators o ON o.id = k.id "
    "WHERE k.revoked_at IS NULL AND k.digest IN ({})"
)
_operators, _keys = OperatorRow.__table__, ApiKey.__table__


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """The facts of an API key that may be shown."""

    name: str
    id: int
    created_at: datetime
    created_by: str
    revoked_at: datetime | None


def create_api_key(transaction: Connection, name: str, *, created_by: int | None = None) -> str:
    """Create an API key and return it; only its hash is kept.

    Without an operator who creates it, it is the system's.
    """
    key = f"ld_{secrets.token_urlsafe(32)}"
    creator = system(transaction).id if created_by is None else created_by
    number = add_operator(transaction, "api_key", name)
    transaction.execute(
        insert(_keys).values(id=number, digest=digest_of_key(key), created_by=creator)
    )
    record(transaction, "api_key.created", f"operator:{number}", operator_id=creator)
    return key


def revoke_api_key(transaction: Connection, name: str, *, operator_id: int | None = None) -> None:
    """Revoke a key immediately; without an operator who does so, it is the system."""
    in_use = (_operators.c.name == name) & _keys.c.revoked_at.is_(None)
    key = select(_keys.c.id).join(_operators, _operators.c.id == _keys.c.id).where(in_use)
    number = transaction.scalar(key.where(_operators.c.kind == "api_key"))
    if number is None:
        raise NotFound(f"there is no API key {name} in use")
    transaction.execute(update(_keys).where(_keys.c.id == number).values(revoked_at=now()))
    record(transaction, "api_key.revoked", f"operator:{number}", operator_id=operator_id)


def list_api_keys() -> Sequence[KeyFacts]:
    creators = _operators.alias()
    query = (
        select(
            *(_operators.c.name, _operators.c.id, _operators.c.created_at),
            *(creators.c.name, _keys.c.revoked_at),
        )
        .join_from(_operators, _keys, _operators.c.id == _keys.c.id)
        .join(creators, creators.c.id == _keys.c.created_by)
    )
    rows = db.session.execute(query.order_by(_operators.c.name))
    return [KeyFacts(*row) for row in rows]


def keys_in_use(creator: int) -> Sequence[str]:
    """Return the names of the keys that a person has created and nobody has revoked."""
    names = select(_operators.c.name).join(_keys, _keys.c.id == _operators.c.id)
    mine = (_keys.c.created_by == creator, _keys.c.revoked_at.is_(None))
    return db.session.scalars(names.where(*mine).order_by(_operators.c.name)).all()


def operator_of_key(key: str) -> Operator | None:
    """Return the operator of an API key, or None if the key is unknown or revoked."""
    return operators_of(Driver.of(db.session.connection()), [key]).get(key)


def operators_of(reader: Driver | Reader, keys: Iterable[str]) -> dict[str, Operator]:
    """Return the operators of those API keys that are in use."""
    by_digest = {digest_of_key(key): key for key in keys}
    statement = IN_USE.format(", ".join("?" * len(by_digest)))
    rows = reader.fetch(statement, tuple(by_digest))
    return {by_digest[digest]: Operator("api_key", number, name) for digest, number, name in rows}


def bearer_key(header: str) -> str:
    """Return the key in the header Authorization, or an empty text."""
    scheme, _, key = header.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def digest_of_key(key: str) -> str:
    # The key has 256 random bits, so a slow hash would not protect it better.
    return hashlib.sha256(key.encode()).hexdigest()
