"""A clerk's morning in a real browser, against the service as it is shipped."""

import re

import psycopg
from playwright.sync_api import Page, expect

GOOD = {
    "Loan amount": "3,000",
    "Purchase price": "8 000",
    "Term": "24",
    "Time in current job": "12",
    "Monthly income": "2500",
    "Monthly expenses": "300",
    "Assets": "60000",
    "Outstanding debt": "0",
}
BAD = {
    "Loan amount": "9000",
    "Purchase price": "9000",
    "Term": "60",
    "Time in current job": "0",
    "Monthly expenses": "300",
}


def enter(
    page: Page,
    answers: dict[str, str],
    *,
    housing: str,
    employment: str,
    record: str,
    click: str = "click",
) -> None:
    for label, answer in answers.items():
        page.get_by_label(re.compile(f"^{label}")).fill(answer)
    page.get_by_label("Employment").select_option(label=employment)
    page.get_by_label(re.compile("^Housing")).select_option(label=housing)
    page.get_by_role("group", name="Adverse credit record").get_by_label(record).check()
    getattr(page.get_by_role("button", name="Decide"), click)()


def number(page: Page) -> int:
    page.wait_for_url("**/decisions/*")
    return int(page.url.rpartition("/")[2])


def test_one_loan_is_granted_and_one_refused(open_desk, new_postgresql_database, page):
    with open_desk(new_postgresql_database) as desk:
        desk.sign_in(page)
        enter(page, GOOD, housing="Owner", employment="Permanent", record="No")
        first = number(page)
        expect(page.get_by_text("Granted", exact=False).first).to_be_visible()
        row = page.get_by_role("row", name=re.compile("^Loan amount"))
        expect(row).to_contain_text("3,000")
        page.get_by_role("link", name="Next application").click()
        enter(page, BAD, housing="Renting", employment="Temporary", record="Yes")
        second = number(page)
        expect(page.locator(".verdict")).to_contain_text("Refused")
        entered = page.get_by_role("table", name="What was entered")
        income = entered.get_by_role("row", name=re.compile("^Monthly income"))
        expect(income).to_contain_text("not given")
        page.get_by_role("link", name="Decisions").click()
        expect(page.get_by_role("row")).to_have_count(3)
        with psycopg.connect(new_postgresql_database) as connection:
            stored = connection.execute(
                "SELECT id, decision, channel, amount FROM decisions ORDER BY id"
            ).fetchall()
    assert stored == [(first, "granted", "desk", 3000), (second, "refused", "desk", 9000)]


def test_an_error_keeps_what_was_typed_and_leads_to_its_field(desk, page):
    desk.sign_in(page)
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


def test_a_double_click_makes_one_decision(desk, page):
    desk.sign_in(page)
    before = desk.decisions(page)
    enter(page, GOOD, housing="Owner", employment="Permanent", record="No", click="dblclick")
    number(page)
    assert desk.decisions(page) == before + 1


def test_back_shows_none_of_the_answers_of_the_customer_before(desk, page):
    desk.sign_in(page)
    enter(page, GOOD, housing="Owner", employment="Permanent", record="Yes")
    number(page)
    page.go_back()
    expect(page.locator("form#application")).to_be_visible()
    for name in GOOD:
        expect(page.get_by_label(name)).to_have_value("")
    expect(page.get_by_label("Employment")).to_have_value("")
    expect(page.get_by_label("Housing", exact=True)).to_have_value("")
    assert page.locator("input[type=radio]:checked").count() == 0


def test_the_keyboard_alone_is_enough(desk, page):
    desk.sign_in(page)
    expect(page.get_by_label("Loan amount")).to_be_focused()
    for typed in ("3000", "8000", "24", "P", "12", "2500", "300", "O", "60000", "0"):
        page.keyboard.type(typed)
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    number(page)
    expect(page.get_by_role("link", name="Next application")).to_be_focused()
    expect(page.get_by_role("row", name=re.compile("^Housing"))).to_contain_text("Owner")
