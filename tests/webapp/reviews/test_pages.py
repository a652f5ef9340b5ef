"""Tests of the queue's page and of the steps on the page of a decision."""

import re
from datetime import timedelta

import pytest

from tests.fixtures.databases import add_user
from tests.webapp.reviews.conftest import PASSWORD, decision_of, step
from webapp.audit.erase import erase
from webapp.reviews import service

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DONE = {"close-closing": "granted", "close-code": "documents_seen", "close-note": "Payslips seen."}


def test_a_clerk_sends_a_decision_for_review_with_the_applicants_statement(
    signed_in, put, refused, query
):
    number = put(refused)
    path = f"/decisions/{number}/reviews"
    without = step(signed_in, path, **{"open-cause": "applicant", "open-text": " "})
    assert without.status_code == 422
    assert "Enter the applicant’s statement." in without.text
    sent = step(
        signed_in, path, **{"open-cause": "applicant", "open-text": "I have <b>a job</b>.\r\nYes."}
    )
    assert (sent.status_code, sent.location) == (303, f"/decisions/{number}#review")
    page = signed_in.get(f"/decisions/{number}").text
    assert "In review" in page
    assert "I have &lt;b&gt;a job&lt;/b&gt;.\nYes." in page
    assert "Claim this review" not in page
    again = step(signed_in, path, **{"open-cause": "staff", "open-text": "Please look."})
    assert again.status_code == 409
    assert "This decision is in review already." in again.text
    assert query("SELECT count(*) FROM reviews") == [(1,)]
    assert signed_in.get(path).location == f"/decisions/{number}#review"


def test_the_next_one_is_claimed_and_closed_from_the_page(anna, opened, query):
    [number] = opened()
    decision = decision_of(query, number)
    queue = anna.get("/reviews").text
    assert "Take the next one" in queue
    taken = step(anna, "/reviews/next")
    assert taken.location == f"/decisions/{decision}#review"
    assert "Close the review" in anna.get(f"/decisions/{decision}").text
    closed = step(anna, f"/reviews/{number}/close", **DONE)
    assert (closed.status_code, closed.location) == (303, f"/reviews?closed={number}")
    assert "the model was overturned" in anna.get(closed.location).text
    whole = anna.get(f"/decisions/{decision}").text
    assert f"<title>Granted · decision {decision} · Loan Desk</title>" in whole
    page = whole.partition("<main")[2]
    [heading] = re.findall("<h1.*?</h1>", page, re.S)
    assert "Granted after a review" in heading
    assert (
        page.index("Granted after a review") < page.index("First decision") < page.index("Refused")
    )
    assert "Payslips seen." in page
    assert "Nothing waits for a review." in anna.get("/reviews").text
    assert step(anna, "/reviews/next").location == "/reviews?none=yes"


@ON_ONE
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"close-closing": ""}, "Choose one of the answers."),
        ({"close-code": ""}, "Choose a reason for this final word."),
        ({"close-code": "affordability"}, "Choose a reason for this final word."),
        ({"close-note": " \n"}, "Say why in a note."),
        ({"close-note": "x" * 4001}, "Shorten this text to at most 4000 characters."),
        (
            {"close-closing": "refused", "close-code": "other", "close-note": ""},
            "Say why in a note.",
        ),
    ],
)
def test_a_closing_that_lacks_something_is_shown_again(anna, opened, do, people, data, message):
    [number] = opened()
    do(service.claim, number, reviewer=people["anna"])
    answer = step(anna, f"/reviews/{number}/close", **(DONE | data))
    assert answer.status_code == 422
    assert message in answer.text
    assert (DONE | data)["close-note"].strip() in answer.text


def test_what_changed_meanwhile_is_said_and_what_was_typed_is_kept(
    anna, boris, opened, do, people, query
):
    taken, closed, erased = opened(3)
    for number in (taken, closed, erased):
        do(service.claim, number, reviewer=people["anna"])
    do(service.assign, taken, to=people["boris"], operator=people["boris"])
    answer = step(anna, f"/reviews/{taken}/close", **DONE)
    assert answer.status_code == 409
    assert "boris has this review now. Nothing was changed." in answer.text
    assert "Payslips seen." in answer.text
    assert step(anna, f"/reviews/{closed}/close", **DONE).status_code == 303
    late = step(boris, f"/reviews/{closed}/close", **(DONE | {"close-note": "Not so."}))
    assert late.status_code == 409
    assert "anna has closed this review meanwhile. Nothing was changed." in late.text
    assert re.search(r"<textarea[^>]*readonly[^>]*>Not so.</textarea>", late.text)
    do(erase, [decision_of(query, erased)])
    answer = step(anna, f"/reviews/{erased}/close", **DONE)
    assert answer.status_code == 409
    assert "The applicant’s data have been erased meanwhile." in answer.text
    lapsed = {"close-closing": "lapsed", "close-code": "erased"}
    assert step(anna, f"/reviews/{erased}/close", **lapsed).status_code == 303


def test_a_claimed_review_is_said_to_be_anothers(anna, opened, do, people):
    [number] = opened()
    do(service.claim, number, reviewer=people["boris"])
    answer = step(anna, f"/reviews/{number}/claim")
    assert answer.status_code == 409
    assert "boris has claimed this review meanwhile." in answer.text


def test_the_queue_says_why_a_decision_was_referred(anna, put, refused, query):
    cause = {"cause": "unusual", "name": "", "then": "refer"}
    text = {"en": "It is unlike the others", "fr": "Elle diffère des autres"}
    number = put(refused, decision="referred", basis="unusual", causes=[{**cause, "text": text}])
    query(
        "INSERT INTO reviews (decision_id, opened_at, opened_by, cause) "
        f"SELECT id, created_at, operator_id, 'referred' FROM decisions WHERE id = {number}"
    )
    page = anna.get("/reviews").text
    assert "the model would refuse" in page
    assert "It is unlike the others" in page
    assert "Elle diffère des autres" in anna.get("/reviews", headers={"Accept-Language": "fr"}).text
    claimed = step(anna, "/reviews/next")
    assert "Grant the loan, against the model" in anna.get(claimed.location).text


