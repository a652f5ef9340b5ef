"""Tests that a refused request for a trial stores nothing."""

import pytest

from ml.bundle.decide import decide as judge
from tests.fixtures.desk import token
from webapp.decisions import service
from webapp.failures import NotFound
from webapp.ledger.transaction import unit_of_work
from webapp.serving.served import model

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_trial_without_csrf_token(signed_in, send, refused, query):
    decided = send(refused).location
    for given in ({}, {"csrf_token": ""}, {"csrf_token": "wrong"}):
        answer = signed_in.post(f"{decided}/trials", data={"loan_amount": "700", **given})
        assert answer.status_code == 400
        assert answer.mimetype == "text/html"
    assert query("SELECT count(*) FROM trials") == [(0,)]


def test_trial_not_signed_in(client, send, refused, query):
    decided = send(refused).location
    client.delete_cookie("session")
    data = {"csrf_token": token(client, "/login"), "loan_amount": "700"}
    answer = client.post(f"{decided}/trials", data=data)
    assert answer.status_code == 302
    assert answer.location == "/login"
    assert query("SELECT count(*) FROM trials") == [(0,)]


def test_trial_unknown_decision(signed_in, query):
    data = {"csrf_token": token(signed_in, "/decisions"), "loan_amount": "700"}
    for number in (1, 0, "9" * 30, "x"):
        assert signed_in.post(f"/decisions/{number}/trials", data=data).status_code == 404
    assert query("SELECT count(*) FROM trials") == [(0,)]


def test_trial_of_a_decision_that_is_erased_meanwhile(app, operator, take, refused, query):
    """No contents are stored that the erasure of the decision has missed."""
    with app.app_context():
        number = take(refused, operator=operator).id
        verdict = judge(model.bundle, refused)
        query("DELETE FROM decision_contents")
        with pytest.raises(NotFound), unit_of_work() as transaction:
            service.add_trial(transaction, number, refused, verdict, operator=operator)
    assert query("SELECT count(*) FROM trials") == [(0,)]
    assert query("SELECT count(*) FROM trial_contents") == [(0,)]
