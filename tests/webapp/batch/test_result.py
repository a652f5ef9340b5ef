"""Tests of a batch's result: final words, reasons of refusals by rules, damaged rows."""

import pytest

from ml.product.texts import Text
from tests.fixtures.databases import add_user
from webapp.batch.records import Decided
from webapp.ledger.transaction import unit_of_work
from webapp.people.operators import Operator
from webapp.reviews import service
from webapp.reviews.closing import NewClosing, close_review

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PASSWORD = "correct horse battery"


@pytest.fixture
def grant(app, query):
    """Grant the loan of a decision in a review."""
    with app.app_context():
        add_user("anna", PASSWORD, ["reviewer"])
    [(number,)] = query("SELECT id FROM operators WHERE name = 'anna'")
    anna = Operator("user", number, "anna")

    def close(decision):
        with app.app_context(), unit_of_work() as transaction:
            review = service.open_review(transaction, decision, cause="staff", operator=anna)
            service.claim(transaction, review, reviewer=anna)
            close_review(transaction, review, NewClosing("granted", "other", "S."), reviewer=anna)

    return close


def test_result_and_page_have_the_final_words(
    write, granted, refused, decide, result, grant, signed_in, query
):
    address = decide(write([granted, refused, granted, granted, granted], ["A"] * 5))
    rows = result(address)[1:]
    decided = ["granted", "refused", "granted", "referred", "referred"]  # the last ones are tries
    assert [row[3:5] for row in rows] == [[d, "" if d == "referred" else d] for d in decided]
    grant(int(rows[1][2]))
    assert result(address)[2][3:5] == ["refused", "granted"]
    page = signed_in.get(address).text
    assert "Reviewers decide on the referred applications." in page
    assert page.count('class="verdict granted"') == 2 + 3


@pytest.mark.parametrize(
    ("decision", "shown"), [("granted", []), ("refused", ["No"]), ("referred", ["No", "Look"])]
)
def test_refusal_by_a_rule_has_only_the_reasons_of_refusing_rules(decision, shown):
    causes = [
        {"cause": "rule", "name": "r", "then": then, "text": {"en": text, "fr": text}}
        for then, text in (("refuse", "No"), ("refer", "Look"))
    ]
    one = Decided(1, decision, decision, 0.5, None, None, causes)
    assert one.texts == [Text(en=text, fr=text) for text in shown]


@ON_ONE
@pytest.mark.parametrize(
    "change", ["reasons = 'x'", "reasons = '[1]'", "causes = '5'", "reference = 'é'"]
)
def test_damaged_rows_are_named(write, refused, granted, decide, tamper, signed_in, result, change):
    address = decide(write([refused, granted], ["A", "B"]))
    tamper(change, 1)
    column = change.partition(" ")[0]
    _, first, second = result(address)
    assert first == ["2", "", "1", "Damaged row", column]
    assert second[:4] == ["3", "B", "2", "granted"]
    page = signed_in.get(address)
    assert (page.status_code, f"({column})" in page.text) == (200, True)
