"""Tests of every panel's SQL query, expanded as in Grafana and run by Grafana's role."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg.rows import dict_row

from ml.product.samples import examples

NOW = datetime.now(UTC).replace(microsecond=0)
LONG_AGO = NOW - timedelta(days=60)
SOON = NOW + timedelta(hours=1)
POSTGRESQL = "loan-desk-postgresql"
OTHER = "dealer's credit"
INTERVAL = timedelta(hours=2)
SENT = 40
SEEDED = 240  # one for every three hours, the newest an hour ago
MACRO = re.compile(r"\$(__\w+)\(([^)]*)\)")  # as Grafana reads them


def expand(
    query: str, start: datetime, end: datetime, products: Sequence[str] | None, every: str
) -> str:
    """Expand a query as Grafana does; without products, `every` is the value for All."""

    def macro(match: re.Match[str]) -> str:
        name, arguments = match[1], [a.strip() for a in match[2].split(",")]
        seconds = int(INTERVAL.total_seconds())
        if name == "__timeFilter":
            return f"{arguments[0]} BETWEEN '{_instant(start)}' AND '{_instant(end)}'"
        if name == "__timeGroupAlias":
            # A third argument says what Grafana itself puts in empty intervals.
            assert arguments[1] == f"{seconds}s"
            assert arguments[2:] in ([], ["0"], ["NULL"])
            return f'floor(extract(epoch from {arguments[0]})/{seconds})*{seconds} AS "time"'
        raise AssertionError(f"this macro is not known here: {name}")

    quoted = (
        every if products is None else ",".join("'" + p.replace("'", "''") + "'" for p in products)
    )
    text = query.replace("$product", quoted)
    text = text.replace("$__interval", f"{int(INTERVAL.total_seconds())}s")
    text = MACRO.sub(macro, text)
    assert "$" not in text
    return text


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Panels:
    """The panels' queries by title, and the variable that they share."""

    queries: dict[str, str]
    product: dict[str, Any]
    address: str

    def answer(self, start=LONG_AGO, end=SOON, products=None) -> dict[str, list[dict[str, Any]]]:
        every = self.product["allValue"]
        with psycopg.connect(self.address, row_factory=dict_row) as connection:
            return {
                title: connection.execute(expand(query, start, end, products, every)).fetchall()
                for title, query in self.queries.items()
            }


@pytest.fixture
def panels(queries, dashboards, database) -> Panels:
    sql = {p["title"]: t["rawSql"] for p, t in queries if t["datasource"]["uid"] == POSTGRESQL}
    [variable] = [v for d in dashboards for v in d["templating"]["list"]]
    return Panels(sql, variable, database.grafana)


@pytest.fixture
def decided(client, api_key, product, database):
    """A database with decisions that the service made, and older ones of other kinds."""
    for application in examples(product, count=SENT, seed=7):
        headers = {"Authorization": f"Bearer {api_key}"}
        assert (
            client.post("/api/v1/decisions", json=application, headers=headers).status_code == 201
        )
    with psycopg.connect(database.desk) as connection:
        seeded = connection.execute(
            """
            INSERT INTO decisions (created_at, channel, operator_id, product, model, probability,
                                   threshold, model_decision, decision, amount, novelty)
            SELECT %(last)s - n * interval '3 hours', CASE WHEN desk THEN 'desk' ELSE 'api' END,
                   CASE WHEN desk THEN (SELECT min(id) FROM users)
                   ELSE (SELECT min(id) FROM api_keys) END,
                   (ARRAY['consumer_credit', 'mortgage', %(other)s])[1 + n %% 3], 'older',
                   0.5, CASE decision WHEN 'granted' THEN 0.4 ELSE 0.6 END, decision, decision,
                   400 * 1.04 ^ n, 0
            FROM (SELECT n, n %% 5 < 3 AS desk,
                         CASE WHEN n %% 7 < 4 THEN 'granted' ELSE 'refused' END AS decision
                  FROM generate_series(0, %(rows)s - 1) n)
            """,
            {"last": NOW - timedelta(hours=1), "other": OTHER, "rows": SEEDED},
        ).rowcount
        assert seeded == SEEDED
    return database


