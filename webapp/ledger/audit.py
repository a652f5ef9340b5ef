"""Adds entries to the audit log, in the transaction of the events that they tell of."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from webapp.columns import now
from webapp.ledger.chain import IS_FEW, START, Entry, Event, NewEntry, facts_digest, iso, link
from webapp.ledger.driver import Driver

COLUMNS = Entry._fields
FIRST_LANE = 1
# On SQLite one transaction excludes all others, so one lane is enough.
HEAD = """
SELECT max(number), (SELECT hash FROM audit_log WHERE lane = 1 ORDER BY number DESC LIMIT 1),
    (SELECT max(id) FROM decisions)
FROM audit_log WHERE lane = 1
"""
TAKE = """
SELECT lane, number, hash, waited,
    (SELECT array_agg(nextval('decisions_id_seq')) FROM generate_series(1, ?))
FROM take_lane()
"""
NEXT_LANE = "SELECT max(id) + 1 FROM audit_lanes"
SYSTEM = "SELECT id FROM operators WHERE kind = 'system'"
ACTIVE = (
    "SELECT subject, facts FROM audit_log WHERE event = 'bundle.activated' "  # noqa: S608 - a constant
    f"AND {IS_FEW} ORDER BY created_at DESC LIMIT 1"
)


class Lane:
    """The lane that a transaction has taken; no other transaction adds to it meanwhile."""

    def __init__(self, driver: Driver, lane: int, number: int, head: bytes) -> None:
        self._driver, self._lane, self._number, self._head = driver, lane, number, head

    def add(self, entries: Sequence[NewEntry], moment: datetime) -> None:
        """Add entries, all of one moment."""
        linked = link(
            entries,
            lane=self._lane,
            number=self._number,
            created_at=iso(moment),
            previous=self._head,
        )
        self._number, self._head = linked[-1].number, linked[-1].hash
        stored = self._driver.moment(moment)
        rows = [(*entry[:2], stored, *entry[3:]) for entry in linked]
        self._driver.insert("audit_log", COLUMNS, rows)


def take_lane(driver: Driver, *, decisions: int = 0) -> tuple[Lane, list[int]]:
    """Return a lane for this transaction, and ids for a number of new decisions."""
    if not driver.postgresql:
        [(number, head, last)] = driver.fetch(HEAD)
        ids = list(range((last or 0) + 1, (last or 0) + 1 + decisions))
        return Lane(driver, FIRST_LANE, number or 0, head or START), ids
    [(lane, number, head, waited, ids)] = driver.fetch(TAKE, (decisions,))
    taken = Lane(driver, lane, number or 0, head or START)
    if waited:
        _open_another(driver, taken)
    return taken, ids or []


def record(
    transaction: Connection | Driver,
    event: Event,
    subject: str,
    *,
    operator_id: int | None = None,
    moment: datetime | None = None,
    facts: bytes | None = None,
    commitment: bytes | None = None,
) -> None:
    """Add an entry; without an operator it is the system's own."""
    driver = transaction if isinstance(transaction, Driver) else Driver.of(transaction)
    moment = moment or now()
    operator = system_id(driver) if operator_id is None else operator_id
    lane, _ = take_lane(driver)
    lane.add([NewEntry(operator, event, subject, facts, commitment)], moment)


def record_activation(driver: Driver, model: str, *, digest: str) -> bool:
    """Return whether a bundle is the last one that was activated; if not, add an entry.

    Its facts are the version and the digest of the manifest, which names the hash of every file.
    """
    subject, facts = f"model:{model}", facts_digest([model, digest])
    last: bool = driver.fetch(ACTIVE) == [(subject, facts)]
    if not last:
        record(driver, "bundle.activated", subject, facts=facts)
    return last


def system_id(driver: Driver) -> int:
    """Return the number of the operator that stands for the system and its commands."""
    [(number,)] = driver.fetch(SYSTEM)
    return int(number)


def _open_another(driver: Driver, lane: Lane) -> None:
    """Open a lane for the next transaction that would otherwise have to wait."""
    [(number,)] = driver.fetch(NEXT_LANE)
    driver.insert("audit_lanes", ("id",), [(number,)])
    lane.add([NewEntry(system_id(driver), "lane.opened", f"lane:{number}")], now())
