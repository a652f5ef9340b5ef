"""Tests of closing a review: the result, and what may have changed meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from webapp.audit.erase import erase
from webapp.columns import now
from webapp.outcomes import service as outcomes
from webapp.outcomes.records import NewOutcome
from webapp.reviews import service
from webapp.reviews.closing import NewClosing, close_review
from webapp.reviews.records import ReviewRefused

GRANT = NewClosing("granted", "documents_seen", "The new contract was seen.")
REFUSE = NewClosing("refused", "confirmed", "")


def refusal(do, act, *arguments, **more):
    with pytest.raises(ReviewRefused) as refused:
        do(act, *arguments, **more)
    return refused.value.reason, refused.value.name


@pytest.fixture
def close(do, people):
    def act(number, new, name="anna"):
        return do(close_review, number, new, reviewer=people[name])

    return act


@pytest.fixture
def final(query):
    """Return the final word on the decision of a review."""
    word = (
        "SELECT f.final FROM reviews r JOIN v_final_decisions f ON f.id = r.decision_id "
        "WHERE r.id = {}"
    )
    return lambda number: query(word.format(number))[0][0]


def test_upheld_and_overturned(claimed, close, final, query):
    upheld, overturned = claimed(), claimed()
    assert final(upheld) == "refused"
    assert close(upheld, REFUSE) == "upheld"
    assert close(overturned, GRANT) == "overturned_model"
    assert [final(n) for n in (upheld, overturned)] == ["refused", "granted"]
    assert query("SELECT DISTINCT decision FROM decisions") == [("refused",)]
    assert query("SELECT result, final, code FROM reviews ORDER BY id") == [
        ("upheld", "refused", "confirmed"),
        ("overturned_model", "granted", "documents_seen"),
    ]
    assert query("SELECT kind FROM review_notes") == [("closing",)]


def test_an_overturned_refusal_by_a_policy_rule_is_recorded_as_such(claimed, close, final):
    number = claimed(probability=0.9, decision="refused", basis="policy")
    assert close(number, GRANT) == "overturned_policy"
    assert final(number) == "granted"


def test_a_second_review_looks_at_the_word_of_the_first(claimed, close, final, do, people, query):
    first = claimed()
    close(first, GRANT)
    [(decision,)] = query("SELECT id FROM decisions")
    more = {"cause": "staff", "operator": people["clerk"]}
    second = do(service.open_review, decision, **more)
    do(service.claim, second, reviewer=people["boris"])
    assert close(second, REFUSE, "boris") == "overturned_review"
    assert final(second) == "refused"


def test_one_that_lapses_leaves_the_decision_as_it_was(claimed, close, final):
    number = claimed(probability=0.9)
    assert close(number, NewClosing("lapsed", "withdrawn", "")) == "lapsed"
    assert final(number) == "granted"


def test_it_is_closed_only_by_who_has_it_and_only_once(claimed, close, do, people):
    number = claimed()
    do(service.assign, number, to=people["boris"], operator=people["boris"])
    assert refusal(do, close_review, number, GRANT, reviewer=people["anna"]) == (
        "not_yours",
        "boris",
    )
    close(number, REFUSE, "boris")
    for act, more in (
        (close_review, {"new": GRANT, "reviewer": people["anna"]}),
        (service.claim, {"reviewer": people["anna"]}),
        (service.add_note, {"text": "Late.", "operator": people["anna"]}),
    ):
        assert refusal(do, act, number, **more) == ("closed", "boris")


def test_who_entered_the_decision_cannot_close_it_even_if_it_was_given(claimed, do, people, query):
    number = claimed()
    query(f"INSERT INTO user_roles (user_id, role) VALUES ({people['clerk'].id}, 'reviewer')")
    query(f"UPDATE reviews SET claimed_by = {people['clerk'].id}")
    assert refusal(do, close_review, number, GRANT, reviewer=people["clerk"]) == ("own", "clerk")


def test_erased_meanwhile_it_can_only_lapse(claimed, close, do, people, query):
    number = claimed()
    [(decision,)] = query("SELECT id FROM decisions")
    do(service.add_note, number, "Called the employer.", operator=people["anna"])
    assert do(erase, [decision]) == {decision: True}
    assert query("SELECT count(*) FROM review_note_contents") == [(0,)]
    assert refusal(do, close_review, number, GRANT, reviewer=people["anna"]) == ("erased", "")
    more = {"text": "Another.", "operator": people["anna"]}
    assert refusal(do, service.add_note, number, **more) == ("erased", "")
    assert close(number, NewClosing("lapsed", "erased", "")) == "lapsed"


def test_a_loan_with_an_outcome_is_not_refused_any_more(claimed, do, people, query, config):
    number = claimed(probability=0.9)
    [(decision,)] = query("SELECT id FROM decisions")
    today = now().astimezone(config.timezone).date()
    new = NewOutcome(decision, "good", today)
    do(outcomes.record_outcome, new, operator=people["anna"], zone=config.timezone)
    assert refusal(do, close_review, number, REFUSE, reviewer=people["anna"]) == ("known", "")
    do(close_review, number, GRANT, reviewer=people["anna"])


def test_of_two_that_close_at_once_one_has_the_word(claimed, do, people, final, query):
    number, start = claimed(), Barrier(2)

    def act(new):
        start.wait()
        try:
            return do(close_review, number, new, reviewer=people["anna"])
        except ReviewRefused as error:
            return error.reason

    with ThreadPoolExecutor(2) as pool:
        results = set(pool.map(act, (GRANT, REFUSE)))
    assert "closed" in results
    assert len(results) == 2
    assert final(number) == {"upheld": "refused"}.get((results - {"closed"}).pop(), "granted")
    assert query("SELECT count(*) FROM audit_log WHERE event = 'review.closed'") == [(1,)]
