"""Tests of the decisions of an hour by one dimension at a time, and of the view that shows them."""

import json
from collections import Counter
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pytest

from ml.monitoring.bins import read_reference, score_bins
from webapp.columns import now
from webapp.monitoring import breakdown

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SUMS = (
    "SELECT dimension, value, decision, sum(count) FROM decision_hours "
    "GROUP BY dimension, value, decision"
)


@pytest.fixture
def past(decide_all, applications, copy):
    """Decide 40 applications now, and copy the decisions to yesterday; return their numbers."""
    made = decide_all(applications[:40])
    moment = datetime.combine(now().date() - timedelta(days=1), time(10, 30), UTC)
    for number in made:
        copy(number, f"{moment:%Y-%m-%d %H:%M:%S}.000000")
    return made


@pytest.fixture
def sums(query):
    """Read the sums of each dimension: by value and decision."""

    def read(dimension):
        return {row[1:3]: int(row[3]) for row in query(SUMS) if row[0] == dimension}

    return read


def content(value):
    return json.loads(value) if isinstance(value, str) else value


def test_hours_are_broken_down_by_what_was_decided(past, run, sums, query):
    run()
    rows = query(
        "SELECT channel, amount, probability, decision, reasons FROM decisions "
        f"JOIN decision_contents ON decision_id = id WHERE id > {max(past)}"
    )
    assert len(rows) == 40
    channels, amounts, probabilities, decisions, reasons = zip(*rows, strict=True)
    assert sums("channel") == Counter(zip(channels, decisions, strict=True))
    assert sums("operator") == Counter(("user", d) for d in decisions)
    bins = map(str, score_bins(np.array(probabilities)))
    assert sums("score") == Counter(zip(bins, decisions, strict=True))
    lows = (0, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
    bands = (str(max(low for low in lows if low <= amount)) for amount in amounts)
    assert sums("amount") == Counter(zip(bands, decisions, strict=True))
    principal = Counter(
        (reason["field"], "refused")
        for some, decision in zip(reasons, decisions, strict=True)
        for reason in (content(some) or []) * (decision == "refused")
        if reason["principal"]
    )
    assert len(principal) > 3
    assert sums("reason") == principal


def test_view_shows_each_decision_once_before_and_after(past, run, query):
    shown = (
        "SELECT dimension, sum(count) FROM v_decision_hours GROUP BY dimension ORDER BY dimension"
    )
    before = {name: int(count) for name, count in query(shown)}
    assert before == dict.fromkeys(("amount", "basis", "channel", "score"), 80)
    run()
    after = {name: int(count) for name, count in query(shown)}
    assert after.pop("reason") > 0
    assert after == {**before, "operator": 40}


def test_decision_that_is_stored_meanwhile_is_counted_next(past, run, sums, copy, monkeypatch):
    moment = datetime.combine(now().date() - timedelta(days=1), time(10, 40), UTC)
    read = breakdown._operators

    def late(hour):
        monkeypatch.undo()
        copy(past[0], f"{moment:%Y-%m-%d %H:%M:%S}.000000")
        return read(hour)

    monkeypatch.setattr(breakdown, "_operators", late)
    run()
    assert sum(sums("channel").values()) == 40
    run()
    for dimension in ("channel", "operator", "amount", "score"):
        assert sum(sums(dimension).values()) == 41, dimension


def test_every_value_of_the_bands_has_a_name(past, run, query):
    run()
    [(named,)] = query(
        "SELECT sum(count) FROM v_decision_hours JOIN v_bands USING (dimension, value)"
    )
    assert int(named) == 2 * 80
    places = query("SELECT place, name FROM v_bands WHERE dimension = 'amount' ORDER BY place")
    assert places[0] == (0, "under 1,000")
    assert places[1] == (1_000, "1,000 to 1,999")
    assert places[-1] == (5_000_000, "5,000,000 and more")
    [(scores,)] = query("SELECT count(*) FROM v_bands WHERE dimension = 'score'")
    assert scores == 20


def test_reasons_that_are_erased_are_not_counted(past, run, sums, query):
    query(f"DELETE FROM decision_contents WHERE decision_id > {max(past)}")
    run()
    assert sums("reason") == {}
    assert sum(sums("channel").values()) == 40


@ON_ONE
@pytest.mark.parametrize(
    "damage",
    [
        *("x", "[1]", '[{"field": 1}]', "{}", '[{"field": [1], "principal": true}]'),
        *(f'[{{"field": "{name}", "principal": true}}]' for name in ("x" * 65, "", r"\ud800")),
        50_000 * "[",
    ],
)
def test_reasons_that_are_damaged_are_not_counted(past, run, sums, query, tamper, damage):
    [(refused,)] = query(
        f"SELECT min(id) FROM decisions WHERE decision = 'refused' AND id > {max(past)}"
    )
    run()
    before = sum(sums("reason").values())
    query("DELETE FROM decision_hours")
    tamper(f"reasons = '{damage}'", refused)
    run()
    assert 0 < sum(sums("reason").values()) < before


def test_scores_of_the_training_rows_are_stored(past, run, query, bundle):
    run()
    rows = query("SELECT score_bin, count FROM v_training_scores ORDER BY score_bin")
    assert rows == list(enumerate(read_reference(bundle).scores))
