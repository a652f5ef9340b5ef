"""Tests of the SQL of the dashboard Decisions: its panels equal the rows of the table."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg.rows import dict_row

from bench.grafana import Query, Shown, expand, sql_of
from ml.product.samples import examples
from webapp.extensions import db

NOW = datetime.now(UTC).replace(microsecond=0)
# Whole hours, because the panels count by the hour.
HOUR = NOW.replace(minute=0, second=0)
LONG_AGO = HOUR - timedelta(days=60)
# The end of the next hour: this one may end before the tests do.
SOON = HOUR + timedelta(hours=2) - timedelta(milliseconds=1)
DECISIONS = ("granted", "refused", "referred")
OTHER = "dealer's credit"
SENT = 40
SEEDED = 240  # one for every three hours, the newest an hour ago
MANY = 10_000  # points, so that panels over time have one for each hour


@dataclass(frozen=True)
class Panels:
    """The queries of the dashboard by title, run by Grafana's role."""

    queries: dict[str, Query]
    address: str

    def answer(self, start=LONG_AGO, end=SOON, products=None) -> dict[str, list[dict[str, Any]]]:
        shown = Shown(start, end, products)
        with psycopg.connect(self.address, row_factory=dict_row) as connection:
            return {
                title: connection.execute(expand(query, shown)).fetchall()
                for title, query in self.queries.items()
            }


