"""Every page for every role: axe, width, console and requests, in both languages and themes.

Colours do not depend on the language, nor the structure on the theme: so axe looks at a wide and a
narrow page in each language, and at the other theme of each in the other language. A page that
several roles may open is shown to the first of them in French, and to all in English.
"""

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from flask import Flask
from playwright.sync_api import Page, expect
from werkzeug.exceptions import default_exceptions

from tests.browser.axe import HEIGHT, Inspected, inspect
from tests.browser.examples import OTHERS, OWN, PAGES, SECOND_FACTOR
from webapp.errors import EXPLANATIONS
from webapp.people.access import ACCESS, API, PUBLIC, ROLES

WIDE, NARROW, SMALLEST = 1280, 360, 320
ZOOMED = WIDE // 2  # 200 %

LOCALES = ("en-GB", "fr-FR")
THEMES = dict(zip(LOCALES, (("light", "dark"), ("dark", "light")), strict=True))  # wide, narrow
NOBODY = "nobody"
ROLES_BEFORE = {role: ROLES[:i] for i, role in enumerate(ROLES)} | {NOBODY: ()}


def test_every_page_has_an_example(desk_app):
    endpoints = {
        rule.endpoint
        for rule in desk_app.url_map.iter_rules()
        if "GET" in rule.methods and not rule.endpoint.startswith(API)
    }
    assert endpoints == PAGES.keys() | OTHERS | SECOND_FACTOR
    assert not PAGES.keys() & OTHERS


def test_axe_is_a_new_one():
    major, minor = AXE_SCRIPT.partition("axe v")[2].split(".")[:2]
    assert (int(major), int(minor)) >= (4, 10)


@pytest.fixture(scope="module")
def open_as(chromium, role_states):
    """Open a page as a person of a role, with axe in it."""
    contexts = []

    def enter(role: str, locale: str) -> Inspected:
        size = {"width": WIDE, "height": HEIGHT}
        context = chromium.new_context(
            locale=locale,
            viewport=size,
            storage_state=role_states.get(role),
            reduced_motion="reduce",  # no colour is measured while it changes
        )
        contexts.append(context)
        inspected = inspect(context)
        inspected.page.set_default_timeout(15_000)
        return inspected

    yield enter
    for context in contexts:
        context.close()


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("role", [*ROLES, NOBODY])
def test_every_page_of_a_role(desk, stored, open_as, words, role, locale):
    inspected = open_as(role, locale)
    found = []
    for address in addresses_of(role, again=locale == LOCALES[0]):
        answer = inspected.page.goto(desk.url + stored.fill(address))
        assert answer.status == 200, (role, address)
        found += [f"{address}, {wrong}" for wrong in examine(inspected, locale)]
        if words.language == "fr":
            found += [f"{address}, not in French: {text}" for text in inspected.not_in(words)]
    assert not found, "\n\n".join(found)
    assert inspected.wrong == []


@pytest.mark.parametrize("locale", LOCALES)
def test_refused_forms(desk, stored, open_as, locale):
    found = []
    for role, address, form in (
        ("clerk", "/applications/new", "#application"),
        ("analyst", "/decisions?amount_from=x", "main form"),
        ("admin", "/people/new", "main form"),
        ("admin", "/desk", "main form"),
        ("clerk", "/account/password", "main form"),
        (NOBODY, "/login", "main form"),
    ):
        inspected = open_as(role, locale)
        inspected.page.goto(desk.url + address)
        inspected.page.locator(form).get_by_role("button").last.click()
        expect(inspected.page.locator(".wrong, [role=alert]").first).to_be_visible()
        found += [f"{address}, {wrong}" for wrong in examine(inspected, locale)]
        assert inspected.wrong == []
    assert not found, "\n\n".join(found)


@pytest.mark.parametrize("locale", LOCALES)
def test_every_error_page(desk, desk_app, open_as, locale):
    inspected = open_as(ROLES[0], locale)
    inspected.page.goto(f"{desk.url}/nowhere")
    found = examine(inspected, locale)
    for status in EXPLANATIONS:
        show_error(inspected.page, desk.url, desk_app, status, locale)
        found += [f"{status}, {wrong}" for wrong in examine(inspected, locale)]
    assert not found, "\n\n".join(found)
    assert inspected.wrong == []


def addresses_of(role: str, *, again: bool) -> list[str]:
    """Return the addresses of the pages that a role may open; again: also those of roles before."""
    if role == NOBODY:
        endpoints = PAGES.keys() & PUBLIC
    else:
        endpoints = {e for e in PAGES.keys() & ACCESS.keys() if role in ACCESS[e]}
    before = {e for e in endpoints - OWN.keys() if set(ROLES_BEFORE[role]) & ACCESS.get(e, set())}
    return [
        address
        for endpoint, addresses in PAGES.items()
        if endpoint in (endpoints if again else endpoints - before)
        and OWN.get(endpoint, role) == role
        for address in addresses
    ]


def show_error(page: Page, url: str, app: Flask, status: int, locale: str) -> None:
    """Show what the service answers to an error that cannot be caused from outside."""
    with app.test_request_context("/", headers={"Accept-Language": locale}):
        answer = app.make_response(app.handle_user_exception(default_exceptions[status]()))
    body = answer.get_data(as_text=True)
    page.route("**/broken", lambda r: r.fulfill(status=status, body=body, content_type="text/html"))
    page.goto(f"{url}/broken")
    page.unroute("**/broken")


def examine(inspected: Inspected, locale: str) -> list[str]:
    """Return what is wrong with the page that is open."""
    found = []
    for width, theme in zip((WIDE, NARROW), THEMES[locale], strict=True):
        inspected.show(width, theme)
        found += [f"{theme}, {width} px: {wrong}" for wrong in inspected.findings()]
    for width in (ZOOMED, SMALLEST):
        inspected.show(width, "light")
        found += [f"wider than {width} px: {wrong}" for wrong in inspected.scrolls_sideways()]
    return found
