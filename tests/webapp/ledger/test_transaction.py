"""Tests of webapp/ledger/transaction.py."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from webapp.columns import now
from webapp.extensions import db
from webapp.failures import NestedUnitOfWork
from webapp.ledger.transaction import add_row, unit_of_work
from webapp.people.tables import OperatorRow

ADDED = "SELECT name FROM operators WHERE kind = 'system' AND name <> 'system'"


@pytest.fixture
def add(app):
    """Return a function that adds an operator to a unit of work."""
    return lambda transaction, name: add_row(
        transaction, OperatorRow, kind="system", name=name, created_at=now()
    )


@pytest.fixture
def names(query):
    return lambda: {name for (name,) in query(ADDED)}


def test_unit_of_work_commits_all(app, add, names):
    with app.app_context():
        with unit_of_work() as transaction:
            numbers = [add(transaction, "one"), add(transaction, "two")]
            assert names() == set()  # not visible to other connections yet
        assert names() == {"one", "two"}
    assert numbers[0] < numbers[1]


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_unit_of_work_that_fails_leaves_nothing(app, add, names, error):
    def fail():
        with unit_of_work() as transaction:
            add(transaction, "one")
            raise error

    with app.app_context():
        with pytest.raises(error):
            fail()
        assert names() == set()
        with unit_of_work() as transaction:
            add(transaction, "two")
    assert names() == {"two"}


def test_unit_of_work_inside_another_is_an_error(app, add, names):
    def nest():
        with unit_of_work() as transaction:
            add(transaction, "gone")
            with unit_of_work():
                pass

    with app.app_context():
        with unit_of_work() as transaction:
            add(transaction, "outer")
            with pytest.raises(NestedUnitOfWork), unit_of_work():
                pass
            add(transaction, "still there")
        assert names() == {"outer", "still there"}
        with pytest.raises(NestedUnitOfWork):
            nest()
        with unit_of_work() as transaction:  # and the next one may begin
            add(transaction, "after it")
    assert names() == {"outer", "still there", "after it"}


def test_unit_of_work_after_a_refused_row(app, add, names):
    def add_twice():
        with unit_of_work() as transaction:
            add(transaction, "one")
            add(transaction, "one")

    with app.app_context():
        with pytest.raises(IntegrityError):
            add_twice()
        with unit_of_work() as transaction:
            add(transaction, "two")
    assert names() == {"two"}


def test_unit_of_work_ends_what_was_read(app, add, names):
    """On SQLite a transaction that has read could not write after another's commit."""
    with app.app_context():
        db.session.execute(text("SELECT count(*) FROM operators")).all()
        with app.app_context(), unit_of_work() as transaction:
            add(transaction, "another's")
        with unit_of_work() as transaction:
            add(transaction, "own")
    assert names() == {"another's", "own"}
