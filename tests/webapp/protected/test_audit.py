"""Tests that answers are compared with their entries in the audit log, and erased."""

import pytest

from tests.webapp.audit.conftest import unprotected
from webapp.audit.contents import compare
from webapp.audit.erase import erase
from webapp.extensions import db
from webapp.failures import AlreadyAnswered, NotFound
from webapp.ledger.transaction import unit_of_work
from webapp.protected.service import NewAnswer, give_answer

CONTENTS = "its contents are not those of its entry"
CHANGES = {
    "UPDATE protected_attributes SET value = '35' WHERE field = 'protected_age'": CONTENTS,
    "DELETE FROM protected_attributes WHERE field = 'protected_age'": CONTENTS,
    "UPDATE protected_answer_contents SET salt = (SELECT max(salt) FROM decision_contents)": (
        CONTENTS
    ),
    "UPDATE protected_answers SET operator_id = 1": "its facts are not those of its entry",
    "DELETE FROM protected_answer_contents": (
        "its contents are missing, and no entry says that they were erased"
    ),
    "DELETE FROM audit_log WHERE event = 'protected.given'": "it has no entry",
}


@pytest.fixture
def give(app, operator):
    def store(number, **values):
        with app.app_context(), unit_of_work() as transaction:
            give_answer(transaction, NewAnswer(number, operator.id, values))

    return store


@pytest.fixture
def answered(decide_all, give, granted, refused):
    """The numbers of a decision with an answer, and of one for which nothing was said."""
    first, second = decide_all([granted, refused])
    give(first, protected_marital_status="widowed", protected_age="34")
    give(second)
    return [first, second]


def found(connection):
    """Compare; return how many answers match, and what is wrong with them."""
    lines = []
    answers = compare(connection, lines.append).answers
    return answers, [line for line in lines if "protected" in line]


def test_answers_match_their_entries(app, answered, query):
    with app.app_context(), db.engine.connect() as connection:
        assert found(connection) == (2, [])
    entries = query("SELECT subject FROM audit_log WHERE event = 'protected.given' ORDER BY number")
    assert entries == [(f"protected_answer:{number}",) for number in answered]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_answer_is_found(app, answered, change):
    with unprotected(app) as connection:
        connection.exec_driver_sql(change)
        line = f"protected_answer {answered[0]}: {CHANGES[change]}"
        assert found(connection)[1][:1] == [line]


def test_erased_answer_is_missing_with_a_reason(app, answered, query):
    with app.app_context(), unit_of_work() as transaction:
        erase(transaction, answered[:1])
    for table in ("protected_attributes", "protected_answer_contents"):
        assert not query(f"SELECT 1 FROM {table} WHERE decision_id = {answered[0]}")
    with app.app_context(), db.engine.connect() as connection:
        assert found(connection) == (2, [])


def test_second_answer_and_one_to_an_erased_decision_are_refused(
    app, answered, give, query, decide_all, granted
):
    with pytest.raises(AlreadyAnswered):
        give(answered[0], protected_age="40")
    [number] = decide_all([granted])
    with app.app_context(), unit_of_work() as transaction:
        erase(transaction, [number])
    with pytest.raises(NotFound):
        give(number, protected_age="40")
    assert not query(f"SELECT 1 FROM protected_attributes WHERE decision_id = {number}")
