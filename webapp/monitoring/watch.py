"""The watch: counts, compares, estimates and checks what is stored, and deletes old uploads."""

import fcntl
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from webapp.batch import service as batch
from webapp.beside import parent_runs
from webapp.columns import now
from webapp.decisions.value_index import add_values, find_unindexed, last_indexed
from webapp.extensions import db, settings
from webapp.failures import OutcomeUnknown
from webapp.ledger.transaction import unit_of_work
from webapp.monitoring.breakdown import break_down, changed_hours, store_breakdown
from webapp.monitoring.challengers import changed_pairs, compare_pair, store_pairs
from webapp.monitoring.checks import Audited, check_is_due, check_store, store_check
from webapp.monitoring.days import changed_days, compare_days, store_days
from webapp.monitoring.estimates import changed_months, estimate_month, store_month
from webapp.monitoring.fairness import count_month, store_months, uncounted_months
from webapp.monitoring.hours import (
    Hour,
    count_hour,
    store_hours,
    store_training_scores,
    uncounted_hours,
)
from webapp.monitoring.kept import reference_of
from webapp.monitoring.realised import (
    changed_periods,
    compare_period,
    ripe_before,
    store_periods,
)
from webapp.uploads import service as uploads

log = logging.getLogger(__name__)

# After the first run, only hours that can still change are looked at: a decision is on disk within
# a minute of the moment that it states, and clocks of several machines differ.
STILL_CHANGES = timedelta(days=2)
SETTLED = timedelta(minutes=5)  # after which no decision of an earlier number is stored
# One process of a database watches at a time. The others would compute the same. A lock of two keys
# is not that of the migrations, whose function the service's role may not call.
LOCK = "pg_try_advisory_lock(hashtext('loan_desk'), hashtext('monitoring'))"
EVERY_SECONDS = 60
CHECK_SECONDS = 1  # between two looks at whether the parent process still runs


class Watched(NamedTuple):
    """What a run has done."""

    hours: int
    days: int
    months: int  # whose loans have other outcomes than before
    estimates: int  # of months
    missing: list[str]  # models that are no longer kept, whose decisions cannot be watched


def keep_watching(*, parent: int | None) -> None:
    """Watch every minute, until the parent process, if one is given, has ended.

    Outcomes are compared, and performance is estimated, once an hour. Once a day, all hours are
    looked at, and the store is checked.
    """
    day = hour = None  # of the last look at all hours, and at outcomes
    waiting = False  # for the database
    while parent_runs(parent):
        moment = now()
        try:
            _check_daily_and_log(parent)  # first, whatever a row that was changed by hand leads to
            this_hour = (moment.date(), moment.hour)
            watched = watch(
                since=moment - STILL_CHANGES if day == moment.date() else None,
                with_outcomes=hour != this_hour,
            )
            if watched is not None:
                if any(watched[:4]) or day is None:
                    log.info("monitor: %s", described(watched))
                day, hour = moment.date(), this_hour
            if waiting:
                log.info("monitor: the database answers again")
            waiting = False
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
    hours, days, months, estimates, _ = watched
    text = (
        f"{hours:,} hour{'' if hours == 1 else 's'} counted, "
        f"{days:,} day{'' if days == 1 else 's'} compared, "
        f"outcomes of {months:,} month{'' if months == 1 else 's'}, "
        f"{estimates:,} month{'' if estimates == 1 else 's'} estimated"
    )
    if watched.missing:
        text += f"; not watched, because these models are not kept: {', '.join(watched.missing)}"
    return text


def watch(*, since: datetime | None = None, with_outcomes: bool = True) -> Watched | None:
    """Count all hours since a moment that are not counted, and compare the days they change.

    `with_outcomes` says whether outcomes are compared, and months estimated. Return None if another
    process is doing this.
    """
    with _alone() as alone:
        return _watch(since, with_outcomes=with_outcomes) if alone else None


def check_daily(*, parent: int | None = None) -> Audited | None:
    """Check the whole store if that was not done within the last day.

    Return None if it was, or if another process is doing this.
    """
    with _alone() as alone:
        if not alone or not check_is_due():
            return None
        audited = check_store(parent=parent)
        _store(partial(store_check, audited=audited))
        return audited


def _check_daily_and_log(parent: int | None) -> None:
    audited = check_daily(parent=parent)
    if audited is not None:
        level = logging.INFO if audited.well else logging.ERROR
        log.log(level, "monitor: %s", audited)


