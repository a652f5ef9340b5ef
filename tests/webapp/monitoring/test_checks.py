"""Tests of what the watch checks in the store: the counts of decisions, and the audit log."""

import os
from datetime import datetime, timedelta
from time import monotonic

import pytest

from tests.fixtures.store import FACTS
from webapp.columns import now
from webapp.ledger.audit import record
from webapp.ledger.transaction import unit_of_work
from webapp.monitoring import checks
from webapp.monitoring.watch import _alone as alone, check_daily, keep_watching, watch

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
VERIFIED = "SELECT verified_at, entries, bad_lanes, first_bad FROM store_checks"


@pytest.fixture
def check(app):
    def once():
        with app.app_context():
            return check_daily()

    return once


@pytest.fixture
def yesterday(put, copy, decide_all, applications):
    """Four decisions of an hour of yesterday; return the first number."""
    numbers = decide_all(applications[:4])
    for number in numbers:
        copy(number, f"{now().date() - timedelta(days=1)} 10:00:00.000000")
    return numbers[0]


@pytest.fixture
def values(client):
    """Return the metrics of the checks by name."""

    def read():
        lines = client.get("/metrics").text.splitlines()
        names = ("loan_miscounted_hours", "loan_uncounted_decisions", "loan_audit_")
        return {n: float(v) for n, v in (x.split() for x in lines if x.startswith(names))}

    return read


@pytest.fixture
def report(app):
    """Print the report; return its exit code and its text."""

    def printed(*arguments):
        done = app.test_cli_runner().invoke(args=["monitor", "report", *arguments])
        return done.exit_code, done.stdout

    return printed


