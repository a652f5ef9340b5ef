"""Tests of letters under two clerks at once, and of what is refused when one is stored."""

from threading import Barrier, Thread

import pytest

from tests.fixtures.databases import PASSWORD, add_user
from webapp.config import Config
from webapp.failures import LetterMeanwhile, NotFound
from webapp.ledger.transaction import unit_of_work
from webapp.letters.examples import example
from webapp.letters.records import Rendered
from webapp.letters.service import list_letters, make_letter
from webapp.people.operators import Operator

DRAFT = example("refused", "eu", "fr", Config())
RENDERED = Rendered("<article>Élan “é”\n</article>", "eu/fr.html", "0" * 64)


@pytest.fixture
def anna(app, query):
    with app.app_context():
        add_user("anna", PASSWORD)
    [(number,)] = query("SELECT id FROM operators WHERE name = 'anna'")
    return Operator("user", number, "anna")


@pytest.fixture
def make(app, refusal):
    """Store a letter on the refusal as an operator."""

    def store(operator, number=1):
        with app.app_context(), unit_of_work() as transaction:
            return make_letter(
                transaction,
                DRAFT,
                RENDERED,
                decision_id=refusal,
                number=number,
                operator=operator,
            )

    return store


def test_of_two_clerks_at_once_one_is_told_of_the_other(app, refusal, make, operator, anna, query):
    for number in range(1, 6):
        together, told = Barrier(2), []

        def run(who, number=number, together=together, told=told):
            together.wait()
            try:
                make(who, number)
            except LetterMeanwhile:
                told.append(who.name)

        threads = [Thread(target=run, args=(who,)) for who in (operator, anna)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(told) == 1
        assert query("SELECT count(*) FROM letters") == [(number,)]
    with app.app_context():
        assert [letter.number for letter in list_letters(refusal)] == [1, 2, 3, 4, 5]


def test_form_sent_twice_at_once_makes_one_letter(make, operator, query):
    together, made = Barrier(4), []

    def run():
        together.wait()
        made.append(make(operator))

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1] * 4
    assert query("SELECT count(*) FROM letters") == [(1,)]
    assert query("SELECT count(*) FROM audit_log WHERE event = 'letter.made'") == [(1,)]


def test_letter_on_a_decision_that_was_erased_meanwhile(make, operator, refusal, query):
    query(f"DELETE FROM decision_contents WHERE decision_id = {refusal}")
    with pytest.raises(NotFound, match="erased"):
        make(operator)
    assert query("SELECT count(*) FROM letters") == [(0,)]


def test_nothing_changes_a_letter(make, operator, query):
    make(operator)
    for statement in (
        "UPDATE letters SET kind = 'granted'",
        "DELETE FROM letters",
        "UPDATE letter_contents SET text = '\"\"'",
    ):
        with pytest.raises(Exception, match="are never changed"):
            query(statement)
