"""Tests of what the database refuses of reviews: changes, a second open one, invalid values."""

import pytest

CLOSING = "closed_at = opened_at, closed_by = opened_by"
NEVER_CHANGED = "reviews are never changed"


@pytest.fixture
def opened(put, refused, query):
    """A review of a refused decision, as the ledger's writer adds it."""
    number = put(refused)

    def open_again():
        query(
            "INSERT INTO reviews (decision_id, opened_at, opened_by, cause) "
            f"SELECT id, created_at, operator_id, 'referred' FROM decisions WHERE id = {number}"
        )

    open_again()
    return open_again


def close(query, result="'upheld'", final="'refused'"):
    query(f"UPDATE reviews SET {CLOSING}, result = {result}, final = {final}, code = 'confirmed'")


def test_a_decision_has_one_open_review(opened, query):
    with pytest.raises(Exception, match=r"uq_reviews_open|reviews are never changed"):
        opened()
    close(query)
    opened()
    assert query("SELECT count(*), count(closed_at) FROM reviews") == [(2, 1)]


def test_how_a_review_was_opened_is_never_changed(opened, query, config):
    query("UPDATE reviews SET claimed_by = opened_by, claimed_at = opened_at")
    query("UPDATE reviews SET claimed_by = NULL, claimed_at = NULL, due_on = '2030-01-01'")
    for change in ("cause = 'staff'", "opened_at = '2020-01-01'", "decision_id = decision_id + 1"):
        with pytest.raises(Exception, match=NEVER_CHANGED):
            query(f"UPDATE reviews SET {change}")
    for statement in ("DELETE FROM reviews", "TRUNCATE reviews CASCADE"):
        if config.database_url or statement.startswith("DELETE"):
            with pytest.raises(Exception, match=NEVER_CHANGED):
                query(statement)


def test_a_closed_review_is_never_changed(opened, query):
    close(query, "'overturned_model'", "'granted'")
    before = query("SELECT * FROM reviews")
    for change in ("final = 'refused'", "closed_at = NULL", "claimed_by = NULL", "due_on = NULL"):
        with pytest.raises(Exception, match=NEVER_CHANGED):
            query(f"UPDATE reviews SET {change}")
    assert query("SELECT * FROM reviews") == before


def test_a_review_that_violates_a_constraint_is_refused(opened, query):
    for constraint, change in (
        ("claimed", "claimed_by = opened_by"),
        ("closed", CLOSING),
        ("closed", "code = 'confirmed'"),
        ("result", f"{CLOSING}, result = 'maybe', final = 'granted', code = 'confirmed'"),
        ("final", f"{CLOSING}, result = 'upheld', final = 'maybe', code = 'confirmed'"),
        ("word", f"{CLOSING}, result = 'upheld', code = 'confirmed'"),
        ("word", f"{CLOSING}, result = 'lapsed', final = 'refused', code = 'withdrawn'"),
        ("word", "final = 'granted'"),
        ("due_on", "due_on = '0001-01-01'"),
    ):
        with pytest.raises(Exception, match=f"ck_reviews_{constraint}"):
            query(f"UPDATE reviews SET {change}")
    close(query, "'lapsed'", "NULL")


def test_notes_are_never_changed_and_only_their_texts_erased(opened, query):
    query(
        "INSERT INTO review_notes (created_at, review_id, operator_id, kind) "
        "SELECT opened_at, id, opened_by, 'note' FROM reviews"
    )
    query(
        "INSERT INTO review_note_contents SELECT id, 'Seen.', salt FROM review_notes, "
        "decision_contents"
    )
    for statement in (
        "UPDATE review_notes SET kind = 'statement'",
        "DELETE FROM review_notes",
        "UPDATE review_note_contents SET text = 'Not seen.'",
    ):
        with pytest.raises(Exception, match="are never changed"):
            query(statement)
    query("DELETE FROM review_note_contents")