def count(database, start, end, products, by: str) -> dict[Any, tuple[int, int]]:
    """Count the granted and refused decisions of each kind in the rows of the table."""
    with psycopg.connect(database.desk) as connection:
        rows = connection.execute(
            "SELECT created_at, product, channel, decision = 'granted' FROM decisions"
        ).fetchall()
    counts: dict[Any, tuple[int, int]] = {}
    for moment, product, channel, granted in rows:
        if not start <= moment <= end or (products is not None and product not in products):
            continue
        hour = moment.timestamp() // INTERVAL.total_seconds() * INTERVAL.total_seconds()
        kind = {"all": "all", "channel": channel, "time": hour}[by]
        g, r = counts.get(kind, (0, 0))
        counts[kind] = (g + granted, r + (not granted))
    return counts


def test_every_query_has_rows_where_there_are_decisions(decided, panels):
    answers = panels.answer()
    assert len(answers) >= 7
    assert {
        title for title, rows in answers.items() if not rows or None in rows[0].values()
    } == set()


def test_panels_equal_the_table_for_time_range_and_products(decided, panels):
    week, day = timedelta(days=7), timedelta(days=1)
    ranges = [(LONG_AGO, SOON), (NOW - week, SOON), (NOW - week, NOW - day)]
    choices = [None, ["consumer_credit"], ["mortgage", OTHER], [OTHER]]
    totals = set()
    for start, end in ranges:
        for products in choices:
            chosen = (start, end, products)
            answer = panels.answer(*chosen)
            granted, refused = count(decided, *chosen, by="all")["all"]
            totals.add(granted + refused)
            assert answer["Granted"] == [{"granted": granted}], chosen
            assert answer["Refused"] == [{"refused": refused}], chosen
            assert answer["Grant rate"] == [
                {"grant rate": pytest.approx(granted / (granted + refused))}
            ]

            channels = {r["channel"]: (r["granted"], r["refused"]) for r in answer["By channel"]}
            assert channels == count(decided, *chosen, by="channel"), chosen

            bands = answer["By amount band"]
            assert (sum(b["granted"] for b in bands), sum(b["refused"] for b in bands)) == (
                granted,
                refused,
            )

            times = count(decided, *chosen, by="time")
            over_time = answer["Granted and refused over time"]
            assert {r["time"]: (r["granted"], r["refused"]) for r in over_time} == times, chosen
            rates = {r["time"]: r["grant rate"] for r in answer["Grant rate over time"]}
            assert rates == pytest.approx({t: g / (g + r) for t, (g, r) in times.items()}), chosen
    assert max(totals) == SENT + SEEDED
    assert len(totals) >= 8  # every choice was a different one


def test_amount_bands_are_in_ascending_order(decided, panels):
    bands = [row["amount band"] for row in panels.answer()["By amount band"]]
    lower = [0 if b.startswith("under") else int(b.split()[0].replace(",", "")) for b in bands]
    assert len(bands) > 5
    assert lower == sorted(set(lower))


def test_products_offered_are_those_decided_on(decided, panels):
    with psycopg.connect(decided.grafana) as connection:
        offered = [name for (name,) in connection.execute(panels.product["query"])]
    assert offered == ["consumer_credit", OTHER, "mortgage"]


def test_every_query_answers_on_an_empty_database(app: Flask, panels):
    answers = panels.answer()
    assert answers["Granted"] == [{"granted": 0}]
    assert answers["Refused"] == [{"refused": 0}]
    assert answers["Grant rate"] == [{"grant rate": None}]
    assert answers["By channel"] == []


def test_every_query_filters_by_time_range_and_products(panels):
    for title, query in panels.queries.items():
        assert "WHERE $__timeFilter(created_at) AND product IN ($product)" in query, title
        assert set(re.findall(r"FROM (\w+)", query)) == {"v_decisions"}, title
