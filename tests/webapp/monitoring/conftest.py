"""Fixtures of the tests of the watch: outcomes, and the day before which loans are ripe."""

from contextlib import contextmanager

import pytest

from webapp.columns import now
from webapp.ledger.transaction import unit_of_work
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
