"""A clerk at the counter, with a customer in the chair, in English and in French."""

import pytest
from playwright.sync_api import expect

from ml.product.figures import figures_of
from tests.browser.pages import REFUSED, DecisionPage
from tests.browser.protected_pages import VoluntaryQuestions

SAID = {
    "en-GB": {
        "typed": "8,999.50",
        "instalment": "150.00 EUR/month",
        "share": "100.0%",
        "note": "8,999.50 was rounded to 9,000: only whole amounts are used.",
        "warning": "below 210 EUR",
        "single": "Single",
        "married": "Marital status",
    },
    "fr-FR": {
        "typed": "8 999,50",
        "instalment": "150,00 EUR/mois",
        "share": "100,0 %",
        "note": "8 999,50 a été arrondi à 9 000 : seuls les montants entiers sont utilisés.",
        "warning": "moins de 210 EUR",
        "single": "Célibataire",
        "married": "État civil",
    },
}


@pytest.mark.parametrize("locale", list(SAID))
def test_clerk_at_the_counter(desk, page, words, locale):
    said = SAID[locale]
    form = desk.sign_in(page, words)
    before = desk.decisions(page)
    expect(form.field("loan_amount")).to_be_focused()
    instalment, price = (
        form.figure(figure.quantity.label.in_language(words.language))
        for figure in figures_of(words.product)
    )
    expect(instalment).to_contain_text("–")
    form.fill({**REFUSED, "loan_amount": said["typed"], "monthly_expenses": "200"})
    expect(instalment).to_have_text(said["instalment"])
    expect(price).to_have_text(said["share"])
    said_aloud = page.locator("#figures-said")  # to screen readers
    expect(said_aloud).to_contain_text(said["instalment"])
    form.field("monthly_expenses").press("Enter")
    expect(form.alert).to_be_focused()
    expect(form.alert).to_contain_text(said["note"])
    expect(form.alert).to_contain_text(said["warning"])
    described = expect(form.field("loan_amount"))
    described.to_have_attribute("aria-describedby", "loan_amount-help loan_amount-note")
    expect(instalment).to_have_text(said["instalment"])
    assert desk.decisions(page) == before
    form.decide_all_the_same()
    page.wait_for_url("**/decisions/*")
    decided = DecisionPage(page, words)
    questions = VoluntaryQuestions(page, words)
    questions.open()
    expect(questions.heading).to_have_text(words("Voluntary questions for fairness"))
    questions.answer(said["married"], said["single"])
    questions.store()
    expect(page.get_by_text(words("The voluntary questions have been answered."))).to_be_visible()
    expect(questions.link).to_have_count(0)
    expect(page.get_by_role("main").get_by_text(said["single"])).to_have_count(0)
    decided.next_application()
    form.expect_values({})
    expect(page.get_by_label(words.starting_with("Reference"))).to_have_value("")
