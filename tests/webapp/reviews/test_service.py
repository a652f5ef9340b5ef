"""Tests of work on reviews: who may take one, and what the log says of it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from webapp.extensions import db
from webapp.failures import NotFound
from webapp.reviews import queue, service
from webapp.reviews.entering import own_of
from webapp.reviews.records import ReviewRefused

AT_ONCE = 6


def refusal(do, act, *arguments, **more):
    with pytest.raises(ReviewRefused) as refused:
        do(act, *arguments, **more)
    return refused.value.reason, refused.value.name


def holder(query, number):
    return query(
        "SELECT o.name FROM reviews r LEFT JOIN operators o ON o.id = r.claimed_by "
        f"WHERE r.id = {number}"
    )[0][0]


def test_a_decision_is_sent_for_review_with_the_statement_of_the_applicant(
    put, refused, do, people, query
):
    decision = put(refused)
    arguments = {"cause": "applicant", "operator": people["clerk"]}
    number = do(service.open_review, decision, text="I have a new job.", **arguments)
    assert query("SELECT id, decision_id, cause, claimed_by, closed_at FROM reviews") == [
        (number, decision, "applicant", None, None)
    ]
    notes = "SELECT kind, text FROM review_notes n JOIN review_note_contents ON note_id = n.id"
    assert query(notes) == [("statement", "I have a new job.")]
    assert refusal(do, service.open_review, decision, **arguments) == ("open", "")


def test_a_second_review_is_refused_while_two_are_opened_at_once(put, refused, do, people, query):
    decision, start = put(refused), Barrier(AT_ONCE)

    def open_one(_):
        start.wait()
        try:
            return do(service.open_review, decision, cause="staff", operator=people["clerk"])
        except ReviewRefused as error:
            return error.reason

    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(open_one, range(AT_ONCE)))
    assert results.count("open") == AT_ONCE - 1
    assert query("SELECT count(*) FROM reviews") == [(1,)]


def test_an_erased_decision_is_not_sent_for_review(put, refused, do, people, query):
    decision = put(refused)
    query("DELETE FROM decision_contents")
    more = {"cause": "staff", "operator": people["clerk"]}
    assert refusal(do, service.open_review, decision, **more) == ("erased", "")
    assert query("SELECT count(*) FROM reviews") == [(0,)]


def test_a_review_is_claimed_released_and_handed_over(opened, do, people, query):
    [number] = opened()
    anna, boris = people["anna"], people["boris"]
    do(service.claim, number, reviewer=anna)
    do(service.claim, number, reviewer=anna)  # again changes nothing
    assert holder(query, number) == "anna"
    assert refusal(do, service.claim, number, reviewer=boris) == ("claimed", "anna")
    assert refusal(do, service.release, number, reviewer=boris) == ("not_yours", "anna")
    do(service.assign, number, to=boris, operator=anna)
    assert holder(query, number) == "boris"
    assert refusal(do, service.release, number, reviewer=anna) == ("not_yours", "boris")
    do(service.release, number, reviewer=boris)
    assert holder(query, number) is None
    assert refusal(do, service.release, number, reviewer=boris) == ("not_yours", "")
    events = query(
        "SELECT event, o.name FROM audit_log JOIN operators o ON o.id = operator_id "
        f"WHERE subject = 'review:{number}' ORDER BY number"
    )
    assert events == [
        ("review.opened", "clerk"),
        ("review.claimed", "anna"),
        ("review.assigned", "anna"),
        ("review.released", "boris"),
    ]
    with pytest.raises(NotFound):
        do(service.claim, number + 1, reviewer=anna)


def test_nobody_takes_a_review_of_the_own_decision(opened, do, people, clock, query):
    [number] = opened()  # the clerk's
    clerk = people["clerk"]
    assert refusal(do, service.claim, number, reviewer=clerk) == ("own", "clerk")
    assert refusal(do, service.assign, number, to=clerk, operator=people["anna"])[0] == "own"
    assert do(queue.claim_next, reviewer=clerk, clock=clock) is None
    assert holder(query, number) is None


def test_nobody_takes_a_review_of_a_correction_of_the_own_decision(
    app, put, refused, do, people, clock, query
):
    """However many corrections lie between."""
    anna, boris, clerk = (people[name] for name in ("anna", "boris", "clerk"))
    number = put(refused, operator_id=anna.id)
    for _ in range(2):
        number = put(refused, corrects=number)
    review = do(service.open_review, number, cause="staff", operator=clerk)
    assert refusal(do, service.claim, review, reviewer=anna) == ("own", "anna")
    assert do(queue.claim_next, reviewer=anna, clock=clock) is None
    assert do(queue.claim_next, reviewer=boris, clock=clock) == review
    assert refusal(do, service.assign, review, to=anna, operator=boris) == ("own", "anna")
    with app.app_context():
        assert own_of(db.session.connection(), anna.id) == {number - 2, number - 1, number}
        assert own_of(db.session.connection(), boris.id) == set()


def test_a_review_is_given_only_to_who_reviews(opened, do, people, query):
    [number] = opened(operator_id=people["boris"].id)
    arguments = {"to": people["clerk"], "operator": people["anna"]}
    assert refusal(do, service.assign, number, **arguments) == ("not_a_reviewer", "clerk")
    query("UPDATE users SET active = (1 = 0)")
    arguments = {"to": people["anna"], "operator": people["anna"]}
    assert refusal(do, service.assign, number, **arguments) == ("not_a_reviewer", "anna")


def test_next_is_the_most_urgent_free_one_that_is_not_snoozed(opened, do, people, clock):
    anna, boris, today = people["anna"], people["boris"], clock.today
    first, urgent, claimed, snoozed = opened(4)
    do(service.set_due, urgent, due_on=today, reviewer=anna)
    do(service.claim, claimed, reviewer=boris)
    do(service.snooze, snoozed, until=today + timedelta(days=1), reviewer=anna)
    assert do(queue.claim_next, reviewer=anna, clock=clock) == urgent
    assert do(queue.claim_next, reviewer=anna, clock=clock) == first
    assert do(queue.claim_next, reviewer=anna, clock=clock) is None
    tomorrow = clock._replace(today=today + timedelta(days=1))
    assert do(queue.claim_next, reviewer=anna, clock=tomorrow) == snoozed


def test_reviewers_at_the_same_moment_never_get_the_same_one(opened, do, people, clock, query):
    numbers, start = opened(5), Barrier(AT_ONCE)

    def take(place):
        start.wait()
        reviewer = people[("anna", "boris")[place % 2]]
        return do(queue.claim_next, reviewer=reviewer, clock=clock)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        taken = list(pool.map(take, range(AT_ONCE)))
    assert sorted(n for n in taken if n) == numbers
    assert taken.count(None) == 1
    claimed = "SELECT count(*) FROM audit_log WHERE event = 'review.claimed'"
    assert query(claimed) == [(5,)]


def test_only_a_free_review_or_the_own_one_is_snoozed_or_moved(opened, do, people, clock):
    [number] = opened()
    do(service.claim, number, reviewer=people["anna"])
    for act, more in (
        (service.snooze, {"until": clock.today}),
        (service.set_due, {"due_on": clock.today}),
    ):
        assert refusal(do, act, number, reviewer=people["boris"], **more) == ("claimed", "anna")
        do(act, number, reviewer=people["anna"], **more)


def test_a_review_of_who_no_longer_reviews_is_free(app, opened, do, people, clock, query):
    disabled, changed, kept = opened(3)
    boris, anna = people["boris"], people["anna"]
    for number in (disabled, changed, kept):
        do(service.claim, number, reviewer=boris)
    assert do(queue.claim_next, reviewer=anna, clock=clock) is None
    query(f"UPDATE users SET active = (1 = 0) WHERE id = {boris.id}")
    with app.app_context():
        assert queue.count_reviews(clock).free == 3
    do(service.snooze, disabled, until=clock.today, reviewer=anna)
    assert do(queue.claim_next, reviewer=anna, clock=clock) == disabled
    query(f"UPDATE users SET active = (1 = 1) WHERE id = {boris.id}")
    query(f"DELETE FROM user_roles WHERE user_id = {boris.id}")
    do(service.claim, changed, reviewer=anna)
    assert refusal(do, service.release, kept, reviewer=boris) == ("not_yours", "")
    query(f"INSERT INTO user_roles (user_id, role) VALUES ({boris.id}, 'reviewer')")
    do(service.release, kept, reviewer=boris)
    assert [holder(query, number) for number in (disabled, changed)] == ["anna", "anna"]


def test_nobody_hides_a_review_of_the_own_decision(opened, do, people, clock, query):
    [number] = opened(operator_id=people["anna"].id)
    for act, more in (
        (service.snooze, {"until": clock.today}),
        (service.set_due, {"due_on": clock.today}),
    ):
        assert refusal(do, act, number, reviewer=people["anna"], **more) == ("own", "anna")


def test_the_own_reviews_are_on_a_queue_that_is_too_long_to_show(
    app, opened, do, people, clock, monkeypatch
):
    monkeypatch.setattr(queue, "SHOWN", 2)
    numbers = opened(4)
    do(service.snooze, numbers[0], until=clock.today + timedelta(days=1), reviewer=people["anna"])
    do(service.claim, numbers[3], reviewer=people["anna"])
    with app.app_context():
        listed = queue.list_queue(clock, reviewer=people["anna"].id)
    assert [one.review.id for one in listed] == [numbers[3], numbers[1]]


def test_the_queue_is_grouped_by_the_day_on_which_each_is_due(app, opened, do, people, clock):
    overdue, soon, later, snoozed = opened(4)
    today, anna = clock.today, people["anna"]
    do(service.set_due, overdue, due_on=today - timedelta(days=1), reviewer=anna)
    do(service.set_due, soon, due_on=today + timedelta(days=2), reviewer=anna)
    do(service.snooze, snoozed, until=today + timedelta(days=3), reviewer=anna)
    do(service.claim, later, reviewer=anna)
    with app.app_context():
        listed = queue.list_queue(clock, reviewer=anna.id)
        counts = queue.count_reviews(clock, reviewer=anna.id)
    assert [(one.review.id, one.group) for one in listed] == [
        (later, "later"),  # anna's own
        (overdue, "overdue"),
        (soon, "soon"),
        (snoozed, "snoozed"),
    ]
    assert [listed[place].due for place in (0, 3)] == [today + timedelta(days=7)] * 2
    assert counts == queue.Counts(free=2, mine=1, overdue=1, open=4)
