"""Tests of every panel's PromQL query, with a real Prometheus that scrapes the service."""

import json
import re
import time
import urllib.request
from collections.abc import Callable
from math import isnan
from typing import Any
from urllib.error import HTTPError

import psycopg
import pytest

from ml.product.samples import examples
from tests.fixtures.ports import free_port, reachable

PROMETHEUS = "loan-desk-prometheus"
NAME = re.compile(r"\b(?:flask|loan)_\w+")
OFFERED = re.compile(r"label_values\((.*), (\w+)\)")


def _ask(url: str, key: str, application: dict[str, Any]) -> int:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(application).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code


@pytest.fixture
def expressions_of(dashboards) -> Callable[[str], dict[str, list[str]]]:
    """Return the PromQL of a dashboard's panels by title."""

    def find(uid: str) -> dict[str, list[str]]:
        [panels] = [d["panels"] for d in dashboards if d["uid"] == uid]
        by_title: dict[str, list[str]] = {}
        for panel in panels:
            for target in panel.get("targets", []):
                if target["datasource"]["uid"] == PROMETHEUS:
                    by_title.setdefault(panel["title"], []).append(target["expr"])
        return by_title

    return find


@pytest.fixture
def expressions(expressions_of) -> dict[str, list[str]]:
    """The PromQL of the dashboard Service, and of the service's panels on the dashboard Model."""
    return {**expressions_of("loan-service"), **expressions_of("loan-model")}


def test_panels_while_the_service_runs_and_after_its_end(
    serve, watch, database, product, expressions, dashboards
):
    sent = []
    applications = examples(product, count=8, seed=11)
    with watch([]) as idle:
        assert idle.query(expressions["Service"][0]) == []  # the panel shows it as not watched
    with serve(database.desk, owner_url=database.owner) as server:
        key = server.flask("api-keys", "create", "core-banking")
        place = server.url.removeprefix("http://")
        # Two addresses of one service, as when the container's port is published on the host.
        alias = place.replace("127.0.0.1", "localhost")

        def use_it() -> None:
            url = f"{server.url}/api/v1/decisions"
            sent.extend(_ask(url, key, application) for application in applications)
            sent.append(_ask(url, "wrong", applications[0]))
            assert reachable(f"{server.url}/login")

        with watch([place, alias, f"127.0.0.1:{free_port()}"]) as watcher:
            _check_while_it_runs(watcher, use_it, expressions)
            assert set(sent) == {201, 401}
            _check_counts(watcher, sent.count(201), database)
            _check_names(server.url, expressions)
            _check_routes(watcher, dashboards)
            server.process.terminate()
            server.process.wait(30)
            _check_after_its_end(watcher, expressions)


def _check_while_it_runs(watcher, use_it, expressions):
    service, errors, away = expressions["Service"][0], *expressions["Errors"]
    counter = "flask_http_request_duration_seconds_count"
    seen = f'rate({counter}{{url_rule!~"/metrics|/.+z"}}[$__rate_interval])'
    each = f"sum by (instance) ({seen})"
    alike = f"count({each} > 0.7 * scalar(max({each}))) == 2"  # both have about the same rate
    refused = watcher.until(lambda: watcher.value(alike) and watcher.value(away), use_it)
    now = time.time()
    answers = {t: [watcher.query(e, time=now) for e in es] for t, es in expressions.items()}
    assert [title for title, series in answers.items() if not all(series)] == []
    assert watcher.value(service) == 1
    assert watcher.value(expressions["Database"][0]) == 1
    assert 0 < refused < 0.5
    assert watcher.value(errors) == 0  # not "no data"
    assert watcher.value(expressions["Availability"][0]) == 1
    assert watcher.value(expressions["Error budget left"][0]) == 1
    assert watcher.value(expressions["Alerts"][0]) == 0
    assert watcher.value(expressions["Requests in progress"][0]) > 0

    rates = {
        s["metric"]["url_rule"]: float(s["value"][1]) for s in answers["Request rate by route"][0]
    }
    assert rates["/api/v1/decisions"] > 0
    assert rates["/login"] > 0
    assert not {"/metrics", "/healthz", "/readyz"} & set(rates)
    # Requests that Prometheus reads from two addresses of one service count once.
    twice = float(watcher.query(f"sum({seen})", time=now)[0]["value"][1])
    assert 0.4 * twice < sum(rates.values()) < 0.8 * twice

    latency = answers["95th percentile of latency by route"][0]
    seconds = {s["metric"]["url_rule"]: float(s["value"][1]) for s in latency}
    assert 0 < seconds["/api/v1/decisions"] < 10