def _watch(since: datetime | None, *, with_outcomes: bool) -> Watched:
    moment = now()
    this_hour = moment.replace(minute=0, second=0, microsecond=0)
    missing: dict[str, None] = {}
    hours = days = 0
    _index_values(after=0 if since is None else last_indexed(), before=moment - SETTLED)
    _break_down(before=this_hour, since=since)
    _begin_reading()
    waiting = uncounted_hours(before=this_hour, since=since)
    for _, of_day in groupby(waiting, key=lambda hour: hour.hour.date()):
        hours += _count(list(of_day), missing)
    for model, first in changed_days(before=this_hour, since=since).items():
        reference = reference_of(model.version)
        if reference is None:
            missing[model.version] = None
            continue
        _begin_reading()
        compared = compare_days(model, first, reference, before=this_hour)
        _store(partial(store_days, compared=compared))
        days += len(compared.evidence)
    months = estimates = 0
    if with_outcomes:
        _discard_old_files()
        months = _compare_outcomes()
        _compare_challengers()
        _count_groups(before=this_hour)
        estimates = _estimate()
    return Watched(hours, days, months, estimates, list(missing))


def _index_values(*, after: int, before: datetime) -> None:
    """Index the values of decisions that were made before a moment, some in each transaction."""
    _begin_reading()
    while numbers := find_unindexed(after=after, before=before):
        _store(partial(add_values, numbers=numbers))
        after = numbers[-1]
        _begin_reading()


def _discard_old_files() -> None:
    """Delete what is kept for a day of files that people have uploaded."""
    with unit_of_work() as transaction:
        batch.discard_old(transaction)
        uploads.discard_old(transaction)


def _compare_outcomes() -> int:
    """Compare the quarters whose outcomes have changed; return the number of their months."""
    ripe = ripe_before(settings().observation_days)
    _begin_reading()
    known = [compare_period(changed, ripe=ripe) for changed in changed_periods(ripe=ripe)]
    if known:  # in one transaction, because each row tells up to where all outcomes are compared
        _store(partial(store_periods, known=known))
    return sum(len(one.months) for one in known)


def _estimate() -> int:
    """Estimate the performance of the months that have other decisions; return how many."""
    done = 0
    _begin_reading()
    for month in changed_months():
        _begin_reading()
        known = estimate_month(month)
        if known is not None:
            _store(partial(store_month, known=known))
            done += 1
    return done


def _compare_challengers() -> None:
    ripe = ripe_before(settings().observation_days)
    _begin_reading()
    rows = [compare_pair(changed, ripe=ripe) for changed in changed_pairs(ripe=ripe)]
    if rows:
        _store(partial(store_pairs, rows=rows))


def _count_groups(*, before: datetime) -> None:
    """Count the protected groups of closed months."""
    ripe = ripe_before(settings().observation_days)
    _begin_reading()
    found = map(count_month, uncounted_months(before=before, ripe=ripe))
    counted = [month for month in found if month is not None]
    if counted:
        _store(partial(store_months, counted=counted))


def _count(hours: list[Hour], missing: dict[str, None]) -> int:
    """Count the hours of a day and store them in one transaction; return how many."""
    references = {}
    for version in {hour.model for hour in hours}:
        reference = reference_of(version)
        if reference is None:
            missing[version] = None
        else:
            references[version] = reference
    known = [hour for hour in hours if hour.model in references]
    counted = [count_hour(hour, references[hour.model]) for hour in known]
    if counted:
        _store(partial(store_training_scores, hours=known, references=references))
        _store(partial(store_hours, watched=counted))
    return len(counted)


def _break_down(*, before: datetime, since: datetime | None) -> None:
    """Break down the hours whose decisions have changed, those of a day in one transaction."""
    _begin_reading()
    changed = changed_hours(before=before, since=since)
    for _, of_day in groupby(changed, key=lambda hour: hour.date()):
        hours = list(of_day)
        _begin_reading()
        _store(partial(store_breakdown, hours=hours, counts=break_down(hours)))


def _begin_reading() -> None:
    """Begin a read transaction that may take long."""
    db.session.rollback()  # ends that of a run that failed
    if db.engine.dialect.name == "postgresql":
        db.session.execute(text("SET LOCAL statement_timeout = 0"))


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
