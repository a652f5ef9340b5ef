"""Tests of what the watch makes of outcomes."""

import json
from datetime import UTC, date

import numpy as np
import pytest

from ml.monitoring.realised import realised
from ml.monitoring.sequential import LOG_ALARM, CalibrationTest
from webapp.columns import now
from webapp.ledger.transaction import unit_of_work
from webapp.monitoring.watch import watch
from webapp.outcomes.records import NewOutcome
from webapp.outcomes.service import add_outcomes, find_loans

TABLES = ("realised_months", "calibration_evidence")
MONTHS = ("2026-01-15 12:00:00.000000", "2026-03-31 23:59:59.000000")


@pytest.fixture
def loans(decide_all, granted, copy, query):
    """The numbers of 30 loans that were granted in January and of 30 that were in March."""
    [number] = decide_all([granted])
    for moment in MONTHS:
        copy(number, moment, count=30)
    return [n for (n,) in query(f"SELECT id FROM decisions WHERE id <> {number} ORDER BY id")]


@pytest.fixture
def record(app, operator, config):
    """Record the outcomes of loans, each a number, good or not, a day, and perhaps a reason."""

    def add(*outcomes):
        new = [
            NewOutcome(n, "good" if good else "bad", day, *reason)
            for n, good, day, *reason in outcomes
        ]
        with app.app_context(), unit_of_work() as transaction:
            found = find_loans(transaction, [o.decision_id for o in new], zone=config.timezone)
            pairs = [(o, found[o.decision_id]) for o in new]
            add_outcomes(transaction, pairs, operator=operator)

    return add


@pytest.fixture
def run(app):
    def once():
        with app.app_context():
            return watch()

    return once


@pytest.fixture
def results(query):
    return lambda: {t: sorted(map(str, query(f"SELECT * FROM {t}"))) for t in TABLES}


def test_months_have_the_figures_of_their_loans(loans, record, run, query):
    record(*((n, i % 3 > 0, date(2026, 5, 1)) for i, n in enumerate(loans[:20] + loans[30:40])))
    assert run().months == 2
    [(probability,)] = query("SELECT DISTINCT probability FROM decisions")
    rows = query(
        "SELECT outcomes, good, expected, brier, roc_auc FROM realised_months ORDER BY month"
    )
    known = [i % 3 > 0 for i in range(30)]
    for row, outcomes in zip(rows, (known[:20], known[20:]), strict=True):
        expected = realised(np.full(len(outcomes), probability), np.array(outcomes))
        assert row == (
            expected.outcomes,
            expected.good,
            pytest.approx(expected.expected),
            pytest.approx(expected.brier),
            0.5,
        )


def test_evidence_is_that_of_the_outcomes_known_in_a_quarter(loans, record, run, query):
    days = [date(2026, 4, 2), date(2026, 4, 1), date(2026, 7, 1)]
    good = [True, False, False, True, False, True]
    record(*((n, g, days[i % 3]) for i, (n, g) in enumerate(zip(loans, good, strict=False))))
    run()
    [(probability,)] = query("SELECT DISTINCT probability FROM decisions")
    for period, order in (("2026-04-01", (1, 4, 0, 3)), ("2026-07-01", (2, 5))):
        test = CalibrationTest()
        for i in order:
            test.add(np.array([probability]), np.array([good[i]]))
        [row] = query(
            "SELECT outcomes, evidence, highest, last_outcome FROM calibration_evidence "
            f"WHERE period = '{period}'"
        )
        assert row[:2] == (len(order), pytest.approx(test.evidence))
        assert row[2] >= test.evidence - 1e-9
        assert row[3] == 6


def test_late_outcomes_and_corrections_give_the_same_as_if_they_had_been_there(
    loans, record, run, results, query
):
    record((loans[0], True, date(2026, 4, 1)), (loans[40], True, date(2026, 5, 1)))
    assert run().months == 2
    assert run().months == 0
    record((loans[0], False, date(2026, 8, 1), "changed"))  # in another quarter
    record((loans[1], True, date(2026, 4, 7)))
    assert run().months == 1
    after = results()
    assert query("SELECT outcomes FROM calibration_evidence ORDER BY period") == [(2,), (1,)]
    for table in TABLES:
        query(f"DELETE FROM {table}")
    run()
    assert results() == after


def test_broken_calibration_raises_an_alarm(loans, record, run, app, query, signed_in, client):
    today = now().astimezone(UTC).date()
    record(*((n, False, min(today, date(2026, 11, 20))) for n in loans))
    run()
    [(highest,)] = query("SELECT highest FROM calibration_evidence")
    assert highest > LOG_ALARM
    done = app.test_cli_runner().invoke(args=["monitor", "report", "--json"])
    body = json.loads(done.stdout)
    assert (done.exit_code, body["findings"][0]) == (1, "miscalibrated")
    assert [m["month"] for m in body["months"]] == ["2026-03-01", "2026-01-01"]
    assert [(m["granted"], m["realised"]["good"]) for m in body["months"]] == [(30, 0), (30, 0)]
    text = app.test_cli_runner().invoke(args=["monitor", "report"]).stdout
    assert "Look at the data: loans are not good as often as their probabilities say." in text
    line = next(x for x in client.get("/metrics").text.splitlines() if "calibration_evidence{" in x)
    assert float(line.rpartition(" ")[2]) == pytest.approx(highest)
    page = signed_in.get("/monitoring").text
    assert "Loans are not good as often as their probabilities say." in page
    assert "2026-01" in page


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_page_without_outcomes(signed_in):
    assert "No outcome is known." in signed_in.get("/monitoring").text
