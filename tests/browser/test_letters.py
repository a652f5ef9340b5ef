"""From a refusal to a letter in French, and every letter printed on one page."""

import re

import pytest
from playwright.sync_api import expect

from ml.product.texts import LANGUAGES, Text
from tests.browser.letters import LetterPage, LettersPart, make_letter
from tests.browser.pages import REFUSED, REFUSED_BY_MODEL, NewApplication, Screen
from webapp.config import Config
from webapp.letters.examples import example
from webapp.letters.records import KINDS, REGIMES
from webapp.letters.wording import OURS, render

BANK = Config(
    bank_name="Caisse d’épargne et de crédit de l’Exemple et des Provinces réunies",
    bank_address="Service des crédits aux particuliers;12 avenue du Général-de-Gaulle, bâtiment C;"
    "75013 Paris;01 23 45 67 89",
    letter_contact="Service des révisions et des réclamations;12 avenue du Général-de-Gaulle, "
    "75013 Paris;revisions@banque.example;01 23 45 67 89, du lundi au vendredi, de 9 h à 17 h",
    letter_debt_advice="Point conseil budget, 01 23 45 67 00, gratuit et confidentiel",
    letter_register="Fichier national des incidents de remboursement des crédits aux particuliers, "
    "31 rue Croix-des-Petits-Champs, 75049 Paris Cedex 01",
    letter_agency="Bureau of Consumer Financial Protection, 1700 G Street NW., Washington, DC",
)
LONG = Text(
    en="Monthly income that remains after the expenses and the instalments of other loans is low",
    fr="Le revenu mensuel qui reste après les charges et les mensualités des autres crédits en "
    "cours est faible par rapport à la mensualité du crédit demandé",
)
REPLACE = "text => { document.querySelector('article.letter').outerHTML = text; }"


@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_a_refusal_leads_to_a_letter_in_french(desk, page, words):
    desk.sign_in(page, words).enter(REFUSED_BY_MODEL)
    part, letter = LettersPart(page, words), LetterPage(page, words)
    part.open_form()
    part.choose("Français")
    part.address("Mme A. Martin\n1 rue de l’Exemple\n75000 Paris")
    part.button("Preview").click()
    expect(letter.stamp).to_contain_text("Aperçu")
    expect(letter.letter).to_contain_text("Les motifs principaux de ce refus")
    letter.button("Make the letter").click()
    page.wait_for_url("**/letters/1")
    expect(letter.stamp).to_have_count(0)
    expect(letter.letter).to_contain_text("Mme A. Martin")
    expect(letter.letter).to_contain_text("Vous pouvez contester la décision")
    expect(letter.button("Print")).to_be_visible()
    assert letter.pages_in_pdf() == 1
    letter.link("Back to the decision").click()
    expect(part.made).to_have_count(1)
    part.made.get_by_role("link").click()
    expect(letter.stamp).to_contain_text("Copie du")
    assert letter.pages_in_pdf() == 1
    page.go_back()
    letter.link("Print sheet for the file").click()
    expect(page.locator("article.sheet")).to_be_visible()
    assert letter.pages_in_pdf() <= 2


@pytest.fixture
def person(chromium, role_states):
    """Open a page of somebody who has one role."""
    contexts = []

    def come_in(role):
        contexts.append(chromium.new_context(locale="en-GB", storage_state=role_states[role]))
        return contexts[-1].new_page()

    yield come_in
    for context in contexts:
        context.close()


def test_a_referral_leads_to_a_letter_before_and_after_its_review(desk, person, words):
    clerk, reviewer, analyst = map(person, ("clerk", "reviewer", "analyst"))
    clerk.goto(f"{desk.url}/applications/new")
    decision = NewApplication(clerk, words).enter(REFUSED)
    expect(decision.heading).to_contain_text("Referred")
    address = clerk.url
    make_letter(clerk, words, "Français")
    letter = LetterPage(clerk, words)
    expect(letter.letter).to_contain_text("Votre demande est encore à l’étude")
    reviewer.goto(address)
    review = Screen(reviewer, words)
    review.button("Claim this review").click()
    reviewer.get_by_role("group", name="Final word").get_by_label(re.compile("[Gg]rant")).check()
    reviewer.get_by_label("Reason").select_option(label="Income verified")
    reviewer.get_by_label("Note, required if you overturn").fill("Pay slips seen.")
    review.button("Close the review").click()
    expect(reviewer.get_by_role("status")).to_contain_text("is closed")
    clerk.goto(address)
    make_letter(clerk, words, "Français")
    expect(letter.letter).to_contain_text("après son examen par un collaborateur de la banque")
    assert letter.pages_in_pdf() == 1
    analyst.goto(address)
    part = LettersPart(analyst, words)
    expect(part.made).to_have_count(2)
    expect(part.button("Make the letter")).to_have_count(0)


def test_every_letter_fits_on_one_page_with_four_long_reasons(desk, page, words):
    """The navigation is not printed, but the stamp of a copy is."""
    desk.sign_in(page, words).enter(REFUSED_BY_MODEL)
    letter = LetterPage(page, words)
    make_letter(page, words)
    page.reload()
    expect(letter.stamp).to_be_visible()
    pages = {}
    for regime in REGIMES:
        for language in LANGUAGES:
            for kind in KINDS:
                draft = example(kind, regime, language, BANK, reasons=[LONG] * 4)
                page.evaluate(REPLACE, render(draft, folder=OURS).text)
                pages[kind, regime, language] = letter.pages_in_pdf(regime=regime)
    assert [letter for letter, count in pages.items() if count != 1] == []


def test_what_the_desk_tells_its_staff_is_not_printed(desk, page, words):
    desk.sign_in(page, words).enter(REFUSED_BY_MODEL)
    make_letter(page, words)
    desk.flask("desk", "refer", "--reason", "test")
    try:
        page.reload()
        told = page.get_by_text(words("Every application is referred to a person."))
        expect(told).to_be_visible()
        page.emulate_media(media="print")
        expect(told).to_be_hidden()
        expect(LetterPage(page, words).letter).to_be_visible()
    finally:
        desk.flask("desk", "decide", "--reason", "test")


def test_a_double_click_makes_one_letter(desk, page, words):
    desk.sign_in(page, words).enter(REFUSED_BY_MODEL)
    part = LettersPart(page, words)
    part.open_form()
    part.button("Make the letter").dblclick()
    page.wait_for_url("**/letters/1")
    part.link("Back to the decision").click()
    expect(part.made).to_have_count(1)