@pytest.fixture
def spoil(query, config):
    """Change a table as an administrator of the database could, without its triggers."""

    def change(table, event, statement):
        if config.database_url:
            query(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            query(statement)
            query(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
        else:
            query(f"DROP TRIGGER {table}_no_{event}")
            query(statement)

    return change


@pytest.fixture
def ago(query):
    """Let the last verification be some time ago."""

    def move(**past):
        moment = f"{now() - timedelta(**past):%Y-%m-%d %H:%M:%S}.000000"  # in UTC, as the session
        query(f"UPDATE store_checks SET verified_at = '{moment}'")

    return move


def test_hours_that_hold_other_decisions_than_were_counted(
    app, yesterday, spoil, copy, query, values, report, signed_in
):
    with app.app_context():
        watch()
    assert values()["loan_miscounted_hours"] == 0
    assert "other decisions" not in report()[1]
    [(last,)] = query("SELECT max(id) FROM decisions")
    spoil("decisions", "DELETE", f"DELETE FROM decisions WHERE id = {last - 1}")
    copy(yesterday, f"{now().date() - timedelta(days=1)} 10:30:00.000000")  # counted again
    with app.app_context():
        watch()
    assert query("SELECT decisions, found FROM watched_hours") == [(5, 4)]
    assert values()["loan_miscounted_hours"] == 1
    code, text = report()
    assert code == 1
    assert "hours with other decisions than were counted: 1" in text
    assert "Look at the database. " in text
    assert "- The database holds other decisions than it has counted." in text
    assert '"miscounted": 1' in report("--json")[1]
    page = signed_in.get("/monitoring").text
    assert "The database holds other decisions than it has counted." in page
    french = signed_in.get("/monitoring", headers={"Accept-Language": "fr"}).text
    assert "d’autres décisions que celles qu’elle a comptées" in french


def test_decisions_of_hours_that_were_not_counted_at_all(
    check, ago, yesterday, spoil, query, values, report, config, signed_in
):
    check()
    assert values()["loan_uncounted_decisions"] == 0
    [(last,)] = query("SELECT max(id) FROM decisions")
    spoil("decisions", "DELETE", f"DELETE FROM decisions WHERE id = {last}")
    assert values()["loan_uncounted_decisions"] == 0  # until the next check
    ago(hours=25)
    assert str(check()).endswith(" entries of the audit log verified; uncounted decisions: -1")
    assert values()["loan_uncounted_decisions"] == -1
    assert values()["loan_miscounted_hours"] == 0
    insert = (
        f"INSERT INTO decisions (id, created_at, {FACTS}) "
        f"SELECT {last} + 10 + id, '2026-01-01 10:00:00.000000', {FACTS} "
        f"FROM decisions WHERE id <= {yesterday + 2}"
    )
    if config.database_url:
        query("ALTER TABLE decisions DISABLE TRIGGER decisions_count")
    else:
        query("DROP TRIGGER decisions_count")
    query(insert)
    ago(hours=25)
    assert check().uncounted == 2
    assert values()["loan_uncounted_decisions"] == 2
    code, text = report()
    assert code == 1
    assert "uncounted decisions: 2" in text
    assert "than it has counted" in signed_in.get("/monitoring").text


def test_audit_log_is_verified_once_a_day(app, yesterday, check, ago, query, values):
    assert "loan_audit_valid" not in values()
    [(entries,)] = query("SELECT count(*) FROM audit_log")
    before = now()
    audited = check()
    assert (audited.entries, audited.bad_lanes, audited.first_bad) == (entries, 0, None)
    assert str(audited) == f"{entries} entries of the audit log verified: all well"
    assert values()["loan_audit_valid"] == 1
    assert values()["loan_audit_verified_entries"] == entries
    assert before.timestamp() <= values()["loan_audit_verified_seconds"] <= now().timestamp()
    assert check() is None
    ago(hours=23)
    assert check() is None
    ago(hours=25)
    assert check() is not None
    ago(hours=-1)  # the clock was wrong
    assert check() is not None
    ago(hours=25)
    with app.app_context(), alone():
        assert check() is None  # another process does it
    assert len(query(VERIFIED)) == 1


def test_bad_entry_is_shown(app, yesterday, check, spoil, values, report, signed_in, query):
    update = "UPDATE audit_log SET subject = 'decision:9' WHERE lane = 1 AND number = 3"
    spoil("audit_log", "UPDATE", update)
    audited = check()
    reason = "lane 1, entry 3: its hash does not match its content or the entry before it"
    assert (audited.entries, audited.bad_lanes, audited.first_bad) == (2, 1, reason)
    assert query(VERIFIED)[0][1:] == (2, 1, reason)
    assert values()["loan_audit_valid"] == 0
    with app.app_context():
        watch()
    code, text = report()
    assert code == 1
    assert f"entries of the audit log verified; {reason}" in text
    assert f"- The audit log is not as it was written: {reason}." in text
    page = signed_in.get("/monitoring").text
    assert "The audit log is not as it was written:" in page
    assert reason in page


def test_newest_checkpoint_finds_what_is_missing(app, yesterday, check, ago, spoil, config):
    sign = ["audit", "checkpoint"]
    assert app.test_cli_runner().invoke(args=sign).exit_code == 0
    assert check().first_bad is None
    newest = "SELECT max(number) FROM audit_log"
    spoil("audit_log", "DELETE", f"DELETE FROM audit_log WHERE number = ({newest})")
    ago(hours=25)
    assert "it is missing: the checkpoint of" in check().first_bad
    for note in (config.instance / "checkpoints").iterdir():
        note.write_text("no checkpoint")
    ago(hours=25)
    assert check().first_bad is None  # and a line in the log


@ON_ONE
def test_verification_ends_with_its_parent_and_rests(app, yesterday, monkeypatch, query):
    """A long log: every entry is a page of its own."""
    monkeypatch.setattr("webapp.audit.reading.ENTRIES_PER_QUERY", 1)
    with app.app_context():
        with unit_of_work() as transaction:
            for _ in range(20):
                record(transaction, "sign_in.refused", "unknown")
        with pytest.raises(SystemExit):
            check_daily(parent=1 if os.getppid() != 1 else 2)
        assert query(VERIFIED) == []
        monkeypatch.setattr(checks, "MAX_PAUSE_SECONDS", 0.02)
        started = monotonic()
        assert check_daily(parent=os.getppid()).first_bad is None
        assert monotonic() - started < 5


@ON_ONE
def test_process_verifies_and_logs(app, yesterday, spoil, query, monkeypatch, caplog):
    spoil("audit_log", "UPDATE", "UPDATE audit_log SET subject = 'x:1' WHERE number = 2")
    rounds = iter([True, False, False, False])
    monkeypatch.setattr("webapp.monitoring.watch.parent_runs", lambda _: next(rounds))
    with app.app_context():
        keep_watching(parent=None)
    assert [r.levelname for r in caplog.records if "lane 1, entry 2" in r.message] == ["ERROR"]
    assert datetime.fromisoformat(str(query(VERIFIED)[0][0]))
