"""Tests of the day on which a review is due, in the bank's time zone, also when clocks change."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from webapp.reviews import queue
from webapp.reviews.records import Clock

ANYBODY = 0


@pytest.fixture
def opened_at(put, refused, query):
    """Open a review at a moment, as the ledger's writer does."""

    def put_review(moment):
        number = put(refused, created_at=moment)
        query(
            "INSERT INTO reviews (decision_id, opened_at, opened_by, cause) "
            f"SELECT id, created_at, operator_id, 'referred' FROM decisions WHERE id = {number}"
        )
        return number

    return put_review


@pytest.mark.parametrize(
    ("zone", "moment", "days", "due"),
    [
        ("Asia/Tokyo", datetime(2026, 6, 30, 22, 30, tzinfo=UTC), 0, date(2026, 7, 1)),
        ("America/Los_Angeles", datetime(2026, 7, 1, 1, 0, tzinfo=UTC), 7, date(2026, 7, 7)),
        # Clocks go forward on 29 March and back on 25 October.
        ("Europe/Paris", datetime(2026, 3, 28, 23, 30, tzinfo=UTC), 7, date(2026, 4, 5)),
        ("Europe/Paris", datetime(2026, 10, 24, 22, 30, tzinfo=UTC), 7, date(2026, 11, 1)),
    ],
)
def test_day_is_that_of_the_bank(app, opened_at, query, zone, moment, days, due):
    opened_at(moment)
    for today, overdue in ((due, 0), (date.fromordinal(due.toordinal() + 1), 1)):
        clock = Clock(today, days, ZoneInfo(zone))
        with app.app_context():
            [waiting] = queue.list_queue(clock, reviewer=ANYBODY)
            assert queue.count_reviews(clock).overdue == overdue
        assert (waiting.due, waiting.group) == (due, "overdue" if overdue else "soon")


def test_order_is_that_of_the_days(app, opened_at, query):
    """One whose day was set stands before those that are due later, and after those before."""
    first = opened_at(datetime(2026, 6, 30, 22, 30, tzinfo=UTC))  # 1 July in Paris
    second = opened_at(datetime(2026, 7, 1, 22, 30, tzinfo=UTC))
    moved = opened_at(datetime(2026, 7, 20, 12, 0, tzinfo=UTC))
    query(f"UPDATE reviews SET due_on = '2026-07-08' WHERE decision_id = {moved}")
    clock = Clock(date(2026, 7, 21), 7, ZoneInfo("Europe/Paris"))
    with app.app_context():
        listed = queue.list_queue(clock, reviewer=ANYBODY)
    assert [one.review.decision_id for one in listed] == [first, moved, second]
    assert [one.due.day for one in listed] == [8, 8, 9]
