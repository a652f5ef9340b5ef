"""The watch: counts hours, compares days, and outcomes with probabilities; idempotent."""

import fcntl
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from webapp.beside import parent_runs
from webapp.columns import now
from webapp.extensions import db
from webapp.failures import OutcomeUnknown
from webapp.ledger.transaction import unit_of_work
from webapp.monitoring.days import changed_days, compare_days, store_days
from webapp.monitoring.hours import (
    Hour,
    count_hour,
    reference_of,
    store_hours,
    uncounted_hours,
)
from webapp.monitoring.realised import compare_outcomes, new_outcomes, store_outcomes

log = logging.getLogger(__name__)

# After the first run, only hours that can still change are looked at: a decision is on disk within
# a minute of the moment that it states, and clocks of several machines differ.
STILL_CHANGES = timedelta(days=2)
# One process of a database watches at a time. The others would compute the same.
LOCK = "pg_try_advisory_lock(hashtext('loan_desk.monitoring'))"
EVERY_SECONDS = 60
CHECK_SECONDS = 1  # between two looks at whether the parent process still runs


class Watched(NamedTuple):
    """What a run has done."""

    hours: int
    days: int
    months: int  # whose loans have other outcomes than before
    missing: list[str]  # models that are no longer kept, whose decisions cannot be watched


def keep_watching(*, parent: int | None) -> None:
    """Watch every minute, until the parent process, if one is given, has ended."""
    complete = waiting = False  # whether all hours were looked at; whether the database is missing
    while parent_runs(parent):
        try:
            watched = watch(since=now() - STILL_CHANGES if complete else None)
            if watched and (any(watched[:3]) or not complete):
                log.info("monitor: %s", described(watched))
            if waiting:
                log.info("monitor: the database answers again")
            complete, waiting = complete or watched is not None, False
        except (DBAPIError, OutcomeUnknown) as error:  # what was not stored is computed again
            if not waiting:
                reason = str(getattr(error, "orig", error)).partition("\n")[0]
                log.warning("monitor: waits for the database: %s", reason)
            waiting = True
        finally:
            db.session.remove()
        end = time.monotonic() + EVERY_SECONDS
        while parent_runs(parent) and time.monotonic() < end:
            time.sleep(CHECK_SECONDS)


def described(watched: Watched) -> str:
    """Return what a run has done as a sentence."""
    hours, days, months = watched.hours, watched.days, watched.months
    text = (
        f"{hours:,} hour{'' if hours == 1 else 's'} counted, "
        f"{days:,} day{'' if days == 1 else 's'} compared, "
        f"outcomes of {months:,} month{'' if months == 1 else 's'}"
    )
    if watched.missing:
        text += f"; not watched, because these models are not kept: {', '.join(watched.missing)}"
    return text


def watch(*, since: datetime | None = None) -> Watched | None:
    """Count all hours since a moment that are not counted, and compare the days they change.

    Return None if another process is doing this.
    """
    with _alone() as alone:
        return _watch(since) if alone else None


def _watch(since: datetime | None) -> Watched:
    moment = now()
    this_hour = moment.replace(minute=0, second=0, microsecond=0)
    missing: dict[str, None] = {}
    hours = days = 0
    db.session.rollback()  # ends the transaction of a run that failed
    waiting = uncounted_hours(before=this_hour, since=since)
    for _, of_day in groupby(waiting, key=lambda hour: hour.hour.date()):
        hours += _count(list(of_day), missing)
    for model, first in changed_days(before=this_hour).items():
        reference = reference_of(model.version)
        if reference is None:
            missing[model.version] = None
            continue
        compared = compare_days(model, first, reference, before=this_hour)
        _store(partial(store_days, compared=compared))
        days += len(compared.evidence)
    months = 0
    for model, last in new_outcomes().items():
        known = compare_outcomes(model, after=last)
        _store(partial(store_outcomes, known=known))
        months += len(known.months)
    return Watched(hours, days, months, list(missing))


def _count(hours: list[Hour], missing: dict[str, None]) -> int:
    """Count the hours of a day and store them in one transaction; return how many."""
    counted = []
    for hour in hours:
        reference = reference_of(hour.model)
        if reference is None:
            missing[hour.model] = None
        else:
            counted.append(count_hour(hour, reference))
    if counted:
        _store(partial(store_hours, watched=counted))
    return len(counted)


def _store(write: Callable[[Connection], None]) -> None:
    db.session.rollback()  # release the read transaction before writing
    with unit_of_work() as transaction:
        write(transaction)


@contextmanager
def _alone() -> Iterator[bool]:
    """Yield whether no other process watches this database."""
    if db.engine.dialect.name == "postgresql":
        with db.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            alone = bool(connection.exec_driver_sql(f"SELECT {LOCK}").scalar())
            try:
                yield alone
            finally:
                if alone:
                    unlock = LOCK.replace("try_advisory_lock", "advisory_unlock")
                    connection.exec_driver_sql(f"SELECT {unlock}")
        return
    with open(f"{db.engine.url.database}-watch", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
