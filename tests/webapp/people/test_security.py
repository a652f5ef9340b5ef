"""Tests of access control, sessions and security headers."""

import re

import pytest
from flask_security import hash_password
from sqlalchemy import select
from werkzeug.routing import IntegerConverter

from tests.fixtures.databases import add_user
from tests.fixtures.desk import token
from webapp import create_app
from webapp.config import Config
from webapp.extensions import db
from webapp.ledger.transaction import unit_of_work
from webapp.people import service as people
from webapp.people.tables import User
from webapp.secret_files import MIN_SECRET_LENGTH

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SIGN_IN = "/login"
FORM = {"username": "clerk", "password": "correct horse battery"}


def paths(app):
    """Yield a path of every route that answers GET."""
    for rule in app.url_map.iter_rules():
        converters = rule._converters
        values = {
            name: 1 if isinstance(c, IntegerConverter) else "x" for name, c in converters.items()
        }
        with app.test_request_context():
            path = app.url_for(rule.endpoint, _external=False, **values)
        if "GET" in rule.methods:
            yield path


@ON_ONE
def test_every_route_has_its_headers(app, signed_in):
    for path in (
        *paths(app),
        "/nowhere",
        "/decisions/4711",
        "/static/desk.css",
        "/decisions?before=x",
    ):
        answer = signed_in.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        static = answer.request.path.startswith("/static/")
        assert static or answer.headers["Cache-Control"] == "no-store"
        if answer.mimetype == "text/html":
            inline = r"""<[^>]+\s(style|on\w+)=|<style|<script>"""
            assert not re.search(inline, answer.text)
            assert not re.search(r"""(src|href|action)=["']?(https?:)?//""", answer.text)
        answer.close()


def test_sign_in_redirects_to_the_next_page(client):
    form = {**FORM, "csrf_token": token(client, SIGN_IN)}
    answer = client.post("/login", query_string={"next": "/decisions?before=9"}, data=form)
    assert answer.status_code == 302
    assert answer.location == "/decisions?before=9"
    assert client.get("/decisions").status_code == 200


@ON_ONE
def test_failed_sign_ins_have_the_same_answer(app, client, query_at, config):
    def attempt(username, password):
        form = {"username": username, "password": password, "csrf_token": token(client, SIGN_IN)}
        answer = client.post("/login", data=form)
        text = re.sub(r'(name="csrf_token"[^>]*value=")[^"]+', r"\1", answer.text)
        return answer.status_code, text.replace(f'value="{username}"', "")

    with app.app_context():
        hashed = hash_password(FORM["password"])
        with unit_of_work() as transaction:
            people.create_user(transaction, "former", password_hash=hashed, roles=["clerk"])
    former = "(SELECT id FROM operators WHERE name = 'former')"
    query_at(config.instance, f"UPDATE users SET active = 0 WHERE id = {former}")
    wrong = attempt("clerk", "wrong password")
    assert 'role="alert"' in wrong[1]
    assert attempt("nobody", "wrong password") == wrong
    assert attempt("Clerk", FORM["password"]) == wrong
    assert attempt("former", FORM["password"]) == wrong
    assert client.get("/decisions").status_code == 302


@ON_ONE
def test_sign_in_empty_or_hostile(client):
    names = ("", "x" * 10_000, "<script>", "' OR 1=1 --", "\ud800".encode(errors="surrogatepass"))
    for name in names:
        form = {
            "username": name,
            "password": FORM["password"],
            "csrf_token": token(client, SIGN_IN),
        }
        answer = client.post("/login", data=form)
        assert answer.status_code == 200
        assert "<script>" not in answer.text
    assert client.get("/decisions").status_code == 302


@ON_ONE
def test_sign_in_never_redirects_to_another_site(app):
    for there in (
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\\/evil.example",
        "https://evil.example",
        "http:///evil.example",
        "https:evil.example",
        " //evil.example",
        "\t//evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
    ):
        for asked in ({"query_string": {"next": there}, "data": {}}, {"data": {"next": there}}):
            browser = app.test_client()
            form = {**FORM, "csrf_token": token(browser, SIGN_IN), **asked.pop("data")}
            answer = browser.post("/login", data=form, **asked)
            # As browsers parse it: a backslash is a slash, and white space is ignored.
            place = re.sub(r"\s", "", answer.location or "/").replace("\\", "/")
            assert not place.startswith("//"), (there, place)
            assert ":" not in place.partition("/")[0], (there, place)


@ON_ONE
def test_sign_in_without_csrf_token(client):
    answer = client.post("/login", data=FORM)
    assert answer.status_code == 400
    assert client.get("/decisions").status_code == 302


