"""Tests of the second factor: codes of an app, recovery codes, and when they are asked for."""

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.fixtures.authenticator import Authenticator
from tests.fixtures.databases import CLERK, PASSWORD
from tests.fixtures.desk import token
from webapp.people.throttle import MAX_OF_ACCOUNT, WINDOW

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CODE, ENROL = "/account/code", "/account/second-factor"


def post(browser, path, **fields):
    return browser.post(path, data={"csrf_token": token(browser, path), **fields})


def hidden(page, name):
    return re.search(rf'name="{name}"[^>]*value="([^"]+)"', page)[1]


def enrol(browser):
    """Set up a second factor; return the app and the recovery codes."""
    page = browser.get(ENROL).text
    key = re.search(r'<code class="fs-6">([A-Z2-7-]+)</code>', page)[1]
    app = Authenticator(key)
    fields = {"csrf_token": hidden(page, "csrf_token"), "sealed": hidden(page, "sealed")}
    answer = browser.post(ENROL, data={**fields, "code": app.code(), "present": PASSWORD})
    assert answer.status_code == 200, answer.text
    codes = re.findall(r"<li><code>([a-z2-7-]+)</code></li>", answer.text)
    assert len(codes) == len(set(codes)) == 10
    return app, codes


@pytest.fixture
def enrolled(signed_in):
    return enrol(signed_in)


@pytest.fixture
def half(app, sign_in):
    """A browser that has given the password, and no code."""
    return lambda: sign_in(app.test_client())


@pytest.fixture
def events(query):
    """The events of the second factor in the audit log, in the order of time."""
    entries = "SELECT event FROM audit_log WHERE event LIKE 'second_factor%' ORDER BY number"
    return lambda: [event.partition(".")[2] for (event,) in query(entries)]


@pytest.fixture
def requiring(app, another_app):
    with another_app(require_second_factor=True) as strict:
        yield strict


def test_code_is_asked_for_after_the_password(enrolled, half, events):
    app, _ = enrolled
    browser = half()
    answer = browser.get("/decisions?before=9")
    assert (answer.status_code, answer.location) == (302, f"{CODE}?next=/decisions?before%3D9")
    wrong = post(browser, CODE, code="000000")
    assert wrong.status_code == 422
    assert "This code is wrong" in wrong.text
    right = post(browser, answer.location, code=app.code())
    assert (right.status_code, right.location) == (303, "/decisions?before=9")
    assert browser.get("/decisions").status_code == 200
    assert events() == ["on", "recovery_codes", "refused", "accepted"]


@ON_ONE
def test_setup_that_is_sent_twice_leads_to_new_recovery_codes(signed_in, enrolled):
    answer = signed_in.post(ENROL, data={"csrf_token": token(signed_in, "/account/password")})
    assert answer.location == "/account?done=on"
    assert "make new ones" in signed_in.get(answer.location).text


@ON_ONE
def test_without_the_code_nothing_else_can_be_done(app, enrolled, half, query):
    browser = half()
    for rule in app.url_map.iter_rules("decisions.index"), app.url_map.iter_rules("account.show"):
        [path] = [r.rule for r in rule]
        assert browser.get(path).location.startswith(CODE)
    page = browser.get(CODE).text
    assert 'href="/decisions"' not in page
    posted = browser.post(
        "/account/second-factor/off", data={"csrf_token": hidden(page, "csrf_token")}
    )
    assert posted.location.startswith(CODE)
    assert query("SELECT count(totp_secret) FROM users") == [(1,)]


@ON_ONE
def test_sign_out_without_the_code_leaves_other_sessions(signed_in, enrolled, half):
    browser = half()
    answer = browser.post("/logout", data={"csrf_token": token(browser, CODE)})
    assert answer.location == "/login"
    assert browser.get("/decisions").location.startswith("/login")
    assert signed_in.get("/decisions").status_code == 200


@ON_ONE
def test_other_sessions_are_asked_for_the_code_once_it_is_on(half, signed_in):
    before = half()
    assert before.get("/decisions").status_code == 200
    enrol(signed_in)
    assert before.get("/decisions").location.startswith(CODE)
    assert signed_in.get("/decisions").status_code == 200


def test_code_is_accepted_once(enrolled, half):
    app, _ = enrolled
    code = app.code()
    assert post(half(), CODE, code=code).status_code == 303
    again = post(half(), CODE, code=f"{code[:3]} {code[3:]}")
    assert again.status_code == 422


def test_code_of_the_setup_is_not_accepted_again(signed_in, half):
    page = signed_in.get(ENROL).text
    app = Authenticator(re.search(r'fs-6">([A-Z2-7-]+)<', page)[1])
    code = app.code()
    fields = {"csrf_token": hidden(page, "csrf_token"), "sealed": hidden(page, "sealed")}
    assert (
        signed_in.post(ENROL, data={**fields, "code": code, "present": PASSWORD}).status_code == 200
    )
    assert post(half(), CODE, code=code).status_code == 422


@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_one_code_at_the_same_time_is_accepted_once(enrolled, half, kind):
    app, codes = enrolled
    browsers = [half() for _ in range(4)]
    tokens = [token(b, CODE) for b in browsers]
    code, start = app.code() if kind == "app" else codes[0], Barrier(len(browsers))

    def send(browser, csrf_token):
        start.wait(30)
        return browser.post(CODE, data={"csrf_token": csrf_token, "code": code}).status_code

    with ThreadPoolExecutor(len(browsers)) as pool:
        assert sorted(pool.map(send, browsers, tokens)) == [303, 422, 422, 422]


