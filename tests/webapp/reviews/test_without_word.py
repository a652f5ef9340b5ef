"""Tests of decisions on which no review can have the final word: corrected or erased ones."""

import re

import pytest

from tests.webapp.reviews.conftest import decision_of, step
from webapp.audit.erase import erase
from webapp.reviews import service
from webapp.reviews.closing import NewClosing, close_review
from webapp.reviews.records import ReviewRefused

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
GRANT = NewClosing("granted", "documents_seen", "The new contract was seen.")
REPLACED = NewClosing("lapsed", "replaced", "")
RULE = {"cause": "rule", "name": "r", "then": "refuse", "text": {"en": "Too much", "fr": "Trop"}}
SWITCH = {"cause": "switch", "name": "", "then": "refer", "text": {"en": "All", "fr": "Tout"}}


@pytest.fixture
def close(do, people):
    """Close a review, or return why that is refused."""

    def act(number, new):
        try:
            return do(close_review, number, new, reviewer=people["anna"])
        except ReviewRefused as refused:
            return refused.reason, refused.name

    return act


def test_a_corrected_decision_gets_no_final_word(claimed, close, put, refused, query):
    """Else both could be granted. Its review stays open, so that a person sees both."""
    number = claimed()
    correction = put(refused, corrects=decision_of(query, number))
    assert query("SELECT closed_at FROM reviews") == [(None,)]
    for new in (GRANT, NewClosing("refused", "confirmed", "")):
        assert close(number, new) == ("corrected", str(correction))
    assert close(number, REPLACED) == "lapsed"


def test_a_corrected_decision_is_not_sent_for_review(do, people, put, refused, query):
    first = put(refused)
    second = put(refused, corrects=first)
    more = {"cause": "applicant", "operator": people["clerk"], "text": "I have a job."}
    with pytest.raises(ReviewRefused) as error:
        do(service.open_review, first, **more)
    assert (error.value.reason, error.value.name) == ("corrected", str(second))
    assert query("SELECT count(*) FROM reviews") == [(0,)]
    do(service.open_review, second, **more)


def test_pages_lead_from_a_corrected_decision_to_the_correction(
    anna, signed_in, claimed, put, refused, query
):
    number = claimed()
    first = decision_of(query, number)
    second = put(refused, corrects=first)
    assert f"corrected by decision {second}" in " ".join(anna.get("/reviews").text.split())
    page = anna.get(f"/decisions/{first}").text
    assert f'<a href="/decisions/{second}">Decision {second}</a>' in page
    assert "is the one to review." in page
    assert "required if you overturn" not in page
    assert "Overturn: grant the loan" not in page
    assert re.search(r'<option value="replaced" selected>', page)
    chosen = {"close-closing": "lapsed", "close-code": "replaced"}
    assert step(anna, f"/reviews/{number}/close", **chosen).status_code == 303
    assert "Send it for review" not in signed_in.get(f"/decisions/{first}").text
    assert "Send it for review" in signed_in.get(f"/decisions/{second}").text


def test_a_correction_made_meanwhile_is_said(anna, claimed, put, refused, query):
    number = claimed()
    second = put(refused, corrects=decision_of(query, number))
    form = {"close-closing": "granted", "close-code": "other", "close-note": "A new job."}
    answer = step(anna, f"/reviews/{number}/close", **form)
    assert answer.status_code == 409
    assert f"Decision {second} corrects this one, and is the one to review." in answer.text
    assert "A new job." in answer.text


def test_a_review_of_erased_data_ends_without_a_note(claimed, close, do, query):
    """A note would be a personal text that no retention ever erases."""
    number = claimed()
    assert close(number, NewClosing("lapsed", "erased", "")) == ("not_erased", "")
    do(erase, [decision_of(query, number)])
    assert close(number, GRANT) == ("erased", "")
    assert close(number, NewClosing("lapsed", "withdrawn", "Mr Smith called.")) == ("no_note", "")
    assert close(number, NewClosing("lapsed", "withdrawn", "")) == "lapsed"
    assert query("SELECT count(*) FROM review_notes") == [(0,)]


@ON_ONE
def test_page_of_erased_data_offers_only_what_is_possible(anna, claimed, do, query):
    number = claimed()
    assert 'value="erased"' not in anna.get(f"/decisions/{decision_of(query, number)}").text
    decision = decision_of(query, number)
    do(erase, [decision])
    page = anna.get(f"/decisions/{decision}").text
    assert "so this decision can no longer be reviewed." in page
    assert re.search(r'<option value="erased" selected>', page)
    assert "<textarea" not in page
    lapsed = {"close-closing": "lapsed", "close-code": "erased"}
    answer = step(anna, f"/reviews/{number}/close", **lapsed, **{"close-note": "Mr Smith called."})
    assert answer.status_code == 409
    assert re.search(r"<textarea[^>]*readonly[^>]*>Mr Smith called.</textarea>", answer.text)
    assert step(anna, f"/reviews/{number}/close", **lapsed).status_code == 303
    assert "Send it for review" not in anna.get(f"/decisions/{decision}").text


def test_a_referral_that_ends_without_a_word_promises_no_reviewer(anna, claimed, close, query):
    number = claimed(decision="referred", basis="unusual")
    path = f"/decisions/{decision_of(query, number)}"
    assert "a reviewer looks at the application" in anna.get(path).text
    assert close(number, NewClosing("lapsed", "withdrawn", "")) == "lapsed"
    page = " ".join(anna.get(path).text.split())
    assert "a reviewer looks at the application" not in page
    assert "There is no final word on this application." in page
    assert "closed without one: The applicant withdrew the application." in page
    assert "Send it for review" in page


def test_a_corrected_or_erased_referral_promises_no_reviewer(anna, opened, put, refused, do, query):
    corrected, erased = opened(2, decision="referred", basis="unusual")
    put(refused, corrects=decision_of(query, corrected))
    do(erase, [decision_of(query, erased)])
    for number in (corrected, erased):
        page = anna.get(f"/decisions/{decision_of(query, number)}").text
        assert "a person decides" not in page
        assert "a reviewer looks at the application" not in page


def test_a_refusing_rule_is_overturned_also_while_everything_is_referred(
    anna, claimed, close, query
):
    columns = {"decision": "referred", "basis": "policy", "causes": [RULE, SWITCH]}
    number = claimed(probability=0.9, **columns)
    page = anna.get(f"/decisions/{decision_of(query, number)}").text
    assert "Refuse the loan, as the policy rule says" in page
    form = {"close-closing": "granted", "close-code": "policy_exception"}
    answer = step(anna, f"/reviews/{number}/close", **form)
    assert (answer.status_code, "Say why in a note." in answer.text) == (422, True)
    assert close(number, GRANT) == "overturned_policy"
    upheld = claimed(probability=0.9, **(columns | {"causes": [RULE | {"then": "refer"}]}))
    assert close(upheld, NewClosing("granted", "confirmed", "")) == "upheld"
