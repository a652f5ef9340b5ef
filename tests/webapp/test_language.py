"""The choice of a language."""

import re

import pytest

from webapp import create_app
from webapp.config import Config

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def choose(browser, code, **headers):
    page = browser.get("/login").text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    return browser.post(f"/language/{code}", data={"csrf_token": token[1]}, headers=headers)


def language(browser, path="/login", **headers):
    return re.search(r'<html lang="(\w+)"', browser.get(path, headers=headers).text)[1]


def test_choose_is_kept(client):
    asked = {"Accept-Language": "en"}
    assert language(client, **asked) == "en"
    answer = choose(client, "fr", Referer="http://localhost/login?next=/decisions")
    assert answer.status_code == 303
    assert answer.location == "/login?next=/decisions"
    assert client.get_cookie("language").value == "fr"
    assert language(client, **asked) == "fr"
    assert language(client, "/nowhere", **asked) == "fr"
    choose(client, "en")
    assert language(client, **{"Accept-Language": "fr"}) == "en"


def test_choose_returns_to_our_own_pages_alone(client):
    for came in (
        "http://evil.example/decisions",
        "http://localhost//evil.example",
        "http://localhost/\\evil.example",
        "http://localhost:81/decisions",
        "http://localhost@evil.example/",
        "//evil.example",
        "decisions",
        "javascript:alert(1)",
        "http://[",
        "",
    ):
        answer = choose(client, "fr", Referer=came)
        assert answer.status_code == 303, came
        assert re.fullmatch(r"/(?![/\\]).*|/", answer.location), (came, answer.location)
    assert choose(client, "fr").location == "/"


def test_choose_unknown(client):
    for code in ("de", "FR", "x" * 1000):
        assert choose(client, code).status_code == 404
    assert client.get_cookie("language") is None


def test_choose_by_post_with_a_token_alone(client):
    assert client.get("/language/fr").status_code == 405
    assert client.post("/language/fr").status_code == 400
    assert client.get_cookie("language") is None


def test_browser_asks(client):
    for asked, got in (
        ("fr", "fr"),
        ("fr-CA,en;q=0.5", "fr"),
        ("de,fr;q=0.5", "fr"),
        ("de", "en"),
        ("en;q=0.1,fr;q=0.9", "fr"),
        ("*", "en"),
        (";;;,\x7f", "en"),
        ("", "en"),
    ):
        assert language(client, **{"Accept-Language": asked}) == got, asked


def test_cookie_unknown(client):
    client.set_cookie("language", "xx")
    assert language(client, **{"Accept-Language": "fr"}) == "fr"


def test_setting_where_the_browser_asks_for_neither(tmp_path, bundle, database_url):
    config = Config.from_environment(
        {
            "LOAN_INSTANCE": str(tmp_path),
            "LOAN_BUNDLE": str(bundle.directory),
            "LOAN_LANGUAGE": "FR",
            "LOAN_DATABASE_URL": database_url,
        }
    )
    browser = create_app(config).test_client()
    assert language(browser) == "fr"
    assert language(browser, **{"Accept-Language": "de"}) == "fr"
    assert language(browser, **{"Accept-Language": "en"}) == "en"
