"""Tests of the verification of the audit log: what is well, and what no edit of a row explains."""

import re

import pytest

from tests.fixtures.databases import disconnect
from tests.webapp.audit.conftest import unprotected
from webapp.audit import verify as module
from webapp.audit.reading import ENTRIES_PER_QUERY, as_entry, read_contents, read_entries
from webapp.audit.verify import WRONG_HASH, follow, follow_ahead, verify
from webapp.ledger.chain import START, canonical, chained
from webapp.ledger.driver import Driver

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
SUMMARY = r"[\d,]+ (entry|entries) verified in \d lanes?, \d+\.\d s, [\d,]+ entries/s: "


def test_verify_a_log(log, run, query):
    [(entries, lanes)] = query("SELECT count(*), max(lane) FROM audit_log")
    code, [line] = run("audit", "verify")
    assert code == 0, line
    assert re.fullmatch(f"{SUMMARY}all well", line)
    assert line.startswith(f"{entries} entries verified in {lanes} lane")


def test_processes_follow_lanes_to_their_ends(app, log, run, query, monkeypatch):
    monkeypatch.setattr(module, "SEGMENT", 7)
    disconnect(app)  # as a command begins
    with app.app_context():
        followed = follow_ahead(2)
        assert follow_ahead(1) == {}
    heads = query("SELECT lane, max(number) FROM audit_log GROUP BY lane HAVING max(number) > 7")
    assert {lane: number for lane, (number, _) in followed.items()} == dict(heads)
    assert run("audit", "verify", "--processes=2")[0] == 0


@ON_SQLITE
@pytest.mark.parametrize("number", [1, 7, 8, 9, 14, 30])
def test_processes_find_the_first_bad_entry(app, log, run, query, monkeypatch, number):
    monkeypatch.setattr(module, "SEGMENT", 7)
    query("DROP TRIGGER audit_log_no_UPDATE")
    query(f"UPDATE audit_log SET subject = 'decision:0' WHERE number IN ({number}, 35)")
    disconnect(app)  # as a command begins
    code, lines = run("audit", "verify", "--processes=2")
    assert code == 1
    assert lines[0] == f"lane 1, entry {number}: {WRONG_HASH}"
    assert f" {number - 1} entr" in f" {lines[1]}"


def test_verify_a_new_log(app, run):
    code, [line] = run("audit", "verify")
    assert code == 0
    assert re.fullmatch(r"\d entr.* verified in 1 lane, .*: all well", line)


def test_verify_changes_nothing(log, run, rows):
    before = rows()
    run("audit", "verify", "--contents")
    assert rows() == before


def test_content_is_that_of_the_canonical_form(app, log):
    with unprotected(app) as connection:
        driver = Driver.of(connection)
        rows = read_entries(driver, 1, after=0)
        contents = read_contents(driver, 1, after=0)
    assert {row[5] is None for row in rows} == {True, False}
    entries = [as_entry(1, row) for row in rows]
    assert contents == [(e.number, canonical(e).decode(), e.hash) for e in entries]
    head = START
    for number, entry in enumerate(entries):
        following = chained(canonical(entry), head)
        assert follow([contents[number]], number, head) == (number + 1, following, None)
        head = following


@ON_POSTGRESQL
def test_lanes_that_are_registered_but_not_in_the_log(app, log):
    with unprotected(app) as connection:
        connection.exec_driver_sql("INSERT INTO audit_lanes VALUES (7)")
        assert list(map(str, verify(Driver.of(connection)).findings.values())) == [
            "lane 7: it was never opened"
        ]


def test_lanes_that_are_in_the_log_only(app, log):
    with unprotected(app) as connection:
        connection.exec_driver_sql("DELETE FROM audit_lanes WHERE id = 1")
        found = verify(Driver.of(connection)).findings
        assert str(found[1]) == "lane 1: it was opened, and is gone"


def test_entry_of_a_lane_that_was_never_opened(app, log):
    with unprotected(app) as connection:
        connection.exec_driver_sql("UPDATE audit_log SET lane = 9 WHERE lane = 1 AND number = 3")
        assert sorted(map(str, verify(Driver.of(connection)).findings.values())) == [
            "lane 1, entry 3: it is missing",
            "lane 9: it was never opened",
        ]


