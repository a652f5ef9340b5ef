"""Tests of what the watch makes of a challenger's scores once outcomes are known."""

import json
from datetime import date

import numpy as np
import pytest

from ml.monitoring.comparison import PairTest
from ml.monitoring.sequential import LOG_ALARM
from webapp.monitoring.watch import watch

RIPE = date(2026, 4, 1)
ROW = (
    "SELECT scores, outcomes, champion_brier, challenger_brier, better, better_highest, worse, "
    "worse_highest, last_outcome FROM challenger_evidence"
)
NAME = "svc_rbf"


@pytest.fixture
def loans(decide_all, granted, copy, query):
    """The numbers of 40 loans that were granted in January, and of 40 that were in March."""
    [number] = decide_all([granted])
    for moment in ("2026-01-15 12:00:00.000000", "2026-03-20 12:00:00.000000"):
        copy(number, moment, count=40)
    return [n for (n,) in query(f"SELECT id FROM decisions WHERE id <> {number} ORDER BY id")]


@pytest.fixture
def score(query, config):
    """Insert a challenger's scores of decisions."""
    agrees = "TRUE" if config.database_url else "1"

    def add(numbers, probability):
        for number in numbers:
            query(
                "INSERT INTO challenger_scores (challenger, decision_id, created_at, probability, "
                f"challenger_decision, agrees) SELECT '{NAME}', id, created_at, {probability}, "
                f"'granted', {agrees} FROM decisions WHERE id = {number}"
            )

    return add


@pytest.fixture
def run(ripe_after):
    def once(day=RIPE):
        with ripe_after(day) as app, app.app_context():
            return watch()

    return once


def bad(numbers, day=date(2026, 3, 25)):
    return [(n, False, day) for n in numbers]


def test_evidence_is_of_scored_loans_whose_outcome_should_be_known(
    loans, record, score, run, query
):
    score(loans[:30] + loans[40:50], 0.6)
    record(*bad(loans[:20]), *((n, True, date(2026, 3, 25)) for n in loans[20:25]))
    record(*bad(loans[40:45]))  # not ripe
    record(*bad(loans[35:38]))  # not scored
    run(date(2026, 3, 1))
    [(probability,)] = query("SELECT DISTINCT probability FROM decisions")
    test = PairTest()
    good = np.array([False] * 20 + [True] * 5)
    test.add(np.full(25, probability), np.full(25, 0.6), good)
    [row] = query(ROW)
    assert row[:2] == (30, 25)
    tests = [test.better.evidence, test.better.highest, test.worse.evidence, test.worse.highest]
    assert row[2:8] == pytest.approx([test.champion, test.challenger, *tests])
    run(date(2026, 3, 21))
    [row] = query(ROW)
    assert row[:2] == (40, 30)


def test_late_scores_outcomes_and_corrections_give_the_same_as_if_they_had_been_there(
    loans, record, score, run, query
):
    record(*bad(loans[:5]))
    run()
    assert query(ROW) == []
    score(loans[:4], 0.6)  # after their outcomes
    run()
    first = query(ROW)
    assert first[0][:2] == (4, 4)
    run()
    assert query(ROW) == first
    score(loans[4:6], 0.7)
    record((loans[0], True, date(2026, 3, 26), "mistake"), (loans[5], True, date(2026, 3, 26)))
    run()
    after = query(ROW)
    assert after[0][:2] == (6, 6)
    query("DELETE FROM challenger_evidence")
    run()
    assert query(ROW) == after


def test_better_challenger_is_found(loans, record, score, run, app, query, client, signed_in):
    score(loans, 0.1)
    record(*bad(loans))
    run()
    [(better, worse)] = query("SELECT better_highest, worse_highest FROM challenger_evidence")
    assert better > LOG_ALARM > 1 > worse
    done = app.test_cli_runner().invoke(args=["monitor", "report", "--json"])
    body = json.loads(done.stdout)
    assert "challenger_better" in [f["kind"] for f in body["findings"]]
    [one] = body["challengers"]["compared"]
    assert (one["challenger"], one["outcomes"], one["period"]) == (NAME, 80, "2026-01-01")
    assert one["challenger_brier"] == pytest.approx(0.01)
    text = app.test_cli_runner().invoke(args=["monitor", "report"]).stdout
    assert f"The challenger {NAME} has better probabilities than the model in service" in text
    for path in ("/monitoring", "/model/challenger"):
        page = signed_in.get(path).text
        assert "better than the champion" in page
        assert "Refused loans have no outcome" in page
    french = signed_in.get("/monitoring", headers={"Accept-Language": "fr"}).text
    assert f"Le challenger {NAME} a de meilleures probabilités" in french


def test_metrics_have_the_evidence(loans, copy, record, score, run, query, client):
    score(loans, 0.1)
    record(*bad(loans))
    run()
    lines = client.get("/metrics").text.splitlines()
    for how in ("better", "worse"):
        [(highest,)] = query(f"SELECT {how}_highest FROM challenger_evidence")
        line = next(x for x in lines if x.startswith(f"loan_challenger_{how}_evidence{{"))
        assert f'challenger="{NAME}"' in line
        assert float(line.rpartition(" ")[2]) == pytest.approx(highest)


def test_worse_challenger_is_shown_but_no_finding(loans, record, score, run, app, signed_in):
    score(loans, 0.1)
    record(*((n, True, date(2026, 3, 25)) for n in loans))
    run()
    body = json.loads(app.test_cli_runner().invoke(args=["monitor", "report", "--json"]).stdout)
    assert "challenger_better" not in [f["kind"] for f in body["findings"]]
    assert "worse than the champion" in signed_in.get("/model/challenger").text


def test_alarm_stays_when_the_next_quarter_has_outcomes(loans, copy, record, score, run, signed_in):
    copy(loans[0], "2026-04-20 12:00:00.000000")
    score(loans, 0.1)
    score([loans[-1] + 1], 0.1)
    record(*bad(loans), (loans[-1] + 1, True, date(2026, 5, 1)))
    run(date(2026, 7, 1))
    assert "better than the champion" in signed_in.get("/model/challenger").text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_damaged_rows_are_left_out(loans, record, score, run, tamper, query):
    score(loans[:3], 0.5)
    record(*bad(loans[:3]))
    tamper("probability = 'x'", loans[0])
    tamper("probability = 7", loans[1])
    run()
    assert query("SELECT scores, outcomes FROM challenger_evidence") == [(3, 1)]
