"""Tests of the pages on which an admin manages people and API keys."""

import re

import pytest

from tests.fixtures.databases import CLERK, PASSWORD, add_user
from tests.fixtures.desk import token
from webapp.people import api_keys

CHOSEN = "a password of my own"
ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def admin(app, client, sign_in):
    with app.app_context():
        add_user("boss", PASSWORD, ["admin"])
    return sign_in(app.test_client(), "boss")


@pytest.fixture
def send(admin):
    """Send a form of the admin."""

    def post(path, **fields):
        return admin.post(path, data={"csrf_token": token(admin, path), **fields})

    return post


@pytest.fixture
def number(query):
    """The number of a user."""
    return lambda name: query(f"SELECT id FROM operators WHERE name = '{name}'")[0][0]


@pytest.fixture
def entries(query):
    """The events that an operator caused after the sign-in, with their subjects."""

    def listed(operator_id):
        caused = f"operator_id = {operator_id} AND event <> 'sign_in.accepted'"
        return query(f"SELECT event, subject FROM audit_log WHERE {caused} ORDER BY number")

    return listed


def choose_password(browser, there):
    """Choose a password after the sign-in with one that an admin has set."""
    step = browser.get(there).location
    assert step == f"/account/password?next={there}"
    assert "Choose your password" in browser.get(step).text
    form = {"csrf_token": token(browser, step), "new": CHOSEN, "again": CHOSEN}
    return browser.post(step, data=form)


def secret_of(page):
    return re.search(r'<code id="secret"[^>]*>([^<]+)</code>', page)[1]


def test_person_added_signs_in_with_the_password_shown(app, send, sign_in, number, entries, admin):
    made = send("/people/new", username="anna", full_name="Anna Dion", clerk="y", reviewer="y")
    assert made.status_code == 200
    browser = sign_in(app.test_client(), "anna", secret_of(made.text))
    assert choose_password(browser, "/account").location == "/account"
    assert "Clerk, Reviewer" in browser.get("/account").text
    anna = number("anna")
    assert entries(number("boss")) == [
        ("user.created", f"operator:{anna}"),
        ("user.roles_set", f"operator:{anna} clerk+reviewer"),
    ]
    listed = admin.get("/people").text
    assert "Anna Dion" in listed
    assert secret_of(made.text) not in admin.get(f"/people/{anna}").text


@ON_ONE
@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"username": ""}, "This is needed."),
        ({"username": CLERK}, "There is a user of this name already."),
        ({"username": "<b>"}, "Nobody could sign in with this name."),
        ({"username": "x" * 65}, "This is too long."),
        ({"username": "a\u202eb"}, "can be printed"),
        ({"full_name": "x" * 121}, "This is too long."),
        ({"clerk": ""}, "Choose at least one role."),
    ],
)
def test_person_with_something_wrong_is_not_added(send, query, fields, wrong):
    before = query("SELECT count(*) FROM users")
    answer = send("/people/new", **{"username": "anna", "clerk": "y", **fields})
    assert answer.status_code == 422
    assert wrong in answer.text
    assert query("SELECT count(*) FROM users") == before


def test_person_disabled_and_enabled(app, send, signed_in, number, sign_in, entries):
    path = f"/people/{number(CLERK)}"
    assert send(path, action="disable").status_code == 303
    assert signed_in.get("/decisions").status_code == 302
    assert send(path, action="enable").status_code == 303
    assert signed_in.get("/decisions").status_code == 302
    assert sign_in(app.test_client()).get("/decisions").status_code == 200
    assert [event for event, _ in entries(number("boss"))] == ["user.disabled", "user.enabled"]


@ON_ONE
def test_roles_and_name_changed(app, send, signed_in, number, sign_in, entries, admin):
    path = f"/people/{number(CLERK)}"
    answer = send(path, action="save", full_name="Cleo Clark", clerk="y")
    assert answer.status_code == 303
    assert "Saved." in admin.get(answer.location).text
    assert signed_in.get("/monitoring").status_code == 302
    assert sign_in(app.test_client()).get("/monitoring").status_code == 403
    assert [event for event, _ in entries(number("boss"))] == [
        "user.full_name_set",
        "user.roles_set",
    ]
    assert send(path, action="save", full_name="Cleo Clark").status_code == 422


@ON_ONE
def test_password_set_by_an_admin(app, send, signed_in, number, sign_in):
    password = secret_of(send(f"/people/{number(CLERK)}", action="password").text)
    assert signed_in.get("/decisions").status_code == 302
    browser = sign_in(app.test_client(), CLERK, password)
    form = {"csrf_token": token(browser, "/account/password"), "new": password, "again": password}
    assert "This is the present password." in browser.post("/account/password", data=form).text
    assert browser.post("/desk/refer", data=form).location.startswith("/account/password")
    assert choose_password(browser, "/decisions").location == "/decisions"
    assert browser.get("/decisions").status_code == 200
    again = sign_in(app.test_client(), CLERK, CHOSEN)
    assert again.get("/decisions").status_code == 200


