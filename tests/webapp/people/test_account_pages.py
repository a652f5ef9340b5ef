"""Tests of the pages of one's own account."""

import unicodedata

import pytest

from tests.fixtures.databases import CLERK, PASSWORD
from tests.fixtures.desk import token
from webapp.people import passwords
from webapp.people.throttle import MAX_OF_ACCOUNT

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NEW = "a new long password"
PATH = "/account/password"


@pytest.fixture
def change(signed_in):
    """Send the form of a new password; keyword arguments replace fields."""

    def send(**fields):
        form = {"present": PASSWORD, "new": NEW, "again": NEW, **fields}
        return signed_in.post(PATH, data={"csrf_token": token(signed_in, PATH), **form})

    return send


def test_password_changed_ends_the_other_sessions(app, signed_in, sign_in, change, query):
    other = sign_in(app.test_client())
    answer = change()
    assert (answer.status_code, answer.location) == (303, "/account?done=password")
    assert "The password is changed" in signed_in.get(answer.location).text
    assert other.get("/decisions").status_code == 302
    assert sign_in(app.test_client(), CLERK, NEW).get("/decisions").status_code == 200
    [(mine,)] = query("SELECT id FROM users")
    entries = "SELECT operator_id, subject FROM audit_log WHERE event = 'user.password_set'"
    assert query(entries) == [(mine, f"operator:{mine}")]


@ON_ONE
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
def test_password_with_accents_is_accepted_from_every_keyboard(app, sign_in, change, typed):
    chosen = "mot de passe créé à Liège"
    same = unicodedata.normalize(typed, chosen)
    assert change(new=chosen, again=chosen).status_code == 303
    assert sign_in(app.test_client(), CLERK, same).get("/decisions").status_code == 200
    assert change(present=same).status_code == 303


@ON_ONE
@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"present": "not this one"}, "not your present password"),
        ({"present": ""}, "This is needed."),
        ({"again": "another long password"}, "The two passwords differ."),
        ({"new": "short", "again": "short"}, "at least 12 characters"),
        ({"new": "x" * 1001, "again": "x" * 1001}, "too long"),
        ({"new": "anananananananan", "again": "anananananananan"}, "5 different characters"),
    ],
)
def test_password_refused_changes_nothing(app, signed_in, sign_in, change, fields, wrong):
    answer = change(**fields)
    assert answer.status_code == 422
    assert wrong in answer.text
    assert signed_in.get("/decisions").status_code == 200
    assert sign_in(app.test_client()).get("/decisions").status_code == 200


@ON_ONE
def test_present_password_may_be_tried_as_often_as_a_sign_in(app, change):
    for _ in range(MAX_OF_ACCOUNT):
        assert change(present="not this one").status_code == 422
    assert change().status_code == 429
    browser = app.test_client()
    form = {"username": CLERK, "password": PASSWORD, "csrf_token": token(browser, "/login")}
    assert browser.post("/login", data=form).status_code == 429


@ON_ONE
def test_password_is_hashed_only_when_the_worker_has_room(monkeypatch, change, signed_in):
    """Each hash needs 64 MiB; a few people at once must not use up the memory of the service."""
    monkeypatch.setattr(passwords, "MAX_WAIT", 0.01)
    with passwords.hashing():
        assert change().status_code == 429
    assert change().status_code == 303


@ON_ONE
def test_account_says_who_i_am(signed_in):
    page = signed_in.get("/account").text
    assert "Clerk, Analyst" in page
    assert "Set it up" in page