@ON_SQLITE
@pytest.mark.parametrize(
    ("assignment", "line"),
    [
        ("number = 'x'", "lane 1, entry 4: it is missing"),
        ("number = 4.5", "lane 1, entry 4.5: entries have whole numbers from 1 on"),
        ("number = 3.5", "lane 1, entry 3.5: entries have whole numbers from 1 on"),
        ("number = -4", "lane 1, entry -4: entries have whole numbers from 1 on"),
        ("number = x'ff'", "lane 1, entry 4: it is missing"),
        ("number = CAST(x'ff' AS TEXT)", "lane 1, entry 4: it is missing"),
        ("lane = CAST(x'ff' AS TEXT)", "lane '\ufffd': it was never opened"),
        ("lane = 'two'", "lane 'two': it was never opened"),
        ("lane = 1.5", "lane 1.5: it was never opened"),
        ("lane = '\x1b[2J'", "lane '\\x1b[2J': it was never opened"),
    ],
)
def test_numbers_of_any_type(app, log, assignment, line):
    with unprotected(app) as connection:
        connection.exec_driver_sql(f"UPDATE audit_log SET {assignment} WHERE number = 4")
        assert line in map(str, verify(Driver.of(connection)).findings.values())


def test_number_that_is_far_too_high(app, log, here, query):
    far = 9 * 10**18
    with unprotected(app) as connection:
        here(connection)
        connection.exec_driver_sql(
            f"UPDATE audit_log SET number = {far} WHERE lane = 1 AND number = "
            "(SELECT max(number) FROM audit_log WHERE lane = 1)"
        )
        last = connection.exec_driver_sql(
            f"SELECT max(number) FROM audit_log WHERE lane = 1 AND number < {far}"
        ).scalar()
        found = verify(Driver.of(connection), followed=follow_ahead(2)).findings
        assert str(found[1]) == (
            f"lane 1, entry {last + 1}: it and all up to {far - 1} are missing"
        )


@ON_SQLITE
@pytest.mark.parametrize("value", ["'x'", "x'ff'", "CAST(x'ff' AS TEXT)", "1e300"])
def test_newest_number_of_any_type(app, log, value):
    with unprotected(app) as connection:
        connection.exec_driver_sql(
            f"UPDATE audit_log SET number = {value} "
            "WHERE number = (SELECT max(number) FROM audit_log)"
        )
        found = verify(Driver.of(connection)).findings
        assert found[1].reason == "entries have whole numbers from 1 on"


@ON_SQLITE
@pytest.mark.parametrize(
    "column", ["created_at", "operator_id", "event", "subject", "facts", "commitment", "hash"]
)
def test_values_of_any_type(app, log, column):
    values = ["'x'", "''", "7", "7.5", "x''", "x'ff'", "CAST(x'ff' AS TEXT)", "9e999", "char(0)"]
    with unprotected(app) as connection:
        sql = connection.exec_driver_sql
        [old] = sql(f"SELECT quote({column}) FROM audit_log WHERE number = 8").scalars()
        values += [f"CAST({column} AS BLOB)", f"hex({column})", "zeroblob(100000)"]
        for value in [*values, f"{column} || char(0) || 'x'", f"char(0) || {column}"]:
            sql(f"UPDATE audit_log SET {column} = {value} WHERE number = 8")
            if sql(f"SELECT quote({column}) FROM audit_log WHERE number = 8").scalar() != old:
                found = verify(Driver.of(connection)).findings
                assert str(found[1]) == f"lane 1, entry 8: {WRONG_HASH}", value


@pytest.mark.parametrize(
    ("database_url", "moments"),
    [
        ("sqlite", ["replace(created_at, ' ', 'T')", "created_at || 'Z'", "'2026'", "''"]),
        ("postgresql", ["'infinity'", "'-infinity'", "'2026-01-01 BC'", "'12026-01-01'"]),
    ],
    indirect=["database_url"],
)
def test_moments_that_only_the_database_can_hold(app, log, moments):
    for moment in moments:
        with unprotected(app) as connection:
            connection.exec_driver_sql(
                f"UPDATE audit_log SET created_at = {moment} WHERE lane = 1 AND number = 8"
            )
            assert verify(Driver.of(connection)).findings[1].number == 8


def test_facts_that_are_empty_are_not_missing(app, log):
    with unprotected(app) as connection:
        rows = read_entries(Driver.of(connection), 1, after=0)
        number = next(row[0] for row in rows if row[5] is None)
        for column in ("facts", "commitment"):
            connection.exec_driver_sql(
                f"UPDATE audit_log SET {column} = '' WHERE lane = 1 AND number = {number}"
            )
            assert verify(Driver.of(connection)).findings[1].number == number


def test_gap_that_is_longer_than_a_page(app, log):
    with unprotected(app) as connection:
        connection.exec_driver_sql(
            f"UPDATE audit_log SET number = number + {3 * ENTRIES_PER_QUERY} "
            "WHERE lane = 1 AND number > 20"
        )
        assert str(verify(Driver.of(connection)).findings[1]) == (
            f"lane 1, entry 21: it and all up to {20 + 3 * ENTRIES_PER_QUERY} are missing"
        )
