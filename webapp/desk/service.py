"""Switch the desk between deciding and referring everything, and say which of them it does."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from webapp.columns import now
from webapp.desk.tables import MAX_REASON, DeskSwitch
from webapp.extensions import db
from webapp.failures import SwitchRefused
from webapp.ledger.audit import record
from webapp.ledger.chain import Event, facts_digest, iso
from webapp.ledger.driver import Driver, Reader
from webapp.ledger.transaction import add_row
from webapp.people.operators import Operator
from webapp.people.tables import OperatorRow

SHOWN = 20  # of the latest changes
REFERRING = "SELECT referring FROM desk_switches ORDER BY id DESC LIMIT 1"
# Of PostgreSQL's advisory locks: decisions share it, and a change of the switch excludes them.
# Whatever is stored after the change has therefore seen it.
LOCK = "hashtext('loan_desk'), hashtext('switch')"
HOLD_SWITCH = f"SELECT pg_advisory_xact_lock_shared({LOCK})"


@dataclass(frozen=True, slots=True)
class Switch:
    """A change of what the desk does, with its reason."""

    created_at: datetime
    operator: str
    referring: bool
    reason: str


def is_referring(reader: Driver | Reader | None = None) -> bool:
    """Return whether every application is referred to a person."""
    reader = reader or Driver.of(db.session.connection())
    rows = reader.fetch(REFERRING, ())
    return bool(rows and rows[0][0])


def list_switches() -> Sequence[Switch]:
    """Return the latest changes, newest first."""
    query = select(
        DeskSwitch.created_at, OperatorRow.name, DeskSwitch.referring, DeskSwitch.reason
    ).join(OperatorRow, OperatorRow.id == DeskSwitch.operator_id)
    rows = db.session.execute(query.order_by(DeskSwitch.id.desc()).limit(SHOWN))
    return [Switch(*row) for row in rows]


def switch(transaction: Connection, *, referring: bool, reason: str, operator: Operator) -> None:
    """Refer every application from now on, or decide again.

    Raises SwitchRefused without a reason, or if the desk does so already.
    """
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= MAX_REASON or not reason.isprintable():
        raise SwitchRefused(f"state a reason of 1 to {MAX_REASON} printable characters")
    if transaction.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        transaction.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    latest = select(DeskSwitch.id, DeskSwitch.referring).order_by(DeskSwitch.id.desc()).limit(1)
    last, refers = transaction.execute(latest).first() or (0, False)
    if refers == referring:
        raise SwitchRefused(f"the desk {'refers everything' if referring else 'decides'} already")
    number, moment = last + 1, now()
    facts = {"created_at": moment, "operator_id": operator.id, "referring": referring}
    add_row(transaction, DeskSwitch, id=number, **facts, reason=reason)
    event: Event = "desk.referring" if referring else "desk.deciding"
    digest = facts_digest([number, iso(moment), operator.id, referring, reason])
    subject = f"switch:{number}"
    record(transaction, event, subject, operator_id=operator.id, moment=moment, facts=digest)
