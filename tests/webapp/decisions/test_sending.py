"""Tests of a form that is sent twice, too late, by somebody else, or in vain."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.fixtures.databases import PASSWORD, add_user
from tests.fixtures.desk import controls, shown

FORM = "/applications/new"
COUNT = "SELECT count(*) FROM decisions"
# For tests in which the kind of database does not matter.
ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FRENCH = {"Accept-Language": "fr-FR,fr;q=0.9"}


def test_new_posted_twice_makes_one_decision(signed_in, hidden, typed, query):
    form = {**hidden(signed_in), **typed}
    first, second = (signed_in.post(FORM, data=form) for _ in range(2))
    assert first.status_code == second.status_code == 303
    assert first.location == second.location
    assert query(COUNT) == [(1,)]


def test_new_posted_again_with_other_values_makes_another(signed_in, hidden, typed, query):
    form = {**hidden(signed_in), **typed}
    first = signed_in.post(FORM, data=form)
    second = signed_in.post(FORM, data={**form, "loan_amount": "7001"})
    assert first.location != second.location
    assert query("SELECT amount FROM decisions ORDER BY id") == [(7000,), (7001,)]


@ON_ONE
def test_new_refuses_a_field_that_is_sent_twice(signed_in, hidden, typed, query):
    form = {**hidden(signed_in), **typed, "loan_amount": ["500", typed["loan_amount"]]}
    assert signed_in.post(FORM, data=form).status_code == 400
    assert query(COUNT) == [(0,)]


@ON_ONE
def test_new_opened_again_is_another_application(send, typed, query):
    assert send(typed).location != send(typed).location
    assert query(COUNT) == [(2,)]


def test_new_posted_at_once_makes_one_decision(app, sign_in, hidden, typed, query):
    browsers = [sign_in(app.test_client()) for _ in range(2)]
    forms = [hidden(browser) for browser in browsers]
    start = Barrier(2)

    def press(i):
        start.wait(30)
        data = {**typed, **forms[i], "submission": forms[0]["submission"]}
        return browsers[i].post(FORM, data=data)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(press, range(2)))
    assert [a.status_code for a in answers] == [303, 303]
    assert answers[0].location == answers[1].location
    assert query(COUNT) == [(1,)]


def test_new_without_csrf_token(signed_in, hidden, typed, query):
    form = {**hidden(signed_in), **typed}
    del form["csrf_token"]
    for token in ({}, {"csrf_token": ""}, {"csrf_token": "wrong"}):
        answer = signed_in.post(FORM, data={**form, **token})
        assert answer.status_code == 400
        assert answer.mimetype == "text/html"
    assert query(COUNT) == [(0,)]


def test_new_expired_is_shown_with_what_was_typed_and_sent_again(
    signed_in, hidden, typed, product, query, read_page
):
    expired = {**hidden(signed_in), **typed, "csrf_token": "expired"}
    answer = signed_in.post(FORM, data=expired)
    assert "This form had expired." in answer.text
    page = read_page(answer.text)
    assert {f.name: shown(page, f.name) for f in product.inputs} == typed
    assert shown(page, "submission") == expired["submission"]
    tokens = [e.get("value") for e in controls(page, "csrf_token")]
    assert signed_in.post(FORM, data={**expired, "csrf_token": tokens[-1]}).status_code == 303
    assert query(COUNT) == [(1,)]


@ON_ONE
def test_new_of_another_site_is_not_shown(signed_in, hidden, typed):
    form = {**hidden(signed_in), **typed, "csrf_token": "guessed", "reference": "theirs"}
    answer = signed_in.post(FORM, data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 400
    assert "theirs" not in answer.text


@ON_ONE
def test_new_of_another_user_is_neither_stored_nor_shown(
    app, sign_in, signed_in, hidden, typed, query, read_page
):
    """Somebody else has signed in meanwhile, perhaps in another tab."""
    form = {**hidden(signed_in), **typed, "reference": "theirs"}
    with app.app_context():
        add_user("anna", PASSWORD)
    anna = sign_in(app.test_client(), "anna")
    for token in (form["csrf_token"], hidden(anna)["csrf_token"]):
        answer = anna.post(FORM, data={**form, "csrf_token": token})
        assert answer.status_code == 400
        assert "Somebody else had opened this form." in answer.text
        assert "theirs" not in answer.text
        page = read_page(answer.text)
        assert shown(page, "loan_amount") == ""
        assert shown(page, "submission") != form["submission"]
    assert query(COUNT) == [(0,)]


@ON_ONE
def test_new_without_a_slot_is_shown_with_what_was_typed(
    app, monkeypatch, signed_in, hidden, typed, product, query, read_page, caplog
):
    monkeypatch.setattr("webapp.slots.PATIENCE", 0.01)
    form = {**hidden(signed_in), **typed, "reference": "2026/17"}
    slots = app.extensions["slots"]
    taken = [slots.take() for _ in range(slots._free.qsize())]
    answer = signed_in.post(FORM, data=form)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "Nothing was stored." in answer.text
    page = read_page(answer.text)
    assert {f.name: shown(page, f.name) for f in product.inputs} == typed
    assert [shown(page, n) for n in ("reference", "submission")] == ["2026/17", form["submission"]]
    stranger = app.test_client().post(FORM, data=form)
    assert stranger.status_code == 503
    assert "2026/17" not in stranger.text
    assert "2026/17" not in caplog.text
    for _ in taken:
        slots.give_back()
    assert signed_in.post(FORM, data=form).status_code == 303
    assert query(COUNT) == [(1,)]


@ON_ONE
def test_new_another_sessions_csrf_token(app, sign_in, signed_in, hidden, typed, query):
    stolen = hidden(sign_in(app.test_client()))
    assert signed_in.post(FORM, data={**stolen, **typed}).status_code == 400
    assert query(COUNT) == [(0,)]


@ON_ONE
def test_new_too_large(send, typed, query):
    answer = send(typed, years_in_job="9" * 100_000)
    assert answer.status_code == 413
    assert answer.mimetype == "text/html"
    assert query(COUNT) == [(0,)]
