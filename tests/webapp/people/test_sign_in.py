"""Tests of refused sign-ins, their log lines, and the cookies of a sign-in."""

import logging
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import pytest

from tests.fixtures.databases import CLERK, PASSWORD
from tests.fixtures.desk import token
from webapp.people import passwords


@pytest.fixture
def sign_in(client):
    """Try to sign in; keyword arguments replace fields of the form."""

    def attempt(path="/login", **fields):
        form = {"username": CLERK, "password": PASSWORD, "csrf_token": token(client, "/login")}
        return client.post(path, data=form | fields)

    return attempt


@pytest.mark.parametrize("body", ['"x"', "1", '{"username": "\\ud800"}', "null", "[]", "{}", ""])
def test_sign_in_by_json_is_refused(client, body):
    headers = {"X-CSRFToken": token(client, "/login"), "Content-Type": "application/json"}
    answer = client.post("/login", data=body.encode(), headers=headers)
    assert answer.status_code == 415


def test_sign_in_with_a_nul_in_the_name_is_refused(sign_in):
    """PostgreSQL refuses a NUL in a text."""
    assert sign_in(username="cl\0erk").status_code == 200


def test_sign_in_with_a_too_long_password_is_refused(sign_in):
    assert sign_in(password="x" * (passwords.MAX_PASSWORD + 1)).status_code == 400
    assert sign_in(password="x" * passwords.MAX_PASSWORD).status_code == 200
    assert sign_in().status_code == 302


@pytest.mark.parametrize("path", ["/login?next=http://[", "/login"])
def test_sign_in_with_an_invalid_next_url_is_refused(client, sign_in, path):
    assert sign_in(path, **({} if "?" in path else {"next": "http://["})).status_code == 400
    assert client.get("/applications/new").status_code == 302  # nobody has signed in


def test_sign_in_is_remembered_no_longer_than_the_session(sign_in):
    answer = sign_in(remember="y")
    assert answer.status_code == 302
    cookies = [c.partition("=")[0] for c in answer.headers.getlist("Set-Cookie")]
    assert cookies == ["session"]


def test_refused_sign_in_is_logged_without_what_was_typed(sign_in, caplog, query):
    caplog.set_level(logging.WARNING, logger="webapp")
    sign_in(password="not this one")
    sign_in(username="nobody-of-ours")
    [(clerk,)] = query("SELECT id FROM users")
    assert [r.getMessage() for r in caplog.records] == [
        f"refused a sign-in from 127.0.0.1: user {clerk}",
        "refused a sign-in from 127.0.0.1: no such user",
    ]
    assert query("SELECT subject FROM audit_log WHERE event = 'sign_in.refused'") == [
        (f"operator:{clerk}",),
        ("unknown",),
    ]


def test_accepted_sign_in_is_logged(sign_in, caplog, query):
    caplog.set_level(logging.INFO, logger="webapp")
    assert sign_in().status_code == 302
    [(clerk,)] = query("SELECT id FROM users")
    assert [r.getMessage() for r in caplog.records] == [
        f"accepted a sign-in from 127.0.0.1: user {clerk}"
    ]
    entries = "SELECT event, operator_id, subject FROM audit_log WHERE event LIKE 'sign_in%'"
    assert query(entries) == [("sign_in.accepted", clerk, f"operator:{clerk}")]


def test_too_many_sign_ins_at_once_are_answered_429(sign_in, monkeypatch):
    monkeypatch.setattr(passwords, "MAX_WAIT", 0.01)
    for _ in range(passwords.MAX_HASHES):
        assert passwords._hashing.acquire(timeout=5)
    try:
        answer = sign_in()
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "5"
        assert "Too many people are signing in" in answer.text
    finally:
        for _ in range(passwords.MAX_HASHES):
            passwords._hashing.release()
    assert sign_in().status_code == 302


def test_sign_in_is_refused_at_once_while_another_waits(app, monkeypatch):
    monkeypatch.setattr(passwords, "MAX_WAIT", 30.0)
    for place in (passwords._admitted, passwords._hashing):
        assert place.acquire(timeout=5)

    def enter():
        session = app.test_client()
        form = {"username": CLERK, "password": PASSWORD, "csrf_token": token(session, "/login")}
        return session.post("/login", data=form).status_code

    with ThreadPoolExecutor(5) as pool:
        several = [pool.submit(enter) for _ in range(5)]
        refused = [*islice(as_completed(several, timeout=10), 4)]
        assert {f.result() for f in refused} == {429}
        [waits] = {*several} - {*refused}
        assert not waits.done()
        for place in (passwords._hashing, passwords._admitted):
            place.release()
        assert waits.result() == 302


def test_every_sign_in_releases_its_semaphores(app, sign_in):
    for number in range(passwords.MAX_HASHES + 2):
        assert sign_in(password=f"wrong {number}").status_code == 200
    assert passwords._hashing._value == passwords.MAX_HASHES
    assert passwords._admitted._value == passwords.MAX_HASHES + passwords.MAX_WAITING
