"""Operators: the people and API keys that make requests, and the system itself."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from webapp.columns import now
from webapp.failures import NameTaken
from webapp.ledger.audit import system_id
from webapp.ledger.driver import Driver
from webapp.ledger.transaction import add_row
from webapp.people.tables import OperatorRow

Kind = Literal["user", "api_key", "system"]


@dataclass(frozen=True, slots=True)
class Operator:
    """A person, an API key or the system; a row of the table `operators`."""

    kind: Kind
    id: int
    name: str
    roles: frozenset[str] = frozenset()  # a person's; API keys and the system have none


def system(transaction: Connection) -> Operator:
    """Return the operator that stands for the system and its commands."""
    return Operator("system", system_id(Driver.of(transaction)), "system")


def add_operator(transaction: Connection, kind: Kind, name: str) -> int:
    """Add an operator and return its number."""
    try:
        return add_row(transaction, OperatorRow, kind=kind, name=name, created_at=now())
    except IntegrityError:
        owner = "a user" if kind == "user" else "an API key"
        raise NameTaken(f"there is {owner} {name} already") from None
