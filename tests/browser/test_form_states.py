"""The form as it comes back: axe finds nothing in any state, and it needs no JavaScript."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.axe import Inspected, inspect
from tests.browser.pages import GRANTED, REFUSED, NewApplication
from tests.browser.words import Words

SIZES = (("light", 1280), ("dark", 360))
WARNED = {**REFUSED, "loan_amount": "8999.50", "monthly_expenses": "100"}


def expire(form: NewApplication) -> None:
    form.page.locator("#application [name=csrf_token]").evaluate("field => field.value = 'expired'")
    form.decide()


def send_wrong(form: NewApplication) -> None:
    form.fill({"loan_amount": "much"})
    form.page.get_by_label(form.words.starting_with("Reference")).fill("?")
    form.decide()


def send_warned(form: NewApplication) -> None:
    form.fill(WARNED)
    form.decide()


def restore(form: NewApplication) -> None:
    form.fill({"loan_amount": "900"})
    form.page.reload()
    said = form.words("What you typed before is here again.")
    expect(form.page.get_by_text(said)).to_be_visible()


def open_another(form: NewApplication) -> None:
    form.fill({"loan_amount": "900"})
    form.page.goto(form.page.url.partition("?")[0])
    expect(form.link("Continue it")).to_be_visible()


STATES: list[Callable[[NewApplication], None]] = [
    *(expire, send_wrong, send_warned, restore, open_another)
]


@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_axe_finds_nothing_in_the_states_of_the_form(desk, chromium, role_states, words, locale):
    context = chromium.new_context(
        locale=locale, storage_state=role_states["clerk"], reduced_motion="reduce"
    )
    inspected = inspect(context)
    found = []
    for state in STATES:
        inspected.page.goto(f"{desk.url}/applications/new")
        state(NewApplication(inspected.page, words))
        found += [f"{state.__name__}, {wrong}" for wrong in findings(inspected)]
    context.close()
    assert not found, "\n\n".join(found)
    assert inspected.wrong == []


def findings(inspected: Inspected) -> list[str]:
    found = []
    for theme, width in SIZES:
        inspected.page.set_viewport_size({"width": width, "height": 800})
        inspected.page.emulate_media(color_scheme=theme)
        found += [f"{theme}, {width} px: {wrong}" for wrong in inspected.findings()]
        found += [f"wider than {width} px: {wrong}" for wrong in inspected.scrolls_sideways()]
    return found


def test_form_without_javascript(desk, chromium, role_states, product):
    context = chromium.new_context(
        locale="en-GB", storage_state=role_states["clerk"], java_script_enabled=False
    )
    page = context.new_page()
    page.goto(f"{desk.url}/applications/new")
    form = NewApplication(page, Words("en", product))
    form.fill({**GRANTED, "loan_amount": "2,999.50"})
    form.field("loan_amount").press("Enter")
    expect(form.alert).to_contain_text("2,999.50 was rounded to 3,000")
    expect(page.locator("#figures")).to_contain_text("125.00 EUR/month")
    form.decide()
    page.wait_for_url("**/decisions/*")
    context.close()
