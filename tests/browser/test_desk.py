"""A clerk's morning in a real browser, against the service as it is shipped."""

import re

import psycopg
import pytest
from playwright.sync_api import Page, expect, sync_playwright

GOOD = {
    "Loan amount": "3,000",
    "Purchase price": "8 000",
    "Term": "24",
    "Time in the job": "12",
    "Monthly income": "2500",
    "Monthly expenses": "300",
    "Assets": "60000",
    "Outstanding debt": "0",
}
BAD = {
    "Loan amount": "9000",
    "Purchase price": "9000",
    "Term": "60",
    "Time in the job": "0",
    "Monthly expenses": "300",
}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def chromium(need):
    path = need("chromium", "apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A page that fails its test on any script error or any request to another host."""
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(15_000)
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda m: wrong.append(m.text) if "Content Security" in m.text else None)
    page.on(
        "request",
        lambda r: None if r.url.startswith(("http://127.0.0.1", "data:")) else wrong.append(r.url),
    )
    yield page
    context.close()
    assert wrong == []


def sign_in(page: Page, server) -> None:
    page.goto(server.url)
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(server.flask("users", "set-password", "admin"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="New application")).to_be_visible()


def enter(
    page: Page,
    answers: dict[str, str],
    *,
    home: str,
    employment: str,
    record: str,
    click: str = "click",
) -> None:
    for label, answer in answers.items():
        page.get_by_label(re.compile(f"^{label}")).fill(answer)
    page.get_by_label("Employment").select_option(label=employment)
    page.get_by_label(re.compile("^Home")).select_option(label=home)
    page.get_by_role("group", name="Adverse credit record").get_by_label(record).check()
    getattr(page.get_by_role("button", name="Decide"), click)()


def number(page: Page) -> int:
    page.wait_for_url("**/decisions/*")
    return int(page.url.rpartition("/")[2])


def test_one_loan_is_granted_and_one_refused(serve, new_postgresql_database, page):
    with serve(new_postgresql_database) as server:
        sign_in(page, server)
        enter(page, GOOD, home="Owner", employment="Permanent", record="No")
        first = number(page)
        expect(page.get_by_text("Granted", exact=False).first).to_be_visible()
        row = page.get_by_role("row", name=re.compile("^Loan amount"))
        expect(row).to_contain_text("3,000")
        page.get_by_role("link", name="Next application").click()
        enter(page, BAD, home="Renting", employment="Temporary", record="Yes")
        second = number(page)
        expect(page.locator(".verdict")).to_contain_text("Refused")
        expect(page.get_by_role("row", name=re.compile("^Monthly income"))).to_contain_text(
            "not known"
        )
        page.get_by_role("link", name="Decisions").click()
        expect(page.get_by_role("row")).to_have_count(3)
        with psycopg.connect(new_postgresql_database) as connection:
            stored = connection.execute(
                "SELECT id, granted, channel, amount FROM decisions ORDER BY id"
            ).fetchall()
    assert stored == [(first, True, "desk", 3000), (second, False, "desk", 9000)]


def test_an_error_keeps_what_was_typed_and_leads_to_its_field(serve, page):
    with serve() as server:
        sign_in(page, server)
        page.get_by_label("Loan amount").fill("12 000")
        page.get_by_label("Purchase price").fill("9000")
        page.get_by_label("Term").fill("12.5")
        page.keyboard.press("Enter")
        summary = page.get_by_role("alert")
        expect(summary).to_be_focused()
        expect(summary).to_contain_text("Must not be more than")
        expect(page.get_by_label("Term")).to_have_value("12.5")
        summary.get_by_role("link", name="Term").click()
        expect(page.get_by_label("Term")).to_be_focused()


def test_a_double_click_makes_one_decision(serve, page):
    with serve() as server:
        sign_in(page, server)
        enter(page, GOOD, home="Owner", employment="Permanent", record="No", click="dblclick")
        number(page)
        page.get_by_role("link", name="Decisions").click()
        expect(page.get_by_role("row")).to_have_count(2)


def test_the_keyboard_alone_is_enough(serve, page):
    with serve() as server:
        sign_in(page, server)
        expect(page.get_by_label("Loan amount")).to_be_focused()
        for typed in ("3000", "8000", "24", "P", "12", "2500", "300", "O", "60000", "0"):
            page.keyboard.type(typed)
            page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.keyboard.press("Enter")
        number(page)
        expect(page.get_by_role("link", name="Next application")).to_be_focused()
        expect(page.get_by_role("row", name=re.compile("^Home"))).to_contain_text("Owner")


def test_no_page_is_wider_than_the_screen(serve, chromium):
    with serve() as server:
        password = server.flask("users", "set-password", "admin")
        for language, width in (("en", 1100), ("en", 360), ("fr", 1100), ("fr", 360)):
            context = chromium.new_context(
                locale=language, viewport={"width": width, "height": 800}
            )
            page = context.new_page()
            page.goto(server.url)
            page.locator("#username").fill("admin")
            page.locator("#password").fill(password)
            page.keyboard.press("Enter")
            page.wait_for_url("**/applications/new")
            for path in ("/applications/new", "/decisions", "/nowhere"):
                page.goto(server.url + path)
                fits = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                assert fits, (language, width, path)
            context.close()
