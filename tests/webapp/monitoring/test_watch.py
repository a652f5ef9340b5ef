"""Tests of the watch: what it counts and compares, again and again, late and early."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest
from scipy.stats import entropy

from ml.monitoring.bins import read_reference, score_bins
from ml.monitoring.sequential import ScoreTest
from webapp.columns import now
from webapp.monitoring.days import period_of
from webapp.monitoring.watch import Watched, _alone as alone

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TABLES = (
    *("watched_hours", "decision_hours", "indexed_values", "training_scores"),
    *("field_counts", "field_stability", "score_evidence"),
    *("realised_months", "realised_bands", "calibration_evidence"),
    *("estimated_months", "estimated_figures"),
)


@pytest.fixture
def results(query):
    """Read the tables of the watch."""
    return lambda: {t: sorted(map(str, query(f"SELECT * FROM {t}"))) for t in TABLES}


def day_of(value):
    return value if isinstance(value, date) else date.fromisoformat(value)


def test_hours_are_counted_in_the_bins_of_the_model(past, run, query, bundle, applications):
    past([1], hour=9, times=2)
    past([1], hour=11, some=slice(5))
    assert run().hours == 2
    hours = query("SELECT decisions, rows FROM watched_hours ORDER BY hour")
    assert hours == [(80, 80), (5, 5)]
    reference = read_reference(bundle)
    for name, bins in reference.fields.items():
        places = bins.place([a[name] for a in applications[:40]])
        expected = {i: int(n) * 2 for i, n in enumerate(np.bincount(places)) if n}
        counted = query(
            f"SELECT bin, count FROM field_counts WHERE field = '{name}' AND hour = "
            "(SELECT min(hour) FROM field_counts)"
        )
        assert dict(counted) == expected, name
    [(unusual,)] = query("SELECT count(*) FROM decisions WHERE novelty > 1")
    [(counted,)] = query("SELECT sum(unusual) FROM watched_hours")
    [(today,)] = query(
        f"SELECT count(*) FROM decisions WHERE novelty > 1 AND created_at >= '{now().date()}'"
    )
    assert counted == unusual - today


def test_days_are_compared_with_the_training_rows(past, run, query, bundle, applications):
    days = past([2], times=3) + past([1], some=slice(20))
    assert run().days == 2
    reference = read_reference(bundle)
    rows = query(
        "SELECT day, days, field, rows, stability, bound FROM field_stability ORDER BY day, days"
    )
    assert len(rows) == 2 * 2 * (len(reference.fields) + 1)
    found = {(day_of(day), span, name): rest for day, span, name, *rest in rows}
    scores = score_bins(np.array([bundle.scorer.score(a).probability for a in applications[:40]]))
    first, both = np.repeat(scores, 3), np.concatenate([np.repeat(scores, 3), scores[:20]])
    for key, places in ((1, first), (7, first)):
        expected = divergence(reference.scores, np.bincount(places, minlength=20))
        assert found[days[0], key, ""][:2] == [120, pytest.approx(expected)]
    expected = divergence(reference.scores, np.bincount(both, minlength=20))
    assert found[days[1], 7, ""][:2] == [140, pytest.approx(expected)]
    bins = reference.fields["loan_amount"]
    amounts = bins.place([a["loan_amount"] for a in applications[:20]])
    expected = divergence(bins.counts, np.bincount(amounts, minlength=len(bins.counts)))
    assert found[days[1], 1, "loan_amount"][:2] == [20, pytest.approx(expected)]


def divergence(old, new):
    """The index, computed by SciPy."""
    old, new = np.array(old, dtype=float), np.array(new, dtype=float)
    old, new = old[old + new > 0], new[old + new > 0]
    if (old == 0).any() or (new == 0).any():
        old, new = old + 0.5, new + 0.5
    return entropy(old, new) + entropy(new, old)


def test_evidence_continues_from_day_to_day(past, run, query, bundle, applications):
    past([3, 2, 1])
    run(since=now() - timedelta(days=3, hours=1))
    run()
    scores = score_bins(np.array([bundle.scorer.score(a).probability for a in applications[:40]]))
    counts = np.bincount(scores, minlength=20).tolist()
    test, period = None, None
    rows = query("SELECT day, evidence, highest, decisions FROM score_evidence ORDER BY day")
    assert len(rows) == 3
    for stored, evidence, highest, decisions in rows:
        day = day_of(stored)
        if period_of(day) != period:
            test, period = ScoreTest.against(read_reference(bundle).scores), period_of(day)
        test.add(counts, seed=day.toordinal())
        assert (evidence, highest) == (pytest.approx(test.evidence), pytest.approx(test.highest))
        assert decisions == 40


def test_periods_are_quarters():
    days = [date(2026, 1, 1), date(2026, 3, 31), date(2026, 4, 1), date(2026, 12, 31)]
    assert [period_of(d) for d in days] == [
        date(2026, 1, 1),
        date(2026, 1, 1),
        date(2026, 4, 1),
        date(2026, 10, 1),
    ]


def test_second_run_changes_nothing(past, run, results):
    past([2, 1])
    assert run()[:3] == (2, 2, 0)
    before = results()
    assert run() == Watched(0, 0, 0, 0, [])
    assert results() == before


def test_late_decisions_give_the_same_as_if_they_had_been_there(past, run, results, query):
    past([3, 1])
    run()
    past([2], some=slice(7))
    past([3], some=slice(3))
    assert run()[:3] == (2, 3, 0)
    after = results()
    for table in TABLES:
        query(f"DELETE FROM {table}")
    assert run()[:3] == (3, 3, 0)
    assert results() == after


def test_only_what_has_ended_is_read(copy, made, run, query, monkeypatch):
    """A day with decisions in an hour that has ended and in one that has not."""
    for moment in ("2026-05-05 10:59:59.999999", "2026-05-05 11:00:00.000000"):
        copy(made[0], moment)
    for clock, expected in (
        ("2026-05-05T10:59:59.999999+00:00", (0, 0)),
        ("2026-05-05T11:00:00+00:00", (1, 0)),
        ("2026-05-05T23:59:59+00:00", (1, 0)),
        ("2026-05-06T00:00:00+00:00", (0, 1)),
    ):
        monkeypatch.setattr(
            "webapp.monitoring.watch.now", lambda c=clock: datetime.fromisoformat(c)
        )
        assert run()[:2] == expected, clock
    assert query("SELECT decisions FROM score_evidence") == [(2,)]


def test_erased_contents_are_not_counted(past, run, query, made):
    past([1])
    query(
        "DELETE FROM decision_contents WHERE decision_id IN (SELECT max(id) FROM decisions "
        "UNION SELECT max(id) - 1 FROM decisions)"
    )
    run()
    assert query("SELECT decisions, rows FROM watched_hours") == [(40, 38)]
    assert query("SELECT count FROM field_counts WHERE field = 'adverse_credit_record'")


@ON_ONE
def test_damaged_contents_are_not_counted(past, run, query, tamper):
    past([1])
    [(last,)] = query("SELECT max(id) FROM decisions")
    tamper("inputs = '{}'", last)
    tamper("inputs = 'x'", last - 1)
    run()
    assert query("SELECT decisions, rows FROM watched_hours") == [(40, 38)]


def test_decisions_of_a_model_that_is_not_kept(put, copy, run, past, applications, command):
    number = put(applications[0])
    copy(number, f"{now().date() - timedelta(days=1)} 10:00:00.000000")
    past([1])
    assert run() == Watched(1, 1, 0, 1, ["svc_linear-00000000"])
    code, text = command("run", "--once")
    assert (code, text) == (
        0,
        "0 hours counted, 0 days compared, outcomes of 0 months, 0 months estimated; not watched, "
        "because these models are not kept: svc_linear-00000000\n"
        "43 entries of the audit log verified: all well\n",
    )


def test_one_process_watches_at_a_time(past, run, app, command, results):
    past([1])
    with app.app_context(), alone() as first, alone() as second:
        assert (first, second) == (True, False)
        assert run() is None
        assert command("run", "--once") == (
            1,
            "Error: another process is doing this at the moment\n",
        )
    assert not any(results().values())
    assert run() == Watched(1, 1, 0, 1, [])