def _check_counts(watcher, decided, database):
    """Check that Prometheus has the same count as the database."""
    total = "sum(max without (instance) (loan_decisions_total))"
    watcher.until(lambda: watcher.value(total) == decided)
    with psycopg.connect(database.grafana) as connection:
        assert connection.execute("SELECT count(*) FROM v_decisions").fetchone() == (decided,)


def _check_names(url, expressions):
    named = {name for es in expressions.values() for e in es for name in NAME.findall(e)}
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
        known = set(NAME.findall(response.read().decode()))
    assert named
    assert named - known == set()


def _check_routes(watcher, dashboards):
    """Check what the variable offers."""
    variables = [v for d in dashboards for v in d["templating"]["list"]]
    [text] = [v["query"] for v in variables if v["name"] == "route"]
    selector, label = OFFERED.fullmatch(text).groups()
    offered = {s["metric"][label] for s in watcher.query(f"count by ({label}) ({selector})")}
    assert offered >= {"/api/v1/decisions", "/login"}
    assert not {"/metrics", "/healthz", "/readyz"} & offered


def _check_after_its_end(watcher, expressions):
    watcher.until(lambda: watcher.value(expressions["Service"][0]) == 0)
    assert watcher.value(expressions["Database"][0]) is None  # the panel shows it as unknown
    watcher.until(lambda: not any(_shown(watcher, e) for e in expressions["Errors"]))


def _shown(watcher, expression):
    value = watcher.value(expression)
    return value is not None and not isnan(value)


@pytest.mark.parametrize("uid", ["loan-service", "loan-model", "loan-model-well"])
def test_every_query_counts_only_the_service_and_each_replica_once(expressions_of, uid):
    for title, several in expressions_of(uid).items():
        for expression in several:
            names = NAME.findall(expression) + re.findall(r"\bup\b|\bALERTS\b", expression)
            assert expression.count('job="loan-desk"') == len(names), title
            function = r"(?:(?:rate|increase|resets)\()?"
            # What is read from the database is the same in all replicas.
            without = r"max without \(instance(?:, replica)?\)"
            once = re.findall(rf"{without} \({function}(?:flask|loan)_", expression)
            assert len(once) == len(NAME.findall(expression)), title


def test_panels_of_the_model_on_an_invented_history(serve, watch, expressions_of, dashboards):
    expressions = expressions_of("loan-model-well")
    [panels] = [d["panels"] for d in dashboards if d["uid"] == "loan-model-well"]
    words = {p["title"]: p["fieldConfig"]["defaults"]["mappings"] for p in panels}
    with serve(LOAN_OBSERVATION_DAYS="60") as server:
        place = server.url.removeprefix("http://")
        with watch([place, place.replace("127.0.0.1", "localhost")]) as watcher:
            watcher.until(lambda: watcher.value(expressions["Does it decide?"][0]) == 1)
            assert not watcher.query(expressions["Are the scores as they were?"][0])
            server.flask("demo", "--days", "120", "--decisions", "24000")
            watcher.until(lambda: watcher.query(expressions["Are the scores as they were?"][0]))
            watcher.until(lambda: watcher.query(expressions["Evidence over time"][1]))
            shown = {t: watcher.value(expressions[t][0]) for t in words if words[t]}
            assert {t: _word(words[t], value) for t, value in shown.items()} == {
                "Does it decide?": "Yes",
                "Are the applications like those it learned from?": "No",
                "Are the scores as they were?": "No",
                "Are the probabilities right?": "No",
                "Does the watch keep up?": "Yes",
            }
            fields = watcher.query(expressions["How far each field has moved"][0])
            assert "loan_amount" in {series["metric"]["field"] for series in fields}
            _check_names(server.url, expressions)
            server.process.terminate()
            server.process.wait(30)
            watcher.until(lambda: watcher.value(expressions["Does it decide?"][0]) == 0)


def _word(mappings, value):
    """Return the text that Grafana shows for a value."""
    for mapping in mappings:
        options = mapping["options"]
        if mapping["type"] == "value" and f"{value:g}" in options:
            return options[f"{value:g}"]["text"]
        low, high = options.get("from"), options.get("to")
        if (
            mapping["type"] == "range"
            and (low is None or value >= low)
            and (high is None or value <= high)
        ):
            return options["result"]["text"]
    raise AssertionError(f"no word for {value}")
