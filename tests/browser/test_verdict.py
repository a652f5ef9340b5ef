"""A new decision is seen before anything else: by the eye, by a screen reader, by the keyboard."""

import pytest
from playwright.sync_api import expect

from tests.browser.pages import REFUSED_BY_MODEL, DecisionPage

TITLES = {
    "en": "Refused · decision {number} · Loan Desk",
    "fr": "Refusé · décision {number} · Loan Desk",
}


@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_a_second_enter_does_not_skip_the_verdict(desk, page, words):
    form = desk.sign_in(page, words)
    form.fill(REFUSED_BY_MODEL)
    page.get_by_label(words.label("loan_amount")).press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_url("**/decisions/*")
    page.keyboard.press("Enter")
    decision = DecisionPage(page, words)
    expect(decision.heading).to_be_focused()
    expect(decision.heading).to_contain_text(words("Refused"))
    expect(page).to_have_title(TITLES[words.language].format(number=decision.number))


def test_enter_does_nothing_for_a_second(desk, page, words):
    form = desk.sign_in(page, words)
    form.fill(REFUSED_BY_MODEL)
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    form.decide()
    page.wait_for_url("**/decisions/*")
    decision = DecisionPage(page, words)
    expect(decision.heading).to_be_focused()
    page.keyboard.press("Tab")
    expect(decision.link("Next application")).to_be_focused()
    page.clock.run_for(900)
    page.keyboard.press("Enter")
    expect(decision.heading).to_be_visible()
    page.clock.run_for(200)
    page.keyboard.press("Enter")
    page.wait_for_url("**/applications/new*")


def test_a_decision_that_is_opened_later_takes_no_focus(desk, page, words):
    number = desk.sign_in(page, words).enter(REFUSED_BY_MODEL).number
    page.goto(f"{desk.url}/decisions")
    page.goto(f"{desk.url}/decisions/{number}")
    heading = DecisionPage(page, words).heading
    expect(heading).to_be_visible()
    expect(heading).not_to_be_focused()