@pytest.fixture
def panels(dashboards, database) -> Panels:
    [decisions] = [d for d in dashboards if d["uid"] == "loan-decisions"]
    queries = {q.title: replace(q, points=MANY) for q in sql_of([decisions])}
    return Panels(queries, database.grafana)


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
                                   threshold, model_decision, decision, basis, policy, amount,
                                   novelty)
            SELECT %(last)s - n * interval '3 hours', CASE WHEN desk THEN 'desk' ELSE 'api' END,
                   CASE WHEN desk THEN (SELECT min(id) FROM users)
                   ELSE (SELECT min(id) FROM api_keys) END,
                   (ARRAY['consumer_credit', 'mortgage', %(other)s])[1 + n %% 3], 'older',
                   0.5, CASE word WHEN 'granted' THEN 0.4 ELSE 0.6 END, word,
                   CASE WHEN n %% 7 IN (0, 6) THEN 'referred' ELSE word END,
                   CASE WHEN n %% 7 IN (0, 6) THEN 'unusual' ELSE 'model' END, 'policy-0',
                   400 * 1.04 ^ n, 0
            FROM (SELECT n, n %% 5 < 3 AS desk,
                         CASE WHEN n %% 7 < 4 THEN 'granted' ELSE 'refused' END AS word
                  FROM generate_series(0, %(rows)s - 1) n)
            """,
            {"last": NOW - timedelta(hours=1), "other": OTHER, "rows": SEEDED},
        ).rowcount
        assert seeded == SEEDED
    return database


def count(database, start, end, products, by: str) -> dict[Any, tuple[int, int, int]]:
    """Count the granted, refused and referred decisions of each kind in the rows of the table."""
    with psycopg.connect(database.desk) as connection:
        rows = connection.execute(
            "SELECT created_at, product, channel, decision FROM decisions"
        ).fetchall()
    counts: dict[Any, tuple[int, int, int]] = {}
    for moment, product, channel, decision in rows:
        if not start <= moment <= end or (products is not None and product not in products):
            continue
        kind = {"all": "all", "channel": channel, "hour": moment.timestamp() // 3_600}[by]
        before = counts.get(kind, (0, 0, 0))
        counts[kind] = tuple(n + (decision == d) for n, d in zip(before, DECISIONS, strict=True))
    return counts


@pytest.fixture(params=["live", "watched"])
def counted(request, decided, app):
    """The decisions, before and after the watch has broken them down."""
    if request.param == "watched":
        done = app.test_cli_runner().invoke(args=["monitor", "run", "--once"])
        assert done.exit_code == 0, done.output
    return decided


def test_panels_equal_the_table_for_time_range_and_products(counted, panels):
    week, day = timedelta(days=7), timedelta(days=1)
    ranges = [(LONG_AGO, SOON), (HOUR - week, SOON), (HOUR - week, SOON - day)]
    choices = [None, ["consumer_credit"], ["mortgage", OTHER], [OTHER]]
    totals = set()
    for start, end in ranges:
        for products in choices:
            chosen = (start, end, products)
            answer = panels.answer(*chosen)
            granted, refused, referred = count(counted, *chosen, by="all")["all"]
            total = granted + refused + referred
            totals.add(total)
            assert answer["Granted"] == [{"granted": granted}], chosen
            assert answer["Refused"] == [{"refused": refused}], chosen
            assert answer["Referred"] == [{"referred": referred}], chosen
            assert sum(row["referred"] for row in answer["Why referred"]) == referred, chosen
            assert answer["Grant rate"] == [{"grant rate": pytest.approx(granted / total)}]
            channels = count(counted, *chosen, by="channel")
            assert {r["channel"]: _split(r) for r in answer["By channel"]} == channels, chosen
            for title in ("By amount band", "By score band"):
                sums = map(sum, zip(*(_split(row) for row in answer[title]), strict=True))
                assert tuple(sums) == (granted, refused, referred), (title, chosen)
            over_time = answer["Decisions over time"]
            times = count(counted, *chosen, by="hour")
            assert {float(r["time"]) // 3_600: _split(r) for r in over_time} == times, chosen
    assert max(totals) == SENT + SEEDED
    assert len(totals) >= 8  # every choice was a different one


def _split(row):
    return tuple(row[decision] or 0 for decision in DECISIONS)


def test_bands_are_in_ascending_order(decided, panels):
    answer = panels.answer()
    bands = [row["amount band"] for row in answer["By amount band"]]
    lower = [0 if b.startswith("under") else int(b.split()[0].replace(",", "")) for b in bands]
    assert len(bands) > 5
    assert lower == sorted(set(lower))
    scores = [float(row["probability"].split()[0]) for row in answer["By score band"]]
    assert len(scores) > 5
    assert scores == sorted(set(scores))


def test_latest_decisions_are_the_newest_of_the_selection(decided, panels):
    for products in (None, [OTHER], ["mortgage", OTHER]):
        shown = [row["id"] for row in panels.answer(products=products)["Latest decisions"]]
        with psycopg.connect(decided.desk) as connection:
            rows = connection.execute(
                "SELECT id FROM decisions WHERE %(every)s OR product = ANY(%(products)s) "
                "ORDER BY created_at DESC LIMIT 20",
                {"every": products is None, "products": products or []},
            ).fetchall()
        assert shown == [number for (number,) in rows], products


def test_products_and_models_offered_are_those_decided_on(decided, panels, bundle):
    answer = panels.answer()
    assert [r["product"] for r in answer["product"]] == ["consumer_credit", OTHER, "mortgage"]
    assert [r["model"] for r in answer["model"]] == sorted(["older", bundle.version])
    assert panels.answer(products=[OTHER])["model"] == [{"model": "older"}]


def test_every_query_answers_on_an_empty_database(app: Flask, panels):
    answers = panels.answer()
    assert answers["Granted"] == [{"granted": 0}]
    assert answers["Refused"] == [{"refused": 0}]
    assert answers["Grant rate"] == [{"grant rate": None}]
    assert answers["By channel"] == []


def test_every_panel_reads_views_and_filters_by_time_range_product_and_model(dashboards):
    tables = "|".join(db.metadata.tables)
    for query in sql_of(dashboards):
        assert not re.search(rf"(?:FROM|JOIN) (?:{tables})\b", query.text), query.title
        assert re.search(r"FROM v_\w+", query.text), query.title
        if query.title in ("product", "model", "field", "Last decision", "Model put into service"):
            continue
        assert "product IN ($product) AND model IN ($model)" in query.text, query.title
        if query.title in ("Open reviews", "Free reviews", "Overdue reviews"):  # as they are now
            continue
        assert "$__timeFilter(" in query.text or "$__timeFrom()" in query.text, query.title
