"""Tests of the kind of a letter and its reasons, after the model, the rules and reviews."""

import html
import re

import pytest

from ml.product.conditions import PolicyRule
from tests.fixtures.databases import PASSWORD, add_user
from tests.webapp.letters.conftest import article
from webapp.columns import now
from webapp.config import Config
from webapp.decisions.search import find_decision
from webapp.ledger.transaction import unit_of_work
from webapp.letters.drafting import draft_letter
from webapp.letters.standing import standing_of
from webapp.people.operators import Operator
from webapp.reviews import service
from webapp.reviews.closing import NewClosing, close_review

RULE = "The instalment is higher than the income less expenses"
REASON = "Outstanding debt is high"
CAUSE = {"cause": "rule", "name": "affordability", "then": "refuse"}
CAUSES = [
    {**CAUSE, "text": {"en": RULE, "fr": "La mensualité dépasse le revenu"}},
    {"cause": "unusual", "name": "", "then": "refer", "text": {"en": "Unusual", "fr": "Inusuelle"}},
]
REASONS = [
    {"field": "debt", "share": -2.0, "principal": True, "text": {"en": REASON, "fr": "Dettes"}},
    {"field": "term", "share": -0.1, "principal": False, "text": {"en": "Term", "fr": "Durée"}},
]
POLICY = {"decision": "refused", "basis": "policy", "probability": 0.9, "causes": CAUSES}
REFERRED = {"decision": "referred", "basis": "policy", "causes": CAUSES}


@pytest.fixture
def review(app, operator, query):
    """Open a review of a decision; close it if it is said how."""

    def work(number, closing="", code="confirmed", note=""):
        with app.app_context():
            if not query("SELECT 1 FROM operators WHERE name = 'anna'"):
                add_user("anna", PASSWORD, ["reviewer"])
            [(anna,)] = query("SELECT id FROM operators WHERE name = 'anna'")
            reviewer = Operator("user", anna, "anna")
            with unit_of_work() as transaction:
                opened = service.open_review(transaction, number, cause="staff", operator=operator)
            if closing:
                with unit_of_work() as transaction:
                    service.claim(transaction, opened, reviewer=reviewer)
                with unit_of_work() as transaction:
                    new = NewClosing(closing, code, note)
                    close_review(transaction, opened, new, reviewer=reviewer)
        return opened

    return work


@pytest.fixture
def letter(write, signed_in):
    """Make the next letter on a decision; return its text, and its reasons."""

    def make(number, kind):
        page = signed_in.get(f"/decisions/{number}").text
        assert re.search(r'name="kind"[^>]*value="([a-z_]*)"', page)[1] == kind
        following = re.search(r'name="number"[^>]*value="(\d+)"', page)[1]
        made = write(number, kind=kind, number=following)
        assert made.status_code == 303, made.text
        text = html.unescape(article(signed_in.get(made.location).text))
        reasons = text.partition("</ol>")[0] if "<ol" in text else ""
        return text, re.findall("<li>([^<]*)</li>", reasons)

    return make


def test_policy_refusal_gives_the_rules_that_refuse(put, refused, letter):
    number = put(refused, **POLICY)
    text, reasons = letter(number, "refused_policy")
    assert reasons == [RULE]
    assert "A rule of the bank’s lending policy" in text
    assert "credit register" not in text  # the rule has no field of it


def test_model_refusal_gives_only_its_principal_reasons(put, refused, letter):
    text, reasons = letter(put(refused, reasons=REASONS), "refused")
    assert reasons == [REASON]
    assert "Part of it comes from a credit register" in text


def test_letter_on_a_referred_decision_gives_no_reasons(put, refused, letter, review, query):
    number = put(refused, **REFERRED, reasons=REASONS)
    review(number)
    text, reasons = letter(number, "referred")
    assert "has not been decided yet" in text
    assert (reasons, RULE in text, REASON in text) == ([], False, False)
    assert query("SELECT kind FROM letters") == [("referred",)]


