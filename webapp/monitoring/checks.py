"""Whether what is stored is as it was written: the counts of decisions, and the audit log."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select

from webapp.audit.checkpoints import Checkpoint, files_in, folder_of, newest_in, signing_key
from webapp.audit.reading import snapshot
from webapp.audit.verify import verify
from webapp.beside import parent_runs
from webapp.columns import now
from webapp.extensions import db, settings
from webapp.failures import InvalidSetting, NoteRefused
from webapp.ledger.driver import Driver
from webapp.monitoring.tables import StoreCheck

log = logging.getLogger(__name__)

EVERY = timedelta(days=1)  # the whole store is checked
MAX_PAUSE_SECONDS = 1.0
MAX_REASON = 200  # characters
UNCOUNTED = """
SELECT (SELECT count(*) FROM decisions)
    - (SELECT coalesce(sum(count), 0) FROM decision_counts)
"""


@dataclass(frozen=True)
class Audited:
    """A check of the whole store."""

    verified_at: datetime
    entries: int
    bad_lanes: int
    first_bad: str | None
    uncounted: int  # decisions; below 0: counted and missing

    @property
    def well(self) -> bool:
        return not self.first_bad and not self.uncounted

    def __str__(self) -> str:
        found = [f"{self.entries:,} entries of the audit log verified"]
        if self.first_bad:
            found.append(self.first_bad)
        if self.uncounted:
            found.append(f"uncounted decisions: {self.uncounted:,}")
        return "; ".join(found) + (": all well" if self.well else "")


def check_is_due() -> bool:
    """Return whether the store has not been checked within the last day."""
    last = last_check()
    return last is None or not timedelta(0) <= now() - last.verified_at < EVERY


def check_store(*, parent: int | None) -> Audited:
    """Verify the audit log and count all decisions, as of one moment.

    Ends this process if the parent process ends meanwhile.
    """
    moment, instance = now(), settings().instance
    checkpoints = _newest_checkpoint(instance)
    db.session.rollback()  # release the read transaction: the verification has its own
    with snapshot() as connection:
        driver = Driver.of(connection)
        [(uncounted,)] = driver.fetch(UNCOUNTED)
        verified = verify(driver, checkpoints, after_page=_resting(parent))
    findings = [str(bad)[:MAX_REASON] for bad in verified.findings.values()]
    first_bad = findings[0] if findings else None
    return Audited(moment, verified.entries, len(findings), first_bad, int(uncounted))


def store_check(transaction: Connection, audited: Audited) -> None:
    """Replace what the last check has found."""
    transaction.execute(delete(StoreCheck))
    transaction.execute(insert(StoreCheck), [vars(audited)])


def last_check() -> Audited | None:
    """Return what the last check of the whole store has found."""
    v = StoreCheck
    query = select(v.verified_at, v.entries, v.bad_lanes, v.first_bad, v.uncounted)
    row = db.session.execute(query.order_by(v.verified_at.desc()).limit(1)).first()
    return Audited(*row) if row else None


def _newest_checkpoint(instance: Path) -> list[Checkpoint]:
    """Return the newest checkpoint of this instance, if it has signed any."""
    folder = folder_of(instance)
    if not files_in(folder):
        return []
    try:
        newest = newest_in(folder, signing_key(instance).verifier)
    except (NoteRefused, InvalidSetting) as error:
        log.warning("monitor: the newest checkpoint is not compared: %s", error)
        return []
    return [newest] if newest else []


def _resting(parent: int | None) -> Callable[[], None]:
    """Return a function that rests as long as has been worked since its last call.

    The verification of a long log then leaves half of a processor, and of the database, to others.
    """
    worked_from = time.monotonic()

    def rest() -> None:
        nonlocal worked_from
        if not parent_runs(parent):
            raise SystemExit
        time.sleep(min(time.monotonic() - worked_from, MAX_PAUSE_SECONDS))
        worked_from = time.monotonic()

    return rest
