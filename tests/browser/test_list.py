"""An analyst finds decisions and exports them, in English and in French."""

import csv
import io

import pytest
from playwright.sync_api import expect

from tests.browser.pages import GRANTED, DecisionList, Navigation

AMOUNT = {"en-GB": "2,345", "fr-FR": "2 345"}


@pytest.mark.parametrize("locale", list(AMOUNT))
def test_analyst_finds_and_exports(desk, page, words, locale):
    form = desk.sign_in(page, words)
    reference = f"LIST/{words.language}"
    page.locator("#reference").fill(reference)
    number = form.enter({**GRANTED, "loan_amount": AMOUNT[locale]}).number
    Navigation(page, words).go_to("Decisions")
    listed = DecisionList(page, words)
    listed.search(reference[:-1])  # the beginning of both languages' references
    listed.open_part("Filter")
    listed.narrow("Amount from", AMOUNT[locale])
    expect(listed.rows.filter(has_text=reference)).to_have_count(1)
    assert "amount_from=" in page.url
    text = listed.export(personal=True)
    head, *rows = csv.reader(io.StringIO(text), delimiter=";" if words.language == "fr" else ",")
    assert head[0] == words("Decision number")
    [row] = [row for row in rows if row[0] == str(number)]
    assert row[6] == "2345"
    assert reference in row
    # The whole row leads to the decision, also by the keyboard.
    cell = page.locator("tbody tr", has_text=reference).locator("td").nth(4)
    cell.click(force=True)  # the link lies over it
    page.wait_for_url(f"**/decisions/{number}")
    page.go_back()
    page.locator("tbody a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/decisions/*")


def test_number_of_a_decision_opens_it(desk, page, words):
    number = desk.sign_in(page, words).enter(GRANTED).number
    Navigation(page, words).go_to("Decisions")
    DecisionList(page, words).search(str(number))
    page.wait_for_url(f"**/decisions/{number}")
