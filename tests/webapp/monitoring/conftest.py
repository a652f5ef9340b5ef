"""Fixtures of the tests of the watch: decisions of past days, outcomes, runs and commands."""

from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta

import pytest

from webapp.columns import now
from webapp.ledger.transaction import unit_of_work
from webapp.monitoring.watch import watch
from webapp.outcomes.records import NewOutcome
from webapp.outcomes.service import add_outcomes, find_loans


@pytest.fixture
def record(app, operator, config):
    """Record the outcomes of loans, each a number, good or not, a day, and perhaps a reason."""

    def add(*outcomes):
        new = [
            NewOutcome(n, "good" if good else "bad", day, *reason)
            for n, good, day, *reason in outcomes
        ]
        with app.app_context(), unit_of_work() as transaction:
            found = find_loans(transaction, [o.decision_id for o in new], zone=config.timezone)
            pairs = [(o, found[o.decision_id]) for o in new]
            add_outcomes(transaction, pairs, operator=operator)

    return add


@pytest.fixture
def ripe_after(another_app):
    """Make an application to which loans are ripe if they were decided before a day."""

    @contextmanager
    def application(day):
        with another_app(observation_days=(now().date() - day).days) as app:
            yield app

    return application


@pytest.fixture
def made(decide_all, applications):
    """The numbers of decisions of today, one for each of 40 applications."""
    return decide_all(applications[:40])


@pytest.fixture
def past(copy, made):
    """Copy the decisions to moments in the past; return the days."""

    def add(days, *, hour=10, some=slice(None), times=1):
        for ago in days:
            moment = datetime.combine(now().date() - timedelta(days=ago), time(hour, 30), UTC)
            for number in made[some]:
                copy(number, f"{moment:%Y-%m-%d %H:%M:%S}.000000", count=times)
        return sorted(now().date() - timedelta(days=ago) for ago in days)

    return add


@pytest.fixture
def run(app):
    def once(**more):
        with app.app_context():
            return watch(**more)

    return once


@pytest.fixture
def command(app):
    """Run a flask command; return its exit code and its output."""

    def invoke(*arguments):
        done = app.test_cli_runner().invoke(args=["monitor", *arguments])
        if not isinstance(done.exception, SystemExit | None):
            raise done.exception
        return done.exit_code, done.stdout + done.stderr

    return invoke