def test_later_and_by_somebody_else(anna, opened, do, people, query, clock):
    [number] = opened()
    path, today = f"/reviews/{number}", clock.today
    for name, day, status in (
        ("snooze", today, 303),
        ("snooze", today - timedelta(days=1), 422),
        ("due", today + timedelta(days=400), 422),
        ("due", today + timedelta(days=20), 303),
        ("snooze", today + timedelta(days=3), 303),
    ):
        answer = step(anna, f"{path}/{name}", **{f"{name}-day": day.isoformat()})
        assert answer.status_code == status, (name, day)
    assert "Enter a date." in step(anna, f"{path}/due", **{"due-day": "soon"}).text
    page = anna.get("/reviews").text
    assert "Snoozed" in page
    assert "comes back on" in page
    assert step(anna, f"{path}/wake").status_code == 303
    given = step(anna, f"{path}/assign", **{"assign-to": str(people["boris"].id)})
    assert given.status_code == 303
    assert query("SELECT claimed_by, snoozed_until FROM reviews") == [(people["boris"].id, None)]
    for nobody in ("0", "x", "9" * 5_000, str(people["clerk"].id)):
        answer = step(anna, f"{path}/assign", **{"assign-to": nobody})
        assert (answer.status_code, "Choose a reviewer." in answer.text) == (422, True)
    assert '<option value="0">Choose…</option>' in answer.text


def test_a_review_of_who_no_longer_reviews_is_claimed_from_the_page(
    anna, opened, do, people, query
):
    [number] = opened()
    do(service.claim, number, reviewer=people["boris"])
    path = f"/decisions/{decision_of(query, number)}"
    assert ">Claim<" not in anna.get("/reviews").text
    assert "Claim this review" not in anna.get(path).text
    query(f"UPDATE users SET active = (1 = 0) WHERE id = {people['boris'].id}")
    for text, button in (
        (anna.get("/reviews").text, ">Claim<"),
        (anna.get(path).text, "Claim this"),
    ):
        assert "no longer reviews" in text
        assert button in text
    assert step(anna, f"/reviews/{number}/claim").status_code == 303
    assert "no longer reviews" not in anna.get("/reviews").text


def test_notes_are_kept_with_the_review(signed_in, anna, opened, query):
    [number] = opened()
    decision = decision_of(query, number)
    path = f"/decisions/{decision}/reviews/notes"
    assert step(signed_in, path, **{"note-text": "The contract has come."}).status_code == 303
    assert step(anna, path, **{"note-text": ""}).status_code == 422
    assert "The contract has come." in anna.get(f"/decisions/{decision}").text
    assert signed_in.get(path).location == f"/decisions/{decision}#review"


def test_applicant_is_heard_also_in_a_review_that_is_open_already(signed_in, opened, query):
    """As that of a referred decision is from the start."""
    [number] = opened()
    decision = decision_of(query, number)
    said = {"note-text": "I have a new job.", "note-statement": "y"}
    step(signed_in, f"/decisions/{decision}/reviews/notes", **said)
    assert query("SELECT kind FROM review_notes") == [("statement",)]
    page = signed_in.get(f"/decisions/{decision}").text
    assert "The applicant’s own statement · clerk" in page
    assert "Statement of the applicant" in page.partition('id="history"')[2]


def test_who_entered_the_decision_sees_that_somebody_else_must_review(
    app, client, people, sign_in, put, refused, do, query
):
    """Also by a second account of the same name."""
    with app.app_context():
        add_user("anna-2", PASSWORD, ["clerk", "reviewer"])
    [(other,)] = query("SELECT id FROM operators WHERE name = 'anna-2'")
    query(f"UPDATE users SET full_name = 'Anna  Meyer' WHERE id = {other}")
    query(f"UPDATE users SET full_name = 'anna meyer' WHERE id = {people['anna'].id}")
    number = put(refused, operator_id=people["anna"].id)
    second = sign_in(app.test_client(), "anna-2")
    review = do(service.open_review, number, cause="staff", operator=people["boris"])
    page = second.get("/reviews").text
    assert "entered by you" in page
    assert ">Claim<" not in page
    assert "somebody else must review it" in second.get(f"/decisions/{number}").text
    answer = step(second, f"/reviews/{review}/claim")
    assert answer.status_code == 409
    assert "anna-2 entered this decision" in answer.text
    assert step(second, "/reviews/next").location == "/reviews?none=yes"


def test_the_navigation_counts_what_is_free_for_reviewers_only(anna, signed_in, opened):
    opened(2)
    header = anna.get("/reviews").text.partition("</header>")[0]
    assert re.search(r"Reviews <span class=\"badge[^>]*>2<", header)
    assert "/reviews" not in signed_in.get("/decisions").text.partition("</header>")[0]


@ON_ONE
def test_steps_that_are_reloaded_lead_to_the_decision(anna, opened, query):
    [number] = opened()
    decision = decision_of(query, number)
    for name in ("claim", "release", "wake", "assign", "snooze", "due", "close"):
        answer = anna.get(f"/reviews/{number}/{name}")
        assert answer.location == f"/decisions/{decision}#review", name
        assert anna.get(f"/reviews/{number + 1}/{name}").status_code == 404
    assert anna.get("/reviews/next").location == "/reviews"
    assert anna.get("/reviews?closed=x").status_code == 200