@pytest.mark.parametrize(
    ("code", "reasons"),
    [
        ("confirmed", [RULE, REASON]),
        ("against_policy", [RULE, REASON]),
        ("documents_missing", ["Documents were not provided", RULE, REASON]),
    ],
)
def test_refusal_after_a_review_gives_what_is_stored(put, refused, letter, review, code, reasons):
    number = put(refused, **REFERRED, reasons=REASONS)
    review(number, "refused", code)
    text, told = letter(number, "refused_review")
    assert told == reasons
    assert "A member of our staff looked at your application and made the decision" in text


def test_refusal_that_is_overturned_is_granted_by_a_person(put, refused, letter, review):
    number = put(refused, reasons=REASONS)
    letter(number, "refused")
    review(number, "granted", "income_verified")
    text, reasons = letter(number, "granted_review")
    assert "your application is accepted, after a member of our staff has looked at it" in text
    assert reasons == []
    review(number, "refused", "documents_doubtful")
    _, reasons = letter(number, "refused_review")
    assert reasons == ["Doubts about documents or identity", REASON]


def test_grant_that_is_refused_without_a_reason_to_tell(put, refused, write, review, signed_in):
    number = put(refused, probability=0.9)
    review(number, "refused", "other", "He was rude.")
    page = signed_in.get(f"/decisions/{number}").text
    assert "no reason for this refusal is stored that may be told" in page
    assert "Make the letter" not in page
    answer = write(number, kind="refused_review")
    assert answer.status_code == 409
    assert "no reason for this refusal is stored that may be told" in answer.text
    assert "rude" not in answer.text


def test_review_that_lapsed_leaves_nothing_to_write(put, refused, write, review, signed_in):
    number = put(refused, **REFERRED)
    review(number, "lapsed", "withdrawn")
    page = signed_in.get(f"/decisions/{number}").text
    assert "the review of this decision lapsed" in page
    assert "Make the letter" not in page
    assert write(number, kind="referred").status_code == 409


def test_referral_that_was_corrected_promises_no_decision(put, refused, write, review, signed_in):
    number = put(refused, **REFERRED)
    review(number)
    put(refused, corrects=number)
    page = signed_in.get(f"/decisions/{number}").text
    assert "Write the letter on the decision that corrects it." in page
    assert "Make the letter" not in page
    assert write(number, kind="referred").status_code == 409


def test_decision_that_changed_meanwhile_is_read_again(put, refused, write, review, query):
    number = put(refused, reasons=REASONS)
    review(number, "granted", "income_verified")
    answer = write(number, kind="refused", recipient="A. Martin")
    assert answer.status_code == 409
    assert "This decision has changed since you opened this page" in answer.text
    assert "A. Martin" in answer.text
    assert 'value="granted_review"' in answer.text
    assert query("SELECT count(*) FROM letters") == [(0,)]


def test_letter_names_the_register_if_the_rule_that_refuses_uses_it(app, put, refused, product):
    record = {"name": "record", "label": CAUSES[0]["text"], "reason": CAUSES[0]["text"]}
    rule = PolicyRule(**record, then="refuse", **{"is": {"adverse_credit_record": True}})
    number = put(refused, **POLICY | {"causes": [{**CAUSES[0], "name": "record"}]})
    with app.test_request_context():
        decision, contents = find_decision(number)
        draft = draft_letter(
            decision,
            contents,
            standing_of(decision, contents, []),
            product.model_copy(update={"policy_rules": (rule,)}),
            language="fr",
            recipient="",
            moment=now(),
            config=Config(),
        )
    assert draft.register_fields[0].startswith("Incident de crédit enregistré\u00a0: ")


def test_sheet_of_a_policy_refusal_shows_only_the_rules(put, refused, signed_in):
    sheet = signed_in.get(f"/decisions/{put(refused, **POLICY)}/sheet").text
    assert f"<li>{RULE}</li>" in sheet
    assert "<li>Unusual</li>" not in sheet


def test_sheet_shows_causes_and_the_final_word(put, refused, review, signed_in):
    number = put(refused, **REFERRED, reasons=REASONS)
    sheet = signed_in.get(f"/decisions/{number}/sheet").text
    assert f"Decision {number}: Referred" in sheet
    assert "Why a person decides" in sheet
    assert RULE in sheet
    review(number, "granted", "income_verified")
    sheet = signed_in.get(f"/decisions/{number}/sheet").text
    assert "Granted after a review</strong>: Income verified (anna" in sheet
