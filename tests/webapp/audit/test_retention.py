"""Tests of retention: what the command erases, and what its page says."""

from datetime import timedelta

import pytest

from tests.fixtures.databases import PASSWORD, add_user
from webapp.audit import retention
from webapp.columns import now

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DAYS = 30
RUNS = "SELECT subject FROM audit_log WHERE event = 'retention.applied' ORDER BY lane, number"
LEFT = "SELECT decision_id FROM decision_contents ORDER BY 1"


@pytest.fixture
def aged(put, granted):
    """Store decisions of so many days ago, and return their numbers."""
    return lambda *days: [put(granted, created_at=now() - timedelta(days=d)) for d in days]


@pytest.fixture
def apply(another_app):
    """Run the command; return the exit code and what it prints."""

    def run(days=DAYS, *more):
        with another_app(retention_days=days) as app:
            done = app.test_cli_runner().invoke(args=["erase", "--past-retention", *more])
        return done.exit_code, done.output.strip()

    return run


def test_only_older_contents_are_erased(aged, apply, query, monkeypatch):
    monkeypatch.setattr(retention, "PER_TRANSACTION", 2)
    old = aged(400, 90, 60, DAYS + 1, DAYS + 0.01)
    young = aged(DAYS - 0.01, 1)
    assert apply() == (0, "older than 30 days: the contents of 5 decisions are erased")
    assert query(LEFT) == [(n,) for n in young]
    erased = "SELECT subject FROM audit_log WHERE event = 'contents.erased' ORDER BY lane, number"
    assert query(erased) == [(f"decision:{n}",) for n in old]
    assert query("SELECT count(*) FROM decisions") == [(7,)]
    assert apply() == (0, "older than 30 days: the contents of 0 decisions are erased")
    assert query(RUNS) == [("days:30:erased:5",), ("days:30:erased:0",)]


@ON_ONE
def test_a_decision_in_review_is_left(aged, apply, query):
    first, _ = aged(60, 60)
    moment = "'2026-03-01 12:00:00.000000'"
    query(
        "INSERT INTO reviews (decision_id, opened_at, opened_by, cause) "
        f"VALUES ({first}, {moment}, 1, 'staff')"
    )
    assert apply()[0] == 0
    assert query(LEFT) == [(first,)]


@ON_ONE
def test_without_a_setting_nothing_is_erased(aged, apply, query):
    aged(4_000)
    assert apply(0) == (0, "LOAN_RETENTION_DAYS is 0: nothing is erased by its age")
    assert (len(query(LEFT)), query(RUNS)) == (1, [])
    code, text = apply(DAYS, "--decision", "1")
    assert code == 2
    assert "either" in text


@pytest.fixture
def page(another_app, sign_in):
    """Open the page of retention as an administrator."""

    def read(days=DAYS, language="en"):
        with another_app(retention_days=days) as app:
            with app.app_context():
                add_user(f"root-{language}-{days}", PASSWORD, ["admin"])
            root = sign_in(app.test_client(), f"root-{language}-{days}")
            answer = root.get("/retention", headers={"Accept-Language": language})
        assert answer.status_code == 200
        return answer.text

    return read


def test_page_says_what_is_past_and_when_it_was_applied(aged, apply, page, monkeypatch):
    aged(60, 50, 1)
    text = page()
    assert "kept for 30 days" in text
    assert "2 decisions have older ones." in text
    assert "never" in text
    monkeypatch.setattr(retention, "MAX_COUNTED", 1)
    assert "More than 1 decisions have older ones." in page(31)
    apply()
    french = page(language="fr")
    assert "Aucune décision n’en a de plus anciennes." in french
    assert "les données de 2 décisions" in french


@ON_ONE
def test_page_without_retention(aged, page):
    aged(60)
    assert "kept until somebody erases them" in page(0)


@ON_ONE
def test_page_is_for_administrators(signed_in):
    assert signed_in.get("/retention").status_code == 403
