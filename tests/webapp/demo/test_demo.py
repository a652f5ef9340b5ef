"""Tests of the invented history."""

from datetime import UTC, date, datetime, timedelta

import pytest

from ml.monitoring.sequential import LOG_ALARM
from tests.fixtures.databases import disconnect
from webapp import create_app
from webapp.columns import now
from webapp.demo.history import HOURS, KNOWN_DAYS, History, read_rows

DAYS, DECISIONS = 120, 4_000


@pytest.fixture
def demo(app, another_app):
    """Make the history, and return the lines of the command's output."""
    with another_app(observation_days=KNOWN_DAYS) as later:
        arguments = ["demo", "--days", str(DAYS), "--decisions", str(DECISIONS)]
        done = later.test_cli_runner().invoke(args=arguments)
        assert done.exit_code == 0, done.output
        yield done.stdout.splitlines()


def moment(value):
    return value if isinstance(value, datetime) else datetime.fromisoformat(f"{value}+00:00")


def test_history_is_plausible_and_complete(demo, app, query, bundle):
    moments = [moment(m).astimezone(UTC) for (m,) in query("SELECT created_at FROM decisions")]
    assert len(moments) == DECISIONS
    assert {m.hour for m in moments} == set(HOURS)
    assert {m.weekday() for m in moments} == set(range(6))  # closed on Sundays
    assert max(moments).date() < now().date()
    assert now().date() - min(moments).date() <= timedelta(days=DAYS)
    channels = dict(query("SELECT channel, count(*) FROM decisions GROUP BY channel"))
    assert 0.6 < channels["api"] / DECISIONS < 0.8
    [(scored,)] = query("SELECT count(*) FROM challenger_scores")
    assert scored == DECISIONS
    [(known,)] = query("SELECT count(*) FROM outcomes")
    assert f"{known:,} outcomes" in demo
    assert known > DECISIONS / 10
    assert query(
        "SELECT count(*) FROM outcomes JOIN decisions ON decisions.id = decision_id "
        "WHERE decision = 'refused'"
    ) == [(0,)]
    [(said,)] = query("SELECT count(DISTINCT decision_id) FROM protected_attributes")
    assert 0.55 < said / DECISIONS < 0.65
    [(groups,)] = query("SELECT count(*) FROM fairness_groups WHERE outcomes IS NOT NULL")
    assert groups > 0
    [(watched,)] = query("SELECT sum(decisions) FROM watched_hours")
    assert watched == DECISIONS
    done = app.test_cli_runner().invoke(args=["audit", "verify", "--contents"])
    assert done.exit_code == 0, done.output
    assert query("SELECT count(*) FROM decision_counts")[0][0] > 0


def test_drift_and_the_broken_calibration_are_found(demo, another_app, query):
    with another_app(observation_days=KNOWN_DAYS) as app:
        done = app.test_cli_runner().invoke(args=["monitor", "report", "--days", str(DAYS)])
    assert done.exit_code == 1
    assert "The scores no longer come from the distribution of the training data" in done.stdout
    history = History(now().date() - timedelta(days=DAYS), DAYS, DECISIONS, 1)
    days = query("SELECT min(day) FROM score_evidence WHERE highest > 5.99")
    first = days[0][0] if isinstance(days[0][0], date) else date.fromisoformat(days[0][0])
    assert history.drift <= first <= history.drift + timedelta(days=30)  # 33 decisions a day


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_drift_is_found_within_days_and_the_quiet_part_is_silent(app, query):
    """With as many decisions a day as the history of `make demo` has; an alert fires from then."""
    days, decisions = 60, 60 * 50_000 // 180
    arguments = ["demo", "--days", str(days), "--decisions", str(decisions)]
    done = app.test_cli_runner().invoke(args=arguments)
    assert done.exit_code == 0, done.output
    drift = History(now().date() - timedelta(days=days), days, decisions, 1).drift
    [(first,)] = query(f"SELECT min(day) FROM score_evidence WHERE highest >= {LOG_ALARM}")
    assert first >= f"{drift}"
    [(days_until_then,)] = query(
        f"SELECT count(*) FROM score_evidence WHERE day BETWEEN '{drift}' AND '{first}'"
    )
    assert days_until_then <= 4  # for the shipped model at most two, whatever today is
    [(moved,)] = query("SELECT min(day) FROM field_stability WHERE stability > 0.25 AND days = 7")
    assert moved >= f"{drift}"


def test_pages_say_that_the_decisions_are_invented(demo, config, sign_in):
    app = create_app(config)
    app.testing = True
    browser = sign_in(app.test_client())
    for path in (
        "/applications/new",
        "/decisions",
        "/decisions/1",
        "/outcomes",
        "/monitoring",
        "/model",
    ):
        answer = browser.get(path)
        assert (answer.status_code, "these decisions are invented" in answer.text) == (200, True)
    disconnect(app)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_other_databases_are_left_alone(app, decide_all, granted, config, rows, client):
    decide_all([granted])
    before = rows()
    done = app.test_cli_runner().invoke(args=["demo"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "the database holds decisions already" in done.stderr
    assert rows() == before
    assert not config.demo_mark.exists()
    assert "invented" not in client.get("/login").text


def test_same_seed_plans_the_same(product):
    rows = read_rows(product)
    first, second, other = [
        list(History(date(2026, 1, 1), 60, 500, seed).moments(product, rows)) for seed in (1, 1, 2)
    ]
    assert first == second != other
    assert sum(len(m.rows) for m in first) == 500
    assert [m.moment for m in first] == sorted(m.moment for m in first)
