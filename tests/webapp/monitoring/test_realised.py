"""Tests of what the watch makes of outcomes."""

import json
from datetime import date

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ml.monitoring.bins import score_bins
from ml.monitoring.realised import realised
from ml.monitoring.rows import read_training_rows
from ml.monitoring.sequential import LOG_ALARM, CalibrationTest
from ml.training.dataset import as_applications
from webapp.columns import now
from webapp.extensions import db
from webapp.ledger.transaction import unit_of_work
from webapp.monitoring.realised import changed_periods, compare_period, store_periods
from webapp.monitoring.reporting.report import report
from webapp.monitoring.watch import watch

TABLES = ("realised_months", "realised_bands", "calibration_evidence")
MONTHS = ("2026-01-15 12:00:00.000000", "2026-03-31 23:59:59.000000")


@pytest.fixture
def loans(decide_all, granted, copy, query):
    """The numbers of 30 loans that were granted in January and of 30 that were in March."""
    [number] = decide_all([granted])
    for moment in MONTHS:
        copy(number, moment, count=30)
    return [n for (n,) in query(f"SELECT id FROM decisions WHERE id <> {number} ORDER BY id")]


@pytest.fixture
def run(ripe_after):
    def once(day=date(2026, 4, 1)):
        with ripe_after(day) as app, app.app_context():
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


def test_bands_have_the_loans_of_their_scores(loans, record, run, query):
    record(*((n, i % 3 > 0, date(2026, 5, 1)) for i, n in enumerate(loans[:20] + loans[30:40])))
    run()
    [(probability,)] = query("SELECT DISTINCT probability FROM decisions")
    rows = query(
        "SELECT score_bin, outcomes, good, expected FROM realised_bands ORDER BY month, score_bin"
    )
    [place] = score_bins(np.array([probability]))
    assert rows == [
        (place, 20, 13, pytest.approx(20 * probability)),
        (place, 10, 7, pytest.approx(10 * probability)),
    ]


EVIDENCE = "SELECT period, outcomes, ripe, last_outcome, evidence FROM calibration_evidence"


def test_evidence_is_of_loans_whose_outcome_should_be_known(loans, record, run, query):
    good = [True, False, False, True, False, True]
    january, march = loans[:6], loans[30:33]
    record(*((n, g, date(2026, 5, 1)) for n, g in zip(january, good, strict=True)))
    record(*((n, False, date(2026, 4, 1)) for n in march))  # bad ones are known earlier
    run(date(2026, 1, 15))
    [row] = query(EVIDENCE)
    assert (str(row[0]), *row[1:2], str(row[2]), *row[3:]) == ("2026-01-01", 0, "2026-01-15", 9, 0)
    [(probability,)] = query("SELECT DISTINCT probability FROM decisions")
    test = CalibrationTest()
    for ripe, added, outcomes in (
        (date(2026, 2, 1), good, 6),
        (date(2026, 3, 31), [], 6),
        (date(2026, 6, 1), [False] * 3, 9),
    ):
        assert run(ripe).months == 2
        test.add(np.full(len(added), probability), np.array(added, dtype=bool))
        [row] = query(EVIDENCE)
        assert row[1] == outcomes
        assert row[4] == pytest.approx(test.evidence)
    assert str(row[2]) == "2026-04-01"
    assert run(date(2026, 7, 1)).months == 0  # the whole quarter is ripe


def test_late_outcomes_and_corrections_give_the_same_as_if_they_had_been_there(
    loans, record, run, results, query
):
    record((loans[0], True, date(2026, 4, 1)), (loans[40], True, date(2026, 5, 1)))
    assert run().months == 2
    assert run().months == 0
    record((loans[0], False, date(2026, 8, 1), "changed"))
    record((loans[1], True, date(2026, 4, 7)))
    assert run().months == 2
    after = results()
    assert query("SELECT outcomes, good FROM realised_months ORDER BY month") == [(2, 1), (1, 1)]
    for table in TABLES:
        query(f"DELETE FROM {table}")
    run()
    assert results() == after


