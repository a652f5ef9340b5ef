"""Tests of the estimates of performance that the watch keeps."""

import json
from datetime import date

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ml.monitoring.estimated import NAMES, figures_of
from ml.monitoring.rows import read_training_rows
from ml.training.dataset import as_applications
from webapp.monitoring import estimates
from webapp.monitoring.days import Model
from webapp.monitoring.reporting.estimates import EstimateReport, Estimates, FigureReport
from webapp.monitoring.watch import watch

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MONTH = "SELECT month, decisions, effective, trustworthy FROM estimated_months ORDER BY month"
FIGURES = (
    "SELECT figure, plain, value, low, high, in_training FROM estimated_figures ORDER BY figure"
)


@pytest.fixture
def history(decide_all, origin, copy, query):
    """Decisions on 80 rows of the training data, each on a day of March 2026."""
    applications = as_applications(origin.rows.fields.head(80))
    for i, number in enumerate(decide_all(applications)):
        copy(number, f"2026-03-{1 + i % 20:02} 12:00:00.000000")
    return [
        n for (n,) in query("SELECT id FROM decisions WHERE created_at < '2026-04-01' ORDER BY id")
    ]


@pytest.fixture
def run(app):
    def once():
        with app.app_context():
            return watch().estimates

    return once


def day_of(value):
    return value if isinstance(value, date) else date.fromisoformat(value)


def test_months_are_estimated_from_their_decisions(history, run, query, bundle, app):
    assert run() == 1
    [(month, decisions, effective, trustworthy)] = query(MONTH)
    assert (day_of(month), decisions, bool(trustworthy)) == (date(2026, 3, 1), 80, True)
    assert effective > 100
    training = read_training_rows(bundle)
    with app.app_context():
        [changed] = [
            estimates.Month(
                Model(bundle.product.name, bundle.version), day_of(month), date(2026, 3, 20), 80
            )
        ]
        known = estimates.estimate_month(changed)
    stored = {name: values for name, *values in query(FIGURES)}
    assert sorted(stored) == sorted(NAMES)
    for figure in known.figures:
        names = ("plain", "value", "low", "high", "in_training")
        assert stored[figure["figure"]] == pytest.approx([figure[n] for n in names])
        assert figure["low"] <= figure["value"] <= figure["high"]
    granted = training.probability >= bundle.threshold
    reached = figures_of(
        training.probability,
        training.good * 1.0,
        granted=granted,
        cost_ratio=bundle.manifest.cost_ratio,
    )
    assert stored["bad_share"][4] == pytest.approx(reached.bad_share)
    probabilities = query(
        "SELECT probability FROM decisions WHERE model_decision = 'granted' AND id > 80"
    )
    plain = 1 - sum(p for (p,) in probabilities) / len(probabilities)
    assert stored["bad_share"][0] == pytest.approx(plain)


def test_second_run_changes_nothing_and_later_days_are_added(history, run, query, copy):
    assert run() == 1
    first = query(FIGURES)
    assert run() == 0
    copy(history[0], "2026-03-25 12:00:00.000000", count=3)
    copy(history[1], "2026-04-02 12:00:00.000000")
    assert run() == 2
    march, april = query(MONTH)
    assert march[1] == 83
    assert april[1:3] == (1, 0.0)
    assert not april[3]
    assert query(FIGURES) != first
    for table in ("estimated_months", "estimated_figures"):
        query(f"DELETE FROM {table}")
    after = run(), query(MONTH)
    assert after == (2, [march, april])


def test_a_random_part_of_many_decisions_is_enough(history, run, query, monkeypatch, bundle):
    run()
    every = {name: value for name, _, value, *_ in query(FIGURES)}
    monkeypatch.setattr(estimates, "MAX_DECISIONS", 60)
    monkeypatch.setattr(estimates, "MAX_APPLICATIONS", 40)
    query("DELETE FROM estimated_months")
    assert run() == 1
    some = {name: value for name, _, value, *_ in query(FIGURES)}
    assert some != every
    assert some["accuracy"] == pytest.approx(every["accuracy"], abs=0.1)


@ON_ONE  # PostgreSQL takes only numbers
def test_damaged_probabilities_are_left_out(history, run, query, tamper):
    tamper("probability = 'x'", history[2])
    assert run() == 1
    assert len(query(FIGURES)) == len(NAMES)


def test_erased_and_damaged_contents_are_left_out(history, run, query, tamper):
    query(f"DELETE FROM decision_contents WHERE decision_id = {history[0]}")
    tamper("inputs = '{}'", history[1])
    assert run() == 1
    assert len(query(FIGURES)) == len(NAMES)


@ON_ONE
def test_estimate_is_not_trusted_where_many_are_unusual(history, run, query, tamper):
    for number in history[:30]:
        tamper("novelty = 2.5", number)
    run()
    assert not query(MONTH)[0][3]


@ON_ONE
def test_report_page_and_metrics_show_the_estimates(history, run, app, signed_in, client, query):
    def shown():
        return [
            sample
            for family in text_string_to_metric_families(client.get("/metrics").text)
            for sample in family.samples
            if sample.name == "loan_estimated"
        ]

    assert shown() == []
    run()
    body = json.loads(app.test_cli_runner().invoke(args=["monitor", "report", "--json"]).stdout)
    [month] = body["estimates"]["months"]
    assert (month["month"], month["decisions"]) == ("2026-03-01", 80)
    bad = month["figures"]["bad_share"]
    metrics = {
        sample.labels["which"]: sample.value
        for sample in shown()
        if sample.labels["figure"] == "bad_share"
    }
    assert metrics == pytest.approx(
        {
            "value": bad["value"],
            "low": bad["low"],
            "high": bad["high"],
            "training": bad["in_training"],
        }
    )
    text = app.test_cli_runner().invoke(args=["monitor", "report"]).stdout
    assert f"{bad['value']:.1%} ({bad['low']:.1%} to {bad['high']:.1%})" in text
    assert "What the probabilities promise" in signed_in.get("/monitoring").text
    query("UPDATE estimated_months SET trustworthy = false")
    assert shown() == []
    assert "No reliable estimate" in signed_in.get("/monitoring").text
    query("DELETE FROM estimated_figures")
    assert "too few granted loans with their applications" in signed_in.get("/monitoring").text


def test_finding_if_certainly_many_more_bad_loans_are_expected():
    def found(low, *, trustworthy=True):
        figure = FigureReport(plain=0.3, value=0.3, low=low, high=0.4, in_training=0.2)
        month = EstimateReport(date(2026, 3, 1), 500, 300.0, trustworthy, {"bad_share": figure})
        return [(f.kind, f.step) for f in Estimates([month]).findings]

    assert found(0.26) == [("expected_worse", "look")]
    assert found(0.24) == []
    assert found(0.26, trustworthy=False) == []
    assert Estimates([]).findings == []
