"""A clerk's morning in a real browser, against the service as it is shipped."""

import psycopg
from playwright.sync_api import expect

from tests.browser.pages import GRANTED, REFUSED_BY_MODEL, DecisionList, Navigation


def test_one_loan_is_granted_and_one_refused(open_desk, new_postgresql_database, page, words):
    with open_desk(new_postgresql_database) as desk:
        form = desk.sign_in(page, words)
        decision = form.enter({**GRANTED, "loan_amount": "3,000", "purchase_price": "8 000"})
        first = decision.number
        expect(decision.verdict).to_contain_text("Granted")
        row = page.get_by_role("row", name=words.starting_with("Loan amount"))
        expect(row).to_contain_text("3,000")
        decision.next_application()
        decision = form.enter(REFUSED_BY_MODEL)
        second = decision.number
        expect(decision.verdict).to_contain_text("Refused")
        entered = page.get_by_role("table", name="What was entered")
        assets = entered.get_by_role("row", name=words.starting_with("Assets"))
        expect(assets).to_contain_text("not given")
        Navigation(page, words).go_to("Decisions")
        expect(DecisionList(page, words).rows).to_have_count(3)
        with psycopg.connect(new_postgresql_database) as connection:
            stored = connection.execute(
                "SELECT id, decision, channel, amount FROM decisions ORDER BY id"
            ).fetchall()
    assert stored == [(first, "granted", "desk", 3000), (second, "refused", "desk", 9000)]


def test_an_error_keeps_what_was_typed_and_leads_to_its_field(desk, page, words):
    form = desk.sign_in(page, words)
    form.fill({"loan_amount": "12 000", "purchase_price": "9000", "loan_term_months": "12.5"})
    page.keyboard.press("Enter")
    expect(form.alert).to_be_focused()
    expect(form.alert).to_contain_text("Must not be more than")
    expect(page.get_by_label("Term")).to_have_value("12.5")
    form.alert.get_by_role("link", name="Term").click()
    expect(page.get_by_label("Term")).to_be_focused()


def test_a_double_click_makes_one_decision(desk, page, words):
    form = desk.sign_in(page, words)
    before = desk.decisions(page)
    form.fill(GRANTED)
    form.button("Decide").dblclick()
    page.wait_for_url("**/decisions/*")
    assert desk.decisions(page) == before + 1


def test_back_shows_none_of_the_answers_of_the_customer_before(desk, page, words):
    form = desk.sign_in(page, words)
    form.enter({**GRANTED, "adverse_credit_record": "1"})
    page.go_back()
    expect(form.button("Decide")).to_be_visible()
    for field in words.product.inputs:
        if field.kind != "flag":
            expect(page.locator(f"#{field.name}")).to_have_value("")
    assert page.locator("input[type=radio]:checked").count() == 0


def test_the_keyboard_alone_is_enough(desk, page, words):
    desk.sign_in(page, words)
    expect(page.get_by_label("Loan amount")).to_be_focused()
    for typed in ("3000", "8000", "24", "P", "12", "2500", "300", "O", "60000", "0"):
        page.keyboard.type(typed)
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_url("**/decisions/*")
    expect(page.get_by_role("heading", level=1, name="Granted")).to_be_focused()
    expect(page.get_by_role("row", name=words.starting_with("Housing"))).to_contain_text("Owner")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Next application")).to_be_focused()
