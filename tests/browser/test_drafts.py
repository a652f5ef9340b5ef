"""What is typed stays in its tab until it is decided, and nobody else sees it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.browser.letters import LettersPart
from tests.browser.pages import (
    GRANTED,
    REFUSED_BY_MODEL,
    DecisionPage,
    Navigation,
    NewApplication,
    SignIn,
)

TYPED = {
    "loan_amount": "3,000",
    "loan_term_months": "24",
    "employment_type": "permanent",
    "adverse_credit_record": "1",
}
GROUPED = {
    "loan_amount": "3,000",
    "purchase_price": "8,000",
    "monthly_income": "2,500",
    "assets": "60,000",
}
NO_STORAGE = "Object.defineProperty(window, 'sessionStorage', { get() { throw Error('off'); } })"
FULL_STORAGE = "Storage.prototype.setItem = () => { throw Error('full'); }"
HEARD = "new Promise(hear => { new BroadcastChannel('test').onmessage = hear; })"
KEPT = "Object.keys(sessionStorage).filter(key => key.startsWith('draft:')).length"


@pytest.fixture
def refusals() -> set[int]:
    return {400, 422, 500, 503}


def kept(page: Page) -> int:
    """Count the drafts in a tab."""
    return int(page.evaluate(KEPT))


@contextmanager
def stopped(url: str) -> Iterator[None]:
    """Refuse every connection to a database until the block ends."""
    name = url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(url.replace(f"/{name}?", "/postgres?"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        yield
        connection.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")


def test_draft_survives_a_reload_and_another_language(desk, page, words):
    form = desk.sign_in(page, words)
    form.expect_values({})
    form.fill(TYPED)
    page.reload()
    form.expect_values(TYPED)
    expect(page.get_by_text(words("What you typed before is here again."))).to_be_visible()
    Navigation(page, words).speak("Français")
    expect(page.get_by_role("heading", name="Nouvelle demande")).to_be_visible()
    french = NewApplication(page, replace(words, language="fr"))
    french.expect_values({**TYPED, "loan_amount": "3\u202f000"})


def test_draft_survives_an_error_and_another_language(desk, page, words):
    form = desk.sign_in(page, words)
    form.fill(TYPED)
    form.decide()
    expect(form.alert).to_be_focused()
    Navigation(page, words).speak("Français")
    french = NewApplication(page, replace(words, language="fr"))
    french.expect_values({**TYPED, "loan_amount": "3\u202f000"})


def test_draft_survives_wandering_and_another_application(desk, page, words):
    form = desk.sign_in(page, words)
    form.fill(TYPED)
    bar = Navigation(page, words)
    bar.go_to("Decisions")
    page.go_back()
    form.expect_values(TYPED)
    bar.go_to("Decisions")
    bar.go_to("New application")
    form.expect_values({})
    form.link("Continue it").click()
    form.expect_values(TYPED)
    form.link("Start over").click()
    form.expect_values({})
    assert kept(page) == 0


def test_session_expires_in_mid_form(desk, page, words):
    form = desk.sign_in(page, words)
    before = desk.decisions(page)
    form.fill(GRANTED)
    page.context.clear_cookies(name="session")
    form.decide()
    sign_in = SignIn(page, words)
    expect(
        page.get_by_text(words("What you typed is kept in this tab"), exact=False)
    ).to_be_visible()
    sign_in.enter("admin", desk.password)
    form.expect_values(GRANTED | GROUPED)
    form.decide()
    page.wait_for_url("**/decisions/*")
    assert desk.decisions(page) == before + 1
    assert kept(page) == 0


def test_token_expires_in_mid_form(desk, page, words):
    form = desk.sign_in(page, words)
    form.fill(TYPED)
    page.context.clear_cookies(name="session")
    other = page.context.new_page()
    desk.sign_in(other, words)
    form.decide()
    expect(form.alert).to_contain_text(words("This form had expired."))
    expect(form.alert).to_be_focused()
    form.expect_values(TYPED)
    form.fill(GRANTED)
    form.decide()
    page.wait_for_url("**/decisions/*")


def test_database_stops_in_mid_form(open_desk, new_postgresql_database, page, words):
    url = new_postgresql_database
    with open_desk(url) as desk:
        form = desk.sign_in(page, words)
        form.fill(GRANTED)
        with stopped(url):
            page.reload()
            expect(form.link("Try again")).to_be_visible()
        form.link("Try again").click()
        form.expect_values(GRANTED | GROUPED)
        with stopped(url):
            form.decide()
            expect(form.alert).to_contain_text(words("Nothing was stored."))
            expect(form.alert).to_be_focused()
            expect(form.field("loan_amount")).to_have_value("3,000")
        form.decide()
        page.wait_for_url("**/decisions/*")
        assert desk.decisions(page) == 1


def test_decided_application_leaves_no_draft(desk, page, words):
    form = desk.sign_in(page, words)
    form.enter(GRANTED)
    assert kept(page) == 0
    DecisionPage(page, words).next_application()
    form.expect_values({})
    page.go_back()
    page.go_back()
    form.expect_values({})


def test_drafts_of_two_tabs(desk, page, words):
    form = desk.sign_in(page, words)
    form.fill(TYPED)
    other = page.context.new_page()
    other.goto(f"{desk.url}/applications/new")
    second = NewApplication(other, words)
    second.expect_values({})
    expect(second.link("Continue it")).to_be_hidden()
    second.fill(GRANTED)
    page.reload()
    form.expect_values(TYPED)
    second.decide()
    other.wait_for_url("**/decisions/*")
    page.reload()
    form.expect_values(TYPED)


def test_draft_is_not_the_next_users(desk, page, words):
    password = desk.flask("users", "create", "second")
    form = desk.sign_in(page, words)
    form.fill(TYPED)
    page.context.clear_cookies(name="session")
    page.reload()
    SignIn(page, words).enter("second", password)
    form.expect_values({})
    expect(form.link("Continue it")).to_be_hidden()
    assert kept(page) == 0


@pytest.mark.parametrize("shown", ["New application", "Decisions"])
def test_sign_out_in_another_tab_forgets_the_draft(desk, page, words, shown):
    form = desk.sign_in(page, words)
    form.fill(TYPED)
    if shown != "New application":
        Navigation(page, words).go_to(shown)
    other = page.context.new_page()
    other.goto(f"{desk.url}/decisions")
    Navigation(other, words).sign_out()
    expect(SignIn(page, words).button("Sign in")).to_be_visible()
    assert kept(page) == 0
    page.goto(f"{desk.url}/applications/new")
    SignIn(page, words).enter("admin", desk.password)
    form.expect_values({})


def test_session_that_ends_in_another_tab_leaves_the_draft(desk, page, words):
    """Only a sign-out forgets it: the same person signs in again, here with a new password."""
    password = desk.flask("users", "create", "third")
    page.goto(desk.url)
    SignIn(page, words).enter("third", password)
    other = page.context.new_page()
    other.goto(f"{desk.url}/applications/new")
    NewApplication(other, words).enter(REFUSED_BY_MODEL)
    form = NewApplication(page, words)
    form.fill(TYPED)
    password = desk.flask("users", "set-password", "third")
    part = LettersPart(other, words)
    part.open_form()
    part.button("Make the letter").click()
    expect(SignIn(other, words).heading).to_have_text(words("Sign in"))
    # What the sign-in may have told the other tabs has arrived before this.
    page.evaluate(f"() => {{ window.heard = {HEARD} }}")
    other.evaluate("new BroadcastChannel('test').postMessage('')")
    page.evaluate("heard.then(() => true)")
    form.decide()
    SignIn(page, words).enter("third", password)
    form.expect_values({**TYPED, "loan_amount": "3,000"})


def test_error_after_sending_leaves_the_draft(desk, page, words):
    """Even if somebody looks at decisions then, to see whether it was stored."""
    form = desk.sign_in(page, words)
    form.enter(GRANTED)
    DecisionPage(page, words).next_application()
    form.fill(TYPED)
    page.route(
        "**/applications/new?*",
        lambda route: route.fulfill(
            status=500, body="<a href='/decisions'>Look</a>", content_type="text/html"
        ),
    )
    form.decide()
    page.get_by_role("link", name="Look").click()
    page.unroute_all()
    page.get_by_role("main").get_by_role("row").nth(1).get_by_role("link").first.click()
    expect(DecisionPage(page, words).verdict).to_be_visible()
    assert kept(page) == 1


@pytest.mark.parametrize("script", [NO_STORAGE, FULL_STORAGE])
def test_form_works_if_nothing_can_be_kept(desk, page, words, script):
    page.add_init_script(script)
    form = desk.sign_in(page, words)
    form.fill({**GRANTED, "loan_term_months": "1"})
    form.decide()
    expect(form.alert).to_be_focused()
    form.enter(GRANTED)
    Navigation(page, words).sign_out()


def test_form_can_be_sent_again_after_it_was_stopped(desk, page, words):
    page.clock.install()
    form = desk.sign_in(page, words)
    form.fill(GRANTED)
    page.route("**/applications/new?*", lambda route: route.fulfill(status=204))  # as if stopped
    with page.expect_response("**/applications/new?*"):
        form.decide()
    page.unroute_all()
    page.clock.fast_forward(10_000)
    form.decide()
    page.wait_for_url("**/decisions/*")
