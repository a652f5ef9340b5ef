"""Tests of when sessions end: idle, old, after changes of the account."""

import pytest

from tests.fixtures.databases import CLERK, PASSWORD, add_user
from tests.fixtures.desk import token
from webapp.extensions import settings
from webapp.people.sessions import BEGUN, SEEN, WRITTEN_SECONDS

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def earlier(app):
    """Return a browser with a copy of another's session, some of whose moments are earlier."""

    def copy(browser, **seconds):
        signer = app.session_interface.get_signing_serializer(app)
        session = signer.loads(browser.get_cookie("session").value)
        moved = {name: session[name] - less for name, less in seconds.items()}
        another = app.test_client()
        another.set_cookie("session", signer.dumps({**session, **moved}))
        return another

    return copy


@ON_ONE
def test_session_ends_when_idle(app, signed_in, earlier):
    with app.app_context():
        idle = settings().session_idle_minutes * 60
    assert earlier(signed_in, **{SEEN: idle - 5}).get("/decisions").status_code == 200
    ended = earlier(signed_in, **{SEEN: idle + 5})
    answer = ended.get("/decisions")
    assert (answer.status_code, answer.location) == (302, "/login?next=/decisions")
    assert 'href="/decisions"' not in earlier(signed_in, **{SEEN: idle + 5}).get("/nowhere").text
    page = ended.get(answer.location)
    assert "Your session has ended." in page.text
    assert "Your session has ended." not in ended.get("/login").text
    assert signed_in.get("/decisions").status_code == 200


@ON_ONE
def test_session_ends_after_its_hours_however_busy(app, signed_in, earlier):
    with app.app_context():
        hours = settings().session_hours * 3600
    assert earlier(signed_in, **{BEGUN: hours - 5}).get("/decisions").status_code == 200
    assert earlier(signed_in, **{BEGUN: hours + 5}).get("/decisions").status_code == 302


@ON_ONE
def test_form_of_an_idle_session_leads_to_the_sign_in(app, signed_in, earlier):
    form = {"csrf_token": token(signed_in, "/decisions")}
    ended = earlier(signed_in, **{SEEN: 24 * 3600})
    answer = ended.post("/outcomes", data=form)
    assert answer.status_code == 302
    assert answer.location.startswith("/login")


@ON_ONE
def test_every_tab_ends_after_a_sign_out_and_only_then(signed_in, earlier):
    ends = 'data-ends="all"'
    form = {"csrf_token": token(signed_in, "/decisions")}
    idle, left = (earlier(signed_in, **{SEEN: 24 * 3600}) for _ in range(2))
    assert ends not in idle.get(idle.post("/outcomes", data=form).location).text
    assert ends in left.get(left.post("/logout", data=form).location).text
    answer = signed_in.post("/logout", data=form)
    assert ends in signed_in.get(answer.location).text
    assert ends not in signed_in.get(answer.location).text


@ON_ONE
def test_cookie_is_written_again_only_now_and_then(signed_in, earlier):
    assert "Set-Cookie" not in signed_in.get("/decisions").headers
    later = earlier(signed_in, **{SEEN: WRITTEN_SECONDS + 5})
    assert "Set-Cookie" in later.get("/decisions").headers
    assert "Set-Cookie" not in later.get("/decisions").headers


@ON_ONE
def test_shorter_settings_apply_to_sessions_there_are(another_app, signed_in, earlier):
    with another_app(session_idle_minutes=1) as app:
        browser = app.test_client()
        browser.set_cookie("session", earlier(signed_in, **{SEEN: 65}).get_cookie("session").value)
        assert browser.get("/decisions").status_code == 302


@ON_ONE
def test_session_without_its_moments_is_over(app, signed_in):
    signer = app.session_interface.get_signing_serializer(app)
    session = signer.loads(signed_in.get_cookie("session").value)
    old = app.test_client()
    kept = {name: value for name, value in session.items() if name not in (BEGUN, SEEN)}
    old.set_cookie("session", signer.dumps(kept))
    assert old.get("/decisions").status_code == 302


@pytest.mark.parametrize(
    "command",
    [
        ["users", "disable", CLERK],
        ["users", "set-password", CLERK],
        ["users", "set-roles", CLERK, "clerk"],
        ["users", "reset-second-factor", CLERK],
    ],
    ids=lambda command: command[1],
)
def test_session_ends_at_once(app, signed_in, sign_in, command):
    with app.app_context():
        add_user("anna", PASSWORD)
    anna = sign_in(app.test_client(), "anna")
    assert signed_in.get("/decisions").status_code == 200
    done = app.test_cli_runner().invoke(args=command)
    assert done.exit_code == 0, done.output
    ended = signed_in.get("/decisions")
    assert ended.status_code == 302
    assert "Your session has ended." in signed_in.get(ended.location).text
    assert anna.get("/decisions").status_code == 200


@ON_ONE
def test_roles_that_stay_the_same_end_nothing(app, signed_in):
    done = app.test_cli_runner().invoke(args=["users", "set-roles", CLERK, "analyst", "clerk"])
    assert done.exit_code == 0
    assert signed_in.get("/decisions").status_code == 200
