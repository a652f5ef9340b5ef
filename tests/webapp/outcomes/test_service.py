"""Tests of recording outcomes: the rules, corrections, counts and the audit log."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier

import pytest

from webapp.failures import DecisionDamaged, InvalidOutcome, NotFound
from webapp.outcomes import service

COUNTS = (
    "SELECT product, score_bin, outcome, count FROM outcome_counts "
    "WHERE count <> 0 ORDER BY 1, 2, 3"
)
ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def codes(record, *arguments, **more):
    with pytest.raises(InvalidOutcome) as refused:
        record(*arguments, **more)
    return [(e.field, e.code) for e in refused.value.errors]


def test_outcomes_are_recorded_and_corrected(loans, record, history, today):
    first = record(loans[0], "good")
    assert (first.number, first.reason, first.operator) == (1, None, "clerk")
    second = record(loans[0], "bad", reason="changed")
    other = record(loans[1], "bad")
    third = record(loans[0], "good", reason="mistake")
    assert [o.number for o in (second, other, third)] == [2, 1, 3]
    day = today.isoformat()
    assert history() == [
        (loans[0], 1, "good", day, None),
        (loans[0], 2, "bad", day, "changed"),
        (loans[1], 1, "bad", day, None),
        (loans[0], 3, "good", day, "mistake"),
    ]


def test_same_outcome_again_changes_nothing(loans, record, rows):
    first = record(loans[0], "good")
    before = rows()
    assert record(loans[0], "good") == first
    assert record(loans[0], "good", reason="mistake") == first
    assert rows() == before


def test_rules(loans, record, rows, today, yesterday):
    record(loans[1], "good")
    before = rows()
    assert codes(record, loans[3], "good") == [("outcome", "refused")]
    assert codes(record, loans[0], "bad", yesterday) == [("date", "early")]
    assert codes(record, loans[0], "bad", today + timedelta(days=1)) == [("date", "future")]
    assert codes(record, loans[0], "bad", reason="mistake") == [("reason", "first")]
    assert codes(record, loans[1], "bad") == [("reason", "correction")]
    assert codes(record, loans[1], "bad", yesterday) == [
        ("date", "early"),
        ("reason", "correction"),
    ]
    for unknown in (0, -1, 999, 2**63 - 1):
        with pytest.raises(NotFound):
            record(unknown, "good")
    assert rows() == before


@ON_ONE
def test_days_are_those_of_the_bank(copy, loans, record, query, history):
    """A loan that was decided after midnight in Paris, which is before midnight in UTC."""
    copy(loans[0], "2026-06-30 22:30:00.000000")
    [(number,)] = query("SELECT max(id) FROM decisions")
    assert codes(record, number, "good", date(2026, 6, 30)) == [("date", "early")]
    record(number, "good", date(2026, 7, 1))
    assert query("SELECT decided_month, known_month FROM outcome_counts") == [
        ("2026-06-01", "2026-07-01")
    ]


def test_counts_follow_corrections(app, loans, record, query, bundle, today):
    name = bundle.product.name
    [(probability,)] = query(f"SELECT probability FROM decisions WHERE id = {loans[0]}")
    score_bin = -int(-probability * 20 // 1) - 1
    record(loans[0], "good")
    record(loans[1], "good")
    assert query(COUNTS) == [(name, score_bin, "good", 2)]
    record(loans[0], "bad", reason="changed")
    assert query(COUNTS) == [(name, score_bin, "bad", 1), (name, score_bin, "good", 1)]
    record(loans[0], "good", reason="dispute")
    assert query(COUNTS) == [(name, score_bin, "good", 2)]
    with app.app_context():
        assert sorted(service.count_outcomes()) in (
            [(name, bundle.version, "good", 2)],
            [(name, bundle.version, "bad", 0), (name, bundle.version, "good", 2)],
        )


def test_counts_of_many_at_once_are_those_of_the_table(
    app, loans, record, query, decide_all, granted
):
    numbers = decide_all([granted] * 12)
    for i, number in enumerate(numbers):
        record(number, "good" if i % 3 else "bad")
        if i % 4 == 0:
            record(number, "bad" if i % 3 else "good", reason="mistake")
    counted = query("SELECT outcome, sum(count) FROM outcome_counts GROUP BY 1 ORDER BY 1")
    stored = query(
        "SELECT outcome, count(*) FROM outcomes o WHERE number = (SELECT max(number) FROM outcomes "
        "WHERE decision_id = o.decision_id) GROUP BY 1 ORDER BY 1"
    )
    assert [(k, int(n)) for k, n in counted] == stored


def test_every_outcome_has_an_entry(loans, record, query):
    record(loans[0], "good")
    record(loans[0], "bad", reason="changed")
    entries = query(
        "SELECT subject, o.name, commitment FROM audit_log JOIN operators o ON o.id = operator_id "
        "WHERE event = 'outcome.recorded' ORDER BY lane, number"
    )
    assert entries == [("outcome:1", "clerk", None), ("outcome:2", "clerk", None)]


def test_two_at_once_are_recorded_one_after_the_other(loans, record, history):
    start = Barrier(8)

    def add(i):
        start.wait()
        try:
            record(loans[0], ("good", "bad")[i % 2])
        except InvalidOutcome as refused:
            return refused.errors[0].code
        return "recorded or known"

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(add, range(8)))
    assert sorted(results) == ["correction"] * 4 + ["recorded or known"] * 4
    assert len(history()) == 1


def test_outcomes_are_never_changed(loans, record, query, history):
    record(loans[0], "good")
    before = history()
    for statement in (
        "UPDATE outcomes SET outcome = 'bad'",
        "DELETE FROM outcomes",
        "INSERT INTO outcome_counts "
        "VALUES ('2026-01-01', '2026-01-01', 'p', 'm', 'granted', 1, 'good', 9)",
        "UPDATE outcome_counts SET count = 9",
    ):
        with pytest.raises(Exception, match=r"are never changed|are changed only by triggers"):
            query(statement)
    assert history() == before


@ON_ONE
def test_replacing_an_outcome_is_refused(loans, record, query, history):
    record(loans[0], "good")
    before = history()
    columns = "created_at, decision_id, number, operator_id, 'bad', known_on, reason FROM outcomes"
    for number in (1, 2):
        with pytest.raises(Exception, match="outcomes are never changed"):
            query(f"REPLACE INTO outcomes SELECT {number}, {columns}")
    assert history() == before


@pytest.mark.parametrize(
    "values",
    [
        "1, {d}, 1, {o}, 'fair', '2026-01-01', NULL",
        "1, {d}, 0, {o}, 'good', '2026-01-01', NULL",
        "1, {d}, 1, {o}, 'good', '2026-01-01', 'mistake'",
        "1, {d}, 2, {o}, 'good', '2026-01-01', NULL",
        "1, {d}, 2, {o}, 'good', '2026-01-01', 'whim'",
        "0, {d}, 1, {o}, 'good', '2026-01-01', NULL",
    ],
)
def test_database_refuses_invalid_outcomes(loans, operator, query, history, values):
    given = values.format(d=loans[0], o=operator.id).split(", ", 1)
    with pytest.raises(Exception, match=r"(?i)constraint"):
        query(
            "INSERT INTO outcomes (id, created_at, decision_id, number, operator_id, outcome, "
            f"known_on, reason) VALUES ({given[0]}, '2026-01-01 00:00:00.000000', {given[1]})"
        )
    assert history() == []


@ON_ONE
def test_damaged_rows_are_named(app, loans, record, tamper, query):
    record(loans[0], "good")
    tamper("created_at = 'x'", loans[1])
    with pytest.raises(DecisionDamaged, match="created_at"):
        record(loans[1], "good")
    with app.app_context():
        [outcome] = service.list_outcomes(loans[0])
        assert outcome.good