@ON_ONE
def test_only_a_session_signs_in(app, client):
    with app.test_request_context():
        given = db.session.scalar(select(User)).get_auth_token()
    another = app.test_client()
    assert another.get("/decisions", query_string={"auth_token": given}).status_code == 302
    assert another.get("/decisions", headers={"Authentication-Token": given}).status_code == 302
    basic = another.get("/decisions", auth=(FORM["username"], FORM["password"]))
    assert basic.status_code == 302


@ON_ONE
def test_sign_out_needs_post_and_a_token(signed_in):
    assert signed_in.get("/logout").status_code == 405
    assert signed_in.post("/logout").status_code == 400
    assert signed_in.get("/decisions").status_code == 200
    form = {"csrf_token": token(signed_in, "/decisions")}
    assert signed_in.post("/logout", data=form).location == "/login"
    assert signed_in.get("/decisions").status_code == 302


@pytest.fixture
def stolen(app, signed_in):
    """A browser that holds a copy of the clerk's cookie."""
    thief = app.test_client()
    thief.set_cookie("session", signed_in.get_cookie("session").value)
    assert thief.get("/decisions").status_code == 200
    return thief


def test_sign_out_ends_every_session_of_the_user(app, signed_in, sign_in, stolen):
    with app.app_context():
        add_user("anna", FORM["password"])
    anna = sign_in(app.test_client(), "anna")
    form = {"csrf_token": token(signed_in, "/decisions")}
    assert signed_in.post("/logout", data=form).location == "/login"
    assert stolen.get("/decisions").status_code == 302
    assert anna.get("/decisions").status_code == 200
    assert sign_in(signed_in).get("/decisions").status_code == 200
    assert stolen.get("/decisions").status_code == 302


def test_session_stays_ended_after_a_reactivation(app, sign_in, stolen):
    run = app.test_cli_runner()
    assert run.invoke(args=["users", "disable", "clerk"]).exit_code == 0
    assert stolen.get("/decisions").status_code == 302
    assert run.invoke(args=["users", "enable", "clerk"]).exit_code == 0
    assert stolen.get("/decisions").status_code == 302
    assert sign_in(app.test_client()).get("/decisions").status_code == 200


@ON_ONE
def test_session_of_an_inactive_user_ends(signed_in, query_at, config):
    query_at(config.instance, "UPDATE users SET active = 0")
    assert signed_in.get("/decisions").status_code == 302


@ON_ONE
def test_session_forged_or_of_another_key(app, another_app, signed_in):
    cookie = signed_in.get_cookie("session").value
    signer = app.session_interface.get_signing_serializer(app)
    session = signer.loads(cookie)
    with another_app(secret_key="x" * MIN_SECRET_LENGTH) as other:
        of_another_key = other.session_interface.get_signing_serializer(other).dumps(session)
    changed = signer.dumps({**session, "changed": True}).rpartition(".")[0]
    for value, status in (
        (signer.dumps(session), 200),
        (of_another_key, 302),
        (f"{changed}.{cookie.rpartition('.')[2]}", 302),
        (changed, 302),
        (cookie.replace(".", "", 1), 302),
        ("", 302),
        ("x", 302),
        ("e30.e30.e30", 302),
    ):
        another = app.test_client()
        another.set_cookie("session", value)
        assert another.get("/decisions").status_code == status, value


@pytest.mark.parametrize("https", ["yes", "no"])
def test_cookies_have_the_protecting_attributes(tmp_path, bundle, sign_in, https):
    config = Config(instance=tmp_path, bundle=bundle.directory, https=https == "yes")
    browser = create_app(config).test_client()
    base = "https://desk.example" if https == "yes" else "http://desk.example"
    page = browser.get("/login", base_url=base)
    form = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)[1]
    headers = {"Referer": f"{base}/login"}
    form = {"csrf_token": form}
    chosen = browser.post("/language/fr", data=form, base_url=base, headers=headers)
    assert chosen.status_code == 303
    cookies = [*page.headers.getlist("Set-Cookie"), *chosen.headers.getlist("Set-Cookie")]
    session = "__Host-session" if https == "yes" else "session"
    assert {c.partition("=")[0] for c in cookies} == {session, "language"}
    for cookie in cookies:
        attributes = {a.strip().lower() for a in cookie.split(";")[1:]}
        assert {"httponly", "samesite=lax", "path=/"} <= attributes
        assert ("secure" in attributes) == (https == "yes")
        assert not any(a.startswith("domain=") for a in attributes)


def test_https_sends_strict_transport_security_for_a_year(client, app):
    assert "Strict-Transport-Security" not in client.get("/login").headers
    app.config["SESSION_COOKIE_SECURE"] = True
    header = client.get("/login").headers["Strict-Transport-Security"]
    assert header == "max-age=31536000"