def test_recovery_code_is_accepted_once_in_any_writing(enrolled, half, events, query):
    _, codes = enrolled
    assert codes[0] not in str(query("SELECT * FROM recovery_codes"))
    typed = codes[0].replace("-", " ").upper()
    assert post(half(), CODE, code=typed).status_code == 303
    assert post(half(), CODE, code=codes[0]).status_code == 422
    browser = half()
    assert post(browser, CODE, code=codes[1]).status_code == 303
    assert "8 recovery codes left" in browser.get("/account").text
    assert events()[2:] == ["recovery_used", "refused", "recovery_used"]


@ON_ONE
def test_new_recovery_codes_replace_the_old_ones(signed_in, enrolled, half):
    _, old = enrolled
    path = "/account/recovery-codes"
    assert post(signed_in, path, present="not this one").status_code == 422
    page = post(signed_in, path, present=PASSWORD)
    new = re.findall(r"<li><code>([a-z2-7-]+)</code></li>", page.text)
    assert not set(new) & set(old)
    assert post(half(), CODE, code=old[0]).status_code == 422
    assert post(half(), CODE, code=new[0]).status_code == 303


@ON_ONE
def test_wrong_codes_are_throttled(app, enrolled, half, signed_in):
    phone, codes = enrolled
    browser = half()
    for _ in range(MAX_OF_ACCOUNT):
        assert post(browser, CODE, code="000000").status_code == 422
    refused = post(browser, CODE, code=phone.code())
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > WINDOW.total_seconds()
    assert post(half(), CODE, code=codes[0]).status_code == 429
    assert signed_in.get("/decisions").status_code == 200
    off = app.test_cli_runner().invoke(args=["users", "reset-second-factor", CLERK])
    assert off.exit_code == 0
    enrol(half())


@ON_ONE
@pytest.mark.parametrize(
    "there", ["//evil.example", "/\\evil.example", "https://evil.example", "x"]
)
def test_code_never_leads_to_another_site(enrolled, half, there):
    phone, _ = enrolled
    browser = half()
    csrf_token = token(browser, CODE)
    data = {"csrf_token": csrf_token, "code": phone.code()}
    answer = browser.post(CODE, query_string={"next": there}, data=data)
    assert (answer.status_code, answer.location) == (303, "/")


@ON_ONE
def test_setup_with_a_wrong_code_keeps_the_key(signed_in, query):
    page = signed_in.get(ENROL).text
    key = re.search(r'fs-6">([A-Z2-7-]+)<', page)[1]
    sealed = hidden(page, "sealed")
    wrong = post(signed_in, ENROL, sealed=sealed, code="000000", present=PASSWORD)
    assert wrong.status_code == 422
    assert key in wrong.text
    assert 'src="data:image/svg+xml' in wrong.text
    assert query("SELECT count(totp_secret) FROM users") == [(0,)]


@ON_ONE
def test_setup_with_a_secret_of_ones_own_making_is_refused(signed_in, query):
    for sealed in ("", "x", '{"key":"4AOGGDBBQSYHNTUZ","type":"totp","v":1}'):
        answer = post(signed_in, ENROL, sealed=sealed, code="000000", present=PASSWORD)
        assert answer.status_code == 422
    assert query("SELECT count(totp_secret) FROM users") == [(0,)]


def test_setup_needs_the_present_password(signed_in, query):
    """So that nobody at an open desk adds a phone of their own."""
    page = signed_in.get(ENROL).text
    code = Authenticator(re.search(r'fs-6">([A-Z2-7-]+)<', page)[1]).code()
    for present in ("", "not this one"):
        fields = {"sealed": hidden(page, "sealed"), "code": code, "present": present}
        assert post(signed_in, ENROL, **fields).status_code == 422
    assert query("SELECT count(totp_secret) FROM users") == [(0,)]


def test_secret_is_kept_encrypted(enrolled, query):
    [(secret,)] = query("SELECT totp_secret FROM users")
    assert '"enckey"' in secret


def test_turned_off_with_the_present_password(signed_in, enrolled, half, events, query):
    path = "/account/second-factor/off"
    assert post(signed_in, path, present="not this one").status_code == 422
    assert post(signed_in, path, present=PASSWORD).status_code == 303
    assert "The second factor is off." in signed_in.get("/account?done=off").text
    assert half().get("/decisions").status_code == 200
    assert query("SELECT count(*) FROM recovery_codes") == [(0,)]
    assert events()[-1] == "off"


def test_bank_that_requires_it_lets_nobody_do_anything_before(requiring, sign_in):
    browser = sign_in(requiring.test_client())
    assert browser.get("/decisions").location == f"{ENROL}?next=/decisions"
    assert browser.get("/account").location.startswith(ENROL)
    assert "Present password" not in browser.get(ENROL).text
    enrol(browser)
    assert browser.get("/decisions").status_code == 200


@ON_ONE
def test_reset_by_command(app, signed_in, enrolled, half):
    done = app.test_cli_runner().invoke(args=["users", "reset-second-factor", CLERK])
    assert done.exit_code == 0
    assert signed_in.get("/decisions").location.startswith("/login")
    assert half().get("/decisions").status_code == 200
