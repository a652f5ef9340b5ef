"""Tests that reviews and notes are compared with their entries in the audit log."""

import pytest

from tests.webapp.audit.conftest import unprotected
from webapp.audit.contents import compare
from webapp.audit.erase import erase
from webapp.extensions import db
from webapp.reviews import service
from webapp.reviews.closing import NewClosing, close_review

FACTS = "its facts are not those of its entry"
CHANGES = {
    "UPDATE reviews SET final = 'refused', result = 'upheld' WHERE closed_at IS NOT NULL": (
        f"review {{closed}}: {FACTS}"
    ),
    "UPDATE reviews SET cause = 'applicant' WHERE closed_at IS NULL": f"review {{open}}: {FACTS}",
    "UPDATE review_notes SET kind = 'statement' WHERE kind = 'closing'": (
        f"review_note {{note}}: {FACTS}"
    ),
    "UPDATE review_note_contents SET text = 'Nothing was seen.'": (
        "review_note {note}: its contents are not those of its entry"
    ),
    "DELETE FROM review_note_contents": (
        "review_note {note}: its contents are missing, and no entry says that they were erased"
    ),
}


@pytest.fixture
def log(opened, do, people, query):
    """An open review, and one that is closed with a note."""
    still_open, closed = opened(2)
    do(service.claim, closed, reviewer=people["anna"])
    new = NewClosing("granted", "documents_seen", 'Seen: "pay slips", été\nand more')
    do(close_review, closed, new, reviewer=people["anna"])
    query(
        "DELETE FROM decision_contents WHERE decision_id NOT IN (SELECT decision_id FROM reviews)"
    )
    [(note,)] = query("SELECT id FROM review_notes")
    return {"open": still_open, "closed": closed, "note": note}


def found(connection):
    """Compare; return how many steps match, and what is wrong with reviews."""
    lines = []
    reviews = compare(connection, lines.append).reviews
    return reviews, [line for line in lines if line.startswith("review")]


def test_reviews_match_their_entries(app, log):
    with app.app_context(), db.engine.connect() as connection:
        assert found(connection) == (4, [])


@pytest.mark.parametrize("change", CHANGES)
def test_changed_review_is_found(app, log, change):
    with unprotected(app) as connection:
        connection.exec_driver_sql(change)
        assert found(connection)[1] == [CHANGES[change].format(**log)]


def test_erased_notes_are_missing_with_a_reason(app, log, do, query):
    [(decision,)] = query(f"SELECT decision_id FROM reviews WHERE id = {log['closed']}")
    do(erase, [decision])
    with app.app_context(), db.engine.connect() as connection:
        assert found(connection) == (4, [])
