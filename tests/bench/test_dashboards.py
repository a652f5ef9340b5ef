"""Tests the benchmark of the dashboards: its queries, its data and its table."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from bench.dashboards import RANGES, SELECTIONS, Filled, Timed, report, table, time_queries
from bench.grafana import Query, Shown, expand, read_dashboards, sql_of
from bench.history import AGREE, RARE, fill

END = datetime(2026, 11, 27, 12, tzinfo=UTC)
DECISIONS = 3_000


def test_macros_and_variables_are_expanded():
    query = Query(
        "Decisions",
        "a panel",
        "SELECT $__timeGroupAlias(hour, $__interval, 0) FROM v WHERE $__timeFilter(hour) AND "
        "hour > $__timeFrom() AND product IN ($product) AND model IN ($model)",
    )
    shown = Shown(END - timedelta(days=10), END, ["dealer's"])
    assert expand(query, shown) == (
        'SELECT floor(extract(epoch from hour)/10800)*10800 AS "time" FROM v WHERE hour BETWEEN '
        "'2026-11-17T12:00:00Z' AND '2026-11-27T12:00:00Z' AND hour > '2026-11-17T12:00:00Z' "
        "AND product IN ('dealer''s') AND model IN (model)"
    )
    daily = Query("", "", "$__timeGroupAlias(day, $__interval)", every=timedelta(days=1))
    assert "/86400)" in expand(daily, shown)


@pytest.mark.parametrize(
    "text",
    ["$__timeEpoch(a)", "$__timeGroup(a, $__interval)", "$other", "$__timeGroupAlias(a, 1h, 7)"],
)
def test_what_is_not_known_is_refused(text):
    with pytest.raises(ValueError, match="not"):
        expand(Query("", "", text), Shown(END - timedelta(days=1), END))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_history_has_every_decision_in_every_count(migrated):
    fill(migrated.database_url, DECISIONS)
    hour = {"hour": datetime.now(UTC).replace(minute=0, second=0, microsecond=0)}
    with psycopg.connect(migrated.database_url, autocommit=True) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM decisions").fetchall()
        assert count == DECISIONS + RARE
        connection.execute("SET ROLE loan_reader")
        queries = list(sql_of(read_dashboards()))
        timed = list(time_queries(connection, queries, 1))
        assert len(timed) == len(queries) * len(RANGES) * len(SELECTIONS)
        shown = Shown(datetime.now(UTC) - timedelta(days=730), datetime.now(UTC))
        answers = {q.title: connection.execute(expand(q, shown)).fetchall() for q in queries}
        assert [title for title, rows in answers.items() if not rows] == []
        connection.execute("RESET ROLE")
        assert connection.execute(AGREE, hour).fetchone() == (True,)
        connection.execute("UPDATE decision_hours SET count = count + 1 WHERE dimension = 'score'")
        assert connection.execute(AGREE, hour).fetchone() == (False,)


def test_table_has_the_slowest_query_of_each_size():
    quick, slow = Query("Model", "Quick", ""), Query("Decisions", "Slow", "")
    timed = [
        *(Timed(quick, span, [1.0, 2.0, 30.0]) for span in RANGES),
        *(Timed(slow, span, [9.0, 10.0, 11.0]) for span in RANGES),
    ]
    filled = [Filled(1_000, 50, 12.0, 0.25, timed)]
    row = table(filled).splitlines()[2]
    assert row == (
        "| 1,000 | 50 | 12 | 10 ms | 10 ms | 10 ms | 10 ms | Decisions: Slow | 30 ms | ≤ 200 ms |"
    )
    text = report(filled, ["2 cores"], 3)
    assert text.startswith("2 cores, 2 queries, 3 rounds. Other processes used up to 0.2 cores.")
