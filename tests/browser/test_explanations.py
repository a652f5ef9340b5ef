"""Why a loan was refused and what would change it, in a real browser and in both languages."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

SAID = {
    "en-GB": {
        "refused": "Refused",
        "why": "Why",
        "principal": "Principal reasons for the refusal:",
        "reason": "There is an adverse credit record",
        "typical": "Adverse credit record: Yes; typical of just-granted applications: No",
        "change": "What would change this decision",
        "term": "Term: no other value from 6 to 72 months can be suggested on its own",
        "try": "Try these values",
        "trial": "What-if (not a decision): Loan amount: 3,000 EUR, Term: 24 months → would be",
        "model": "Model",
        "fairness": "Fairness",
        "card": "This card as JSON",
    },
    "fr-FR": {
        "refused": "Refusé",
        "why": "Pourquoi",
        "principal": "Motifs principaux du refus :",
        "reason": "Un incident de crédit est enregistré",
        "typical": "Incident de crédit enregistré : Oui ; habituel parmi les demandes accordées "
        "de justesse : Non",
        "change": "Ce qui changerait la décision",
        "term": "Durée : aucune autre valeur de 6 à 72 mois ne peut être proposée seule",
        "try": "Essayer ces valeurs",
        "trial": "Simulation, sans valeur de décision : "
        "Montant du prêt : 3 000 EUR, Durée : 24 mois → serait",
        "model": "Modèle",
        "fairness": "Équité",
        "card": "Cette fiche en JSON",
    },
}


def fits(page: Page) -> bool:
    """Whether nothing reaches beyond the screen's edge."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def broken_heads(page: Page) -> list[str]:
    """Return the heads of the chart's sides that take more than a line."""
    return page.locator(".shares .sides span").evaluate_all(
        "heads => heads.filter(h => h.getBoundingClientRect().height > 30).map(h => h.innerText)"
    )


@pytest.mark.parametrize("locale", list(SAID))
def test_a_refusal_is_explained_and_other_values_are_tried(
    desk, refuse, page, locale, words, product
):
    said = SAID[locale]
    desk.sign_in(page, words)
    before = desk.decisions(page)
    refuse(page)
    why = page.get_by_role("region", name=said["why"])
    expect(why).to_contain_text(said["principal"])
    expect(why.get_by_role("listitem").first).to_have_text(re.compile(f"^{said['reason']}"))
    expect(why.get_by_role("listitem").first).to_contain_text(said["typical"])
    why.locator("summary").click()
    tables = why.get_by_role("table").all()
    assert len(why.get_by_role("row").all()) == len(tables) + len(product.players)
    drawn = drawn_bars(page)
    for bar in drawn:
        begin, end = (bar["left"], bar["right"])[:: 1 if bar["side"] == "for" else -1]
        assert abs(begin) < 1.5  # pixels from zero
        assert end > 0 if bar["side"] == "for" else end < 0
    assert len(drawn) == len(product.players)
    assert len({(bar["side"], bar["color"]) for bar in drawn}) == 2
    assert not {bar["color"] for bar in drawn} & {"none", "rgb(0, 0, 0)"}
    change = page.get_by_role("region", name=said["change"])
    expect(change.get_by_text(said["term"])).to_be_visible()
    change.locator("#loan_amount").fill("3 000")
    change.locator("#loan_term_months").fill("24")
    change.get_by_role("button", name=said["try"]).click()
    expect(change.get_by_role("status")).to_contain_text(said["trial"])
    expect(page.locator(".verdict")).to_contain_text(said["refused"])
    assert desk.decisions(page) == before + 1
    page.get_by_role("link", name=said["model"]).click()
    plots = page.locator("figure").get_by_role("img")
    expect(plots).to_have_count(5)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for plot in plots.all():
            shown = desk.url + plot.get_attribute("src").replace(".light.", f".{theme}.")
            expect(plot).to_have_js_property("currentSrc", shown)
            assert plot.evaluate("img => img.decode().then(() => img.naturalWidth)") > 300
            assert plot.bounding_box()["width"] > 300
    expect(page.get_by_role("heading", name=said["fairness"])).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name=said["card"]).click()
    card = json.loads(download.value.path().read_text())
    assert card["product"]["name"] == product.name
    assert download.value.suggested_filename == f"{card['version']}.json"


def drawn_bars(page: Page) -> list[dict[str, Any]]:
    """Return each bar's edges as they are drawn, counted from zero, its side and its colour."""
    return page.evaluate(
        """() => [...document.querySelectorAll("svg.share")].map(svg => {
            const rect = svg.querySelector("rect"), bar = rect.getBoundingClientRect();
            const line = svg.querySelector("line").getBoundingClientRect();
            const zero = (line.left + line.right) / 2;
            return {
                left: bar.left - zero, right: bar.right - zero,
                side: rect.getAttribute("class"), color: getComputedStyle(rect).fill,
            };
        })"""
    )


def test_other_values_are_tried_by_the_keyboard_alone(desk, refuse, page, words):
    desk.sign_in(page, words)
    page.clock.install()
    refuse(page)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Next application")).to_be_focused()
    page.clock.run_for(1_000)  # Enter does nothing before
    page.get_by_label("Loan amount").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("9,9")  # in place of what stood there
    page.keyboard.press("Tab")
    page.keyboard.type("12")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Loan amount")).to_be_focused()
    expect(page.get_by_label("Loan amount")).to_have_value("9,9")
    expect(page.locator("#loan_amount-error")).to_have_text("Enter a whole number.")
    page.keyboard.press("Control+a")
    page.keyboard.type("800")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Try these values")).to_be_focused()
    page.keyboard.press("Space")
    trial = page.get_by_role("status")
    expect(trial).to_contain_text("Loan amount: 800 EUR, Term: 12 months")
    expect(trial).to_be_in_viewport()
    expect(page.get_by_label("Loan amount")).to_have_value("800")
    expect(page.get_by_label("Term")).to_have_value("12")


@pytest.mark.parametrize("locale", list(SAID))
def test_no_page_is_wider_than_the_screen(desk, page, words, refuse):
    def check(what: str) -> None:
        for width in (1100, 360):
            page.set_viewport_size({"width": width, "height": 800})
            assert fits(page), (width, what)
            assert not broken_heads(page), (width, what)

    desk.sign_in(page, words)
    refuse(page)
    decision = page.url.removeprefix(desk.url)
    page.locator("#trials button").click()
    expect(page.get_by_role("status")).to_be_visible()
    page.locator("#trials button").click()
    page.locator("#trials summary").click()
    expect(page.locator("#trials details li")).to_have_count(2)
    check("trials")
    for path in ("/applications/new", decision, "/decisions", "/model"):
        page.goto(desk.url + path)
        check(path)
    page.goto(f"{desk.url}/nowhere", wait_until="load")
    check("/nowhere")
