"""Fixtures of reviews: decisions, reviewers, and steps in transactions of their own."""

import pytest

from tests.fixtures.databases import add_user
from webapp.columns import now
from webapp.ledger.transaction import unit_of_work
from webapp.people.operators import Operator
from webapp.reviews import service
from webapp.reviews.queue import Clock

PASSWORD = "correct horse battery"


@pytest.fixture
def people(app, query):
    """Two reviewers, who entered no decision."""
    with app.app_context():
        for name in ("anna", "boris"):
            add_user(name, PASSWORD, ["reviewer"])
    ids = dict(query("SELECT name, id FROM operators"))
    return {name: Operator("user", ids[name], name) for name in ("anna", "boris", "clerk")}


@pytest.fixture
def do(app):
    """Do one step in a transaction of its own."""

    def step(act, *arguments, **more):
        with app.app_context(), unit_of_work() as transaction:
            return act(transaction, *arguments, **more)

    return step


@pytest.fixture
def opened(put, refused, do, people):
    """Put decisions and open a review of each; return the numbers of the reviews."""

    def make(count=1, **columns):
        return [
            do(
                service.open_review,
                put(refused, **columns),
                cause="staff",
                operator=people["clerk"],
            )
            for _ in range(count)
        ]

    return make


@pytest.fixture
def clock():
    return Clock(now().date(), 7)
