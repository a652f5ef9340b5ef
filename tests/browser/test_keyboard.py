"""The keyboard alone reaches everything, shows where it is, and is trapped nowhere."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.words import Words

# What can be reached: of radio buttons that belong together, the one that is chosen or any one.
INTERACTIVE = """() => {
    const all = [...document.querySelectorAll(
        'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')];
    const shown = all.filter(e => !e.disabled && e.checkVisibility({visibilityProperty: true}));
    const key = e => e.type === 'radio' ? e.form?.id + e.name : e;
    const keys = [...new Set(shown.map(key))];
    window.reached = () => {
        const e = document.activeElement, box = e.getBoundingClientRect();
        const outlined = part => {
            const style = part && getComputedStyle(part);
            return style?.outlineStyle === 'solid' && parseFloat(style.outlineWidth) >= 2;
        };
        return {
            index: keys.indexOf(key(e)),
            what: e.outerHTML.slice(0, 100),
            marked: outlined(e) || outlined(e.closest('tr')),  // a link can stand for its row
            seen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
        };
    };
    return keys.map(k => k.outerHTML?.slice(0, 100) ?? k);
}"""
PAGES = [
    ("clerk", "/applications/new"),
    ("clerk", "/decisions/{refused}"),
    ("clerk", "/batches"),
    ("analyst", "/decisions"),
    ("analyst", "/monitoring"),
    ("reviewer", "/reviews"),
    ("reviewer", "/decisions/{claimed}"),
    ("admin", "/people/{person}"),
]


@pytest.fixture
def open_as(chromium, role_states):
    contexts = []

    def enter(role: str) -> Page:
        context = chromium.new_context(
            locale="en-GB",
            storage_state=role_states[role],
            reduced_motion="reduce",  # the page has scrolled as soon as the focus has moved
        )
        contexts.append(context)
        return context.new_page()

    yield enter
    for context in contexts:
        context.close()


@pytest.mark.parametrize(("role", "address"), PAGES)
def test_tab_reaches_everything_and_shows_where_it_is(desk, stored, open_as, role, address):
    page = open_as(role)
    page.goto(desk.url + stored.fill(address))
    elements = page.evaluate(INTERACTIVE)
    assert len(elements) > 5
    visited = set()
    for _ in range(len(elements) + 2):  # with the browser's own stop between the ends
        page.keyboard.press("Tab")
        reached = page.evaluate("reached()")
        if reached["index"] >= 0:
            visited.add(reached["index"])
            assert reached["marked"], reached
            assert reached["seen"], reached
    assert [e for i, e in enumerate(elements) if i not in visited] == []


@pytest.mark.parametrize(("role", "address"), PAGES[:2])
def test_shift_tab_goes_all_the_way_back(desk, stored, open_as, role, address):
    page = open_as(role)
    page.goto(desk.url + stored.fill(address))
    count = len(page.evaluate(INTERACTIVE))
    visited = set()
    for _ in range(count + 2):
        page.keyboard.press("Shift+Tab")
        visited.add(page.evaluate("reached()")["index"])
    assert visited >= set(range(count))


def test_skip_link_leads_past_the_menu(desk, role_states, open_as, product):
    page = open_as("analyst")
    page.goto(f"{desk.url}/model")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name=Words("en", product)("Skip to the content"))
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_details_open_by_the_keyboard(desk, stored, open_as, product):
    page = open_as("clerk")
    page.goto(desk.url + stored.fill("/decisions/{refused}"))
    summary = page.locator("main details > summary").first
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator("main details").first).to_have_attribute("open", "")