def test_outcome_that_is_recorded_during_a_comparison_is_compared_next(
    loans, record, run, ripe_after, query
):
    ripe = date(2026, 4, 1)
    record((loans[0], True, date(2026, 4, 1)))
    with ripe_after(ripe) as app, app.app_context():
        [changed] = changed_periods(ripe=ripe)
        db.session.rollback()
        record((loans[40], False, date(2026, 4, 2)))
        known = compare_period(changed, ripe=ripe)
        db.session.rollback()
        with unit_of_work() as transaction:
            store_periods(transaction, [known])
    assert query("SELECT outcomes FROM realised_months") == [(1,)]
    assert run().months == 2
    assert query("SELECT sum(outcomes) FROM realised_months") == [(2,)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_damaged_rows_are_left_out(loans, record, run, tamper, query):
    record(*((n, True, date(2026, 4, 1)) for n in loans[:3]))
    tamper("probability = 'x'", loans[0])
    tamper("novelty = 'x'", loans[1])
    run()
    assert query("SELECT outcomes FROM realised_months") == [(2,)]
    assert query("SELECT sum(decisions), sum(rows) FROM watched_hours") == [(60, 60)]


def test_broken_calibration_raises_an_alarm(loans, record, run, app, query, signed_in, client):
    record(*((n, False, date(2026, 4, 1)) for n in loans))
    run()
    [(highest,)] = query("SELECT highest FROM calibration_evidence")
    assert highest > LOG_ALARM
    done = app.test_cli_runner().invoke(args=["monitor", "report", "--json"])
    body = json.loads(done.stdout)
    assert (done.exit_code, body["verdict"]) == (1, "recalibrate")
    assert body["findings"][0]["kind"] == "miscalibrated"
    assert [m["month"] for m in body["outcomes"]["months"]] == ["2026-03-01", "2026-01-01"]
    assert [(m["granted"], m["realised"]["good"]) for m in body["outcomes"]["months"]] == [
        (30, 0),
        (30, 0),
    ]
    text = app.test_cli_runner().invoke(args=["monitor", "report"]).stdout
    assert "- Loans are not good as often as their probabilities say." in text
    line = next(x for x in client.get("/metrics").text.splitlines() if "calibration_evidence{" in x)
    assert float(line.rpartition(" ")[2]) == pytest.approx(highest)
    page = signed_in.get("/monitoring").text
    assert "Loans are not good as often as their probabilities say." in page
    assert "2026-01" in page


def test_alarm_stays_when_the_next_quarter_has_outcomes(loans, copy, record, run, app, query):
    copy(loans[0], "2026-04-20 12:00:00.000000")
    [(later,)] = query("SELECT max(id) FROM decisions")
    record(*((n, False, date(2026, 5, 1)) for n in loans), (later, True, date(2026, 5, 1)))
    run(date(2026, 7, 1))
    assert [n for (n,) in query("SELECT outcomes FROM calibration_evidence ORDER BY period")] == [
        60,
        1,
    ]
    with app.app_context():
        found = report(days=30)
    assert found.outcomes.calibration.alarm
    assert found.outcomes.calibration.period == date(2026, 1, 1)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_page_without_compared_outcomes(signed_in, loans, record):
    assert "No outcome is known." in signed_in.get("/monitoring").text
    record((loans[0], True, date(2026, 4, 1)))
    assert "not compared with the probabilities yet" in signed_in.get("/monitoring").text


@pytest.fixture
def shown(ripe_after):
    def outcomes(day=date(2026, 4, 1)):
        with ripe_after(day) as app, app.app_context():
            return report(days=30).outcomes

    return outcomes


def test_report_has_bad_loans_by_age_and_by_probability(loans, record, run, shown, query, bundle):
    """Of 30 loans of January, three were known to be bad in February and two in May."""
    record(*((n, False, date(2026, 2, 10)) for n in loans[:3]))
    record(*((n, False, date(2026, 5, 10)) for n in loans[3:5]))
    record(*((n, True, date(2026, 5, 10)) for n in loans[5:20] + loans[30:40]))
    run()
    found = shown()
    march, january = found.months
    assert (january.accuracy, january.open) == (pytest.approx(15 / 20), 10)
    assert january.cost == pytest.approx(bundle.manifest.cost_ratio * 5 / 20)
    ages = (1, 2, 3, 6)
    assert [january.bad_by_age[a] for a in ages] == pytest.approx([0.1, 0.1, 0.1, 1 / 6])
    assert [march.bad_by_age[a] for a in ages] == [0.0] * 4
    assert max(january.bad_by_age) < (now().date() - date(2026, 1, 1)).days / 30
    [(probability,)] = query("SELECT DISTINCT probability FROM decisions")
    [band] = found.bands
    assert band.low < probability <= band.high
    assert (band.outcomes, band.bad) == (30, 5)
    record((loans[0], True, date(2026, 6, 1), "dispute"))
    [band] = shown().bands
    assert (band.outcomes, band.bad) == (30, 4)


def test_ranking_is_compared_with_that_of_the_training_rows(
    decide_all, origin, copy, record, run, shown, query, bundle
):
    """Here the loans with the higher probabilities go bad."""
    for number in decide_all(as_applications(origin.rows.fields.head(120))):
        copy(number, MONTHS[0])
    loans = query(
        "SELECT id FROM decisions WHERE decision = 'granted' AND created_at < '2026-02-01' "
        "ORDER BY probability"
    )
    half = len(loans) // 2
    record(*((n, i < half, date(2026, 5, 1)) for i, (n,) in enumerate(loans)))
    run()
    [(area, in_training, worse)] = query(
        "SELECT roc_auc, roc_auc_in_training, worse FROM calibration_evidence"
    )
    rows = read_training_rows(bundle)
    probability, good = rows.granted(bundle.threshold)
    assert area == pytest.approx(0.0, abs=0.01)
    assert in_training == pytest.approx(roc_auc_score(good, probability))
    assert worse > 3
    found = shown()
    assert found.findings[0].kind == "ranks_worse"
    assert found.findings[0].step == "retrain"
    query("UPDATE calibration_evidence SET worse = 2.9")
    assert "ranks_worse" not in [f.kind for f in shown().findings]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_outcome_of_a_loan_of_this_hour(decide_all, granted, record, run, shown):
    [number] = decide_all([granted])
    record((number, True, now().date()))
    run()
    [month] = shown().months
    assert (month.granted, month.open) == (1, 0)
