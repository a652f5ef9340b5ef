"""Tests of forms that are sent twice, as by a double click, and of what is kept of a text."""

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.webapp.reviews.conftest import decision_of, step
from webapp.reviews import queue, service

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DONE = {"close-closing": "granted", "close-code": "documents_seen", "close-note": "Payslips seen."}
TEXTS = "SELECT text FROM review_note_contents ORDER BY note_id"
HELD = re.compile(r'name="held" value="([^"]*)"')
CLAIMED = "SELECT id FROM reviews WHERE claimed_by IS NOT NULL"


def test_two_clicks_claim_one_review(opened, do, people, clock, query):
    opened(3)
    start, anna = Barrier(2), people["anna"]

    def click(_):
        start.wait()
        return do(queue.take_next, reviewer=anna, clock=clock, held=())

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(click, range(2))
    assert first == second
    assert query(CLAIMED) == [(first,)]
    assert do(queue.take_next, reviewer=people["boris"], clock=clock, held=()) != first
    assert do(queue.take_next, reviewer=anna, clock=clock, held={first}) != first
    assert len(query(CLAIMED)) == 3


def test_the_next_one_is_claimed_once_from_each_page(anna, opened, query):
    opened(3)
    page = HELD.search(anna.get("/reviews").text)[1]
    first, second = (step(anna, "/reviews/next", held=page).location for _ in range(2))
    assert first == second
    [(number,)] = query(CLAIMED)
    page = HELD.search(anna.get("/reviews").text)[1]
    assert page == str(number)
    assert step(anna, "/reviews/next", held=page).location != first
    assert step(anna, "/reviews/next", held="1" * 30 + " x ²").status_code == 303


def test_a_closing_that_is_sent_twice_is_not_refused(anna, boris, opened, do, people, query):
    [number] = opened()
    do(service.claim, number, reviewer=people["anna"])
    for _ in range(2):
        answer = step(anna, f"/reviews/{number}/close", **DONE)
        assert (answer.status_code, answer.location) == (303, f"/reviews?closed={number}")
    other = DONE | {"close-code": "other"}
    assert step(anna, f"/reviews/{number}/close", **other).status_code == 409
    assert step(boris, f"/reviews/{number}/close", **DONE).status_code == 409
    assert query("SELECT count(*) FROM review_notes") == [(1,)]


def test_a_decision_is_sent_for_review_once(signed_in, put, refused, query):
    number = put(refused)
    path = f"/decisions/{number}/reviews"
    form = {"open-cause": "applicant", "open-text": "I have a new job."}
    for _ in range(2):
        answer = step(signed_in, path, **form)
        assert (answer.status_code, answer.location) == (303, f"/decisions/{number}#review")
    for change in ({"open-text": "I have two."}, {"open-cause": "staff"}):
        assert step(signed_in, path, **(form | change)).status_code == 409
    assert query(TEXTS) == [("I have a new job.",)]


def test_a_note_is_kept_once(anna, signed_in, opened, query):
    [number] = opened()
    path = f"/decisions/{decision_of(query, number)}/reviews/notes"
    for browser in (anna, anna, signed_in, anna):
        assert step(browser, path, **{"note-text": "Called."}).status_code == 303
    assert query(TEXTS) == [("Called.",)] * 3


@ON_ONE
@pytest.mark.parametrize("text", ["", "  ", "\t\r\n", "\x00"])
def test_a_note_has_a_text(anna, opened, query, text):
    [number] = opened()
    answer = step(
        anna, f"/decisions/{decision_of(query, number)}/reviews/notes", **{"note-text": text}
    )
    assert (answer.status_code, "Enter a note." in answer.text) == (422, True)
    assert query(TEXTS) == []


def test_a_text_is_kept_as_it_was_written(anna, opened, query):
    """Also the narrow spaces of French numbers, and what joins the letters of other scripts."""
    [number] = opened()
    written = " 3\u202f000\u00a0€\u00a0!\r\nمی\u200cخواهم\x00\x1b\ud800 👩\u200d👧 "
    kept = "3\u202f000\u00a0€\u00a0!\nمی\u200cخواهم 👩\u200d👧"
    path = f"/decisions/{decision_of(query, number)}/reviews/notes"
    sent = {"note-text": written.encode("utf-8", "replace").decode()}
    assert step(anna, path, **sent).status_code == 303
    assert query(TEXTS) == [(kept.replace(" 👩", "? 👩"),)]
