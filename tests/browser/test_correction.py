"""A decision is corrected: from its page or from a what-if, and never mixed with another."""

import pytest
from playwright.sync_api import expect

from ml.product.formats import format_integer
from tests.browser.pages import REFUSED, DecisionPage, Navigation, NewApplication

IN_BOTH = pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])


def shown(words, values):
    """Return values as the form writes them in a language."""
    thousands = {"en": "9,000", "fr": "9\u202f000"}[words.language]
    return {name: thousands if value == "9000" else value for name, value in values.items()}


@IN_BOTH
def test_a_correction_begins_with_the_values_of_a_what_if(desk, page, words):
    form = desk.sign_in(page, words)
    form.page.get_by_label(words("Reference")).fill("LN/17")
    decision = form.enter(REFUSED)
    first = decision.number
    expect(decision.try_values({"loan_amount": "800", "loan_term_months": "12"})).to_be_visible()
    form = decision.correct("Apply with these values")
    expect(form.heading).to_have_text(words("Correction of decision %(number)s", number=first))
    tried = shown(words, {**REFUSED, "loan_amount": "800", "loan_term_months": "12"})
    form.expect_values(tried)
    expect(page.get_by_label(words("Reference"))).to_have_value("LN/17")
    form.answer("monthly_income", "950")
    page.reload()
    form.expect_values({**tried, "monthly_income": "950"})
    form.decide()
    page.wait_for_url("**/decisions/*")
    second = decision.number
    assert second != first
    chain = decision.part("Corrections")
    expect(chain.get_by_role("listitem")).to_have_count(2)
    chain.get_by_role("link").click()
    page.wait_for_url(f"**/decisions/{first}")
    expect(chain.get_by_role("listitem").nth(1)).to_contain_text(
        words("corrects decision %(number)s", number=format_integer(first, words.language))
    )
    expect(decision.part("History")).to_contain_text(
        words("Corrected by decision %(number)s", number=format_integer(second, words.language))
    )


@IN_BOTH
def test_a_correction_never_mixes_with_another_application(desk, page, words):
    decision = desk.sign_in(page, words).enter(REFUSED)
    address = page.url
    decision.next_application()
    form = NewApplication(page, words)
    form.answer("loan_amount", "777")  # of another customer
    page.goto(address)
    form = DecisionPage(page, words).correct()
    form.expect_values(shown(words, REFUSED))
    form.answer("monthly_income", "950")
    Navigation(page, words).go_to("New application")
    expect(form.heading).to_have_text(words("New application"))
    form.expect_values({})
    page.get_by_role("link", name=words("Continue it")).click()  # what was typed last
    form.expect_values({**shown(words, REFUSED), "monthly_income": "950"})
    expect(form.heading).to_contain_text(address.rpartition("/")[2])
