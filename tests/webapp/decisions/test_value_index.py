"""Tests of the index of values, which the watch extends, on both databases."""

from datetime import timedelta

import pytest

from webapp.columns import now
from webapp.monitoring.watch import SETTLED, watch


@pytest.fixture
def indexed(query):
    return lambda: query("SELECT id, amount, probability, novelty FROM indexed_values ORDER BY id")


@pytest.fixture
def run(app):
    """Run the watch as it runs every minute, or once a day."""

    def run(*, daily: bool = False) -> None:
        with app.app_context():
            watch(since=None if daily else now() - timedelta(days=2))

    return run


def test_watch_indexes_what_is_settled(put, granted, indexed, run, monkeypatch):
    monkeypatch.setattr("webapp.decisions.value_index.ROWS_PER_TRANSACTION", 2)
    settled = now() - SETTLED - timedelta(seconds=5)
    values = {"amount": 4_000, "probability": 0.75, "novelty": 0.25}
    numbers = [put(granted, created_at=settled, **values) for _ in range(5)]
    put(granted, created_at=now())
    for _ in range(2):
        run()
        assert indexed() == [(number, *values.values()) for number in numbers]


def test_decision_that_was_stored_late_is_indexed_within_a_day(put, granted, query, indexed, run):
    settled = now() - SETTLED - timedelta(seconds=5)
    late, *others = [put(granted, created_at=settled) for _ in range(3)]
    run()
    query(f"DELETE FROM indexed_values WHERE id = {late}")
    run()
    assert [row[0] for row in indexed()] == others
    run(daily=True)
    assert [row[0] for row in indexed()] == [late, *others]
