"""The choice of a language."""

import re
from datetime import UTC, datetime

import pytest

from ml.product.definition import Field
from ml.product.texts import LANGUAGES, Text
from webapp import create_app, language as spoken
from webapp.config import Config

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def choose(browser, code, **headers):
    page = browser.get("/login").text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    return browser.post(f"/language/{code}", data={"csrf_token": token[1]}, headers=headers)


def language(browser, path="/login", **headers):
    return re.search(r'<html lang="(\w+)"', browser.get(path, headers=headers).text)[1]


def test_choose_sets_the_language(client):
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


def test_choose_redirects_only_to_own_pages(client):
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


def test_choose_needs_post_and_a_token(client):
    assert client.get("/language/fr").status_code == 405
    assert client.post("/language/fr").status_code == 400
    assert client.get_cookie("language") is None


def test_language_follows_the_browser(client):
    for asked, got in (
        ("fr", "fr"),
        ("fr-CA,en;q=0.5", "fr"),
        ("fr-FR", "fr"),
        ("FR-ca", "fr"),
        ("en-GB,fr;q=0.9", "en"),
        ("en;q=0.5,fr-CA;q=0.9", "fr"),
        ("fr;q=0,de", "en"),
        ("fr-FR;q=0,en;q=0.1", "en"),
        ("de,fr;q=0.5", "fr"),
        ("de", "en"),
        ("en;q=0.1,fr;q=0.9", "fr"),
        ("*", "en"),
        (";;;,\x7f", "en"),
        ("", "en"),
    ):
        assert language(client, **{"Accept-Language": asked}) == got, asked


def test_unknown_cookie_is_ignored(client):
    client.set_cookie("language", "xx")
    assert language(client, **{"Accept-Language": "fr"}) == "fr"


def test_setting_applies_if_the_browser_asks_for_neither(tmp_path, bundle, database_url):
    config = Config(
        instance=tmp_path, bundle=bundle.directory, language="fr", database_url=database_url
    )
    browser = create_app(config).test_client()
    assert language(browser) == "fr"
    assert language(browser, **{"Accept-Language": "de"}) == "fr"
    assert language(browser, **{"Accept-Language": "en"}) == "en"


@pytest.fixture
def written(app):
    """Format a value in each language, as a page does."""

    def write(formatter, value):
        texts = []
        for code in LANGUAGES:
            with app.test_request_context(headers={"Accept-Language": code}):
                texts.append(formatter(value))
        return tuple(texts)

    return write


@pytest.mark.parametrize(
    ("number", "english", "french"),
    [(1, "1", "1"), (0.8, "0.8", "0,8"), (1234.567, "1,234.57", "1\u202f234,57"), (0, "0", "0")],
)
def test_plain_has_two_decimals_at_most(written, number, english, french):
    assert written(spoken.plain, number) == (english, french)


def test_numbers_in_the_language_of_the_page(written):
    assert written(spoken.share, 0.12345) == ("12.3%", "12,3\u00a0%")
    assert written(spoken.decimal, 1.5) == ("1.500", "1,500")
    assert written(spoken.signed, -0.004) == ("+0.00", "+0,00")
    assert written(spoken.integer, 12_000) == ("12,000", "12\u202f000")


def test_moment_in_the_zone_of_the_desk(written):
    when = datetime(2026, 8, 4, 22, 4, 5, tzinfo=UTC)
    assert written(spoken.moment, when) == ("5 Aug 2026, 00:04:05", "5 août 2026, 00:04:05")


def test_bounds_in_words(written):
    label = Text(en="Worth", fr="Valeur")
    field = Field(name="worth", kind="integer", label=label, group="g", minimum=-2, maximum=12_000)
    assert written(spoken.bounds, field) == ("−2 to 12,000", "−2 à 12\u202f000")