@ON_ONE
def test_second_factor_turned_off_by_an_admin(send, signed_in, number, query, query_at, config):
    changed = "UPDATE users SET totp_secret = 'x', totp_counter = 1 WHERE id = {}"
    query_at(config.instance, changed.format(number(CLERK)))
    assert send(f"/people/{number(CLERK)}", action="second_factor").status_code == 303
    assert query("SELECT count(totp_secret) FROM users") == [(0,)]
    assert signed_in.get("/decisions").location.startswith("/login")


@ON_ONE
@pytest.mark.parametrize("action", ["disable", "save", "password", "second_factor"])
def test_admin_does_not_lock_him_or_herself_out(send, number, action, admin, app):
    with app.app_context():
        add_user("second", PASSWORD, ["admin"])
    answer = send(f"/people/{number('boss')}", action=action, clerk="y")
    assert answer.status_code == 409
    assert "Another administrator can do this." in answer.text
    assert admin.get("/people").status_code == 200


@ON_ONE
def test_role_that_an_admin_takes_is_in_the_audit_log(send, number, entries, admin):
    boss = number("boss")
    assert send(f"/people/{boss}", action="save", admin="y", reviewer="y").status_code == 303
    assert entries(boss) == [("user.roles_set", f"operator:{boss} admin+reviewer")]
    assert admin.get("/people").location.startswith("/login")


def test_last_admin_stays(app, admin, number, sign_in):
    run = app.test_cli_runner()
    for command in (["disable", "boss"], ["set-roles", "boss", "clerk"]):
        done = run.invoke(args=["users", *command])
        assert (done.exit_code, done.stdout) == (1, "")
        assert "the last admin" in done.stderr
    with app.app_context():
        add_user("second", PASSWORD, ["admin"])
    assert run.invoke(args=["users", "disable", "boss"]).exit_code == 0
    assert run.invoke(args=["users", "disable", "second"]).exit_code == 1
    assert run.invoke(args=["users", "enable", "boss"]).exit_code == 0
    assert run.invoke(args=["users", "set-roles", "second", "analyst"]).exit_code == 0


def test_unknown_action_or_person(send, number, admin):
    assert send(f"/people/{number(CLERK)}", action="promote").status_code == 400
    for unknown in (4711, 2**31, 2**63, 1):  # 1 is the system
        assert admin.get(f"/people/{unknown}").status_code == 404


def test_key_made_and_revoked(app, send, number, query, entries, admin):
    made = send("/keys", name="core-banking")
    key = secret_of(made.text)
    with app.app_context():
        assert api_keys.operator_of_key(key).name == "core-banking"
    assert query("SELECT created_by FROM api_keys") == [(number("boss"),)]
    assert key not in admin.get("/keys").text
    assert send("/keys", name="core-banking").status_code == 422
    assert send("/keys", revoke="core-banking").status_code == 303
    with app.app_context():
        assert api_keys.operator_of_key(key) is None
    assert send("/keys", revoke="core-banking").status_code == 404
    assert send("/keys", revoke="core\0banking").status_code == 404
    assert "The key core-banking is revoked." in admin.get("/keys?revoked=core-banking").text
    assert "is revoked." not in admin.get("/keys?revoked=another").text
    assert [event for event, _ in entries(number("boss"))] == [
        "api_key.created",
        "api_key.revoked",
    ]


@ON_ONE
def test_keys_of_a_person_who_leaves_are_named(app, send, number, sign_in):
    with app.app_context():
        add_user("second", PASSWORD, ["admin"])
    for name in ("core-banking", "broker", "gone"):
        send("/keys", name=name)
    send("/keys", revoke="gone")
    disabled = app.test_cli_runner().invoke(args=["users", "disable", "boss"])
    assert disabled.stdout.splitlines() == [
        "still in use: the API key broker",
        "still in use: the API key core-banking",
    ]
    second = sign_in(app.test_client(), "second")
    assert "in use: broker, core-banking." in second.get(f"/people/{number('boss')}").text
    assert "in use:" not in second.get(f"/people/{number(CLERK)}").text


@ON_ONE
def test_users_list(app, admin):
    done = app.test_cli_runner().invoke(args=["users", "list"])
    assert done.stdout.splitlines() == [
        "boss |  | admin | password only | enabled",
        "clerk |  | clerk,analyst | password only | enabled",
    ]
