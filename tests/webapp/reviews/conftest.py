"""Fixtures of reviews: decisions, reviewers, and steps in transactions of their own."""

import pytest

from tests.fixtures.databases import add_user
from tests.fixtures.desk import token
from webapp.columns import now
from webapp.ledger.transaction import unit_of_work
from webapp.people.operators import Operator
from webapp.reviews import service
from webapp.reviews.records import Clock

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
def claimed(opened, do, people):
    """A review that anna has claimed."""

    def make(**columns):
        [number] = opened(**columns)
        do(service.claim, number, reviewer=people["anna"])
        return number

    return make


@pytest.fixture
def clock(config):
    """The day of the bank, which is another one than in UTC in some hours of the night."""
    return Clock(now().astimezone(config.timezone).date(), 7, config.timezone)


@pytest.fixture
def anna(app, client, people, sign_in):
    """A client that is signed in as the reviewer anna."""
    return sign_in(app.test_client(), "anna")


@pytest.fixture
def boris(app, client, people, sign_in):
    """A client that is signed in as the reviewer boris."""
    return sign_in(app.test_client(), "boris")


def step(browser, path, **data):
    """Send a form; its token is found on the queue's page or on that of a new application."""
    page = "/reviews" if browser.get("/reviews").status_code == 200 else "/applications/new"
    found = token(browser, page)
    prefix = next((name.partition("-")[0] for name in data), "")
    names = ("csrf_token", f"{prefix}-csrf_token")
    return browser.post(path, data={**dict.fromkeys(names, found), **data})


def decision_of(query, number):
    """Return the number of the decision of a review."""
    return query(f"SELECT decision_id FROM reviews WHERE id = {number}")[0][0]
