"""Tests of the monitor's process beside the workers of a real server."""

import json
import os
import signal
import urllib.request
from datetime import timedelta

import pytest

from tests.fixtures.processes import alive, beside
from tests.fixtures.store import ask
from webapp.columns import now


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_monitor_runs_beside_the_workers(serve, database_url, tmp_path, until, granted):
    with serve(database_url, LOAN_MONITOR="yes") as server:
        where = database_url or tmp_path / "served"
        key = server.flask("api-keys", "create", "branches")
        [first] = until(lambda: beside(server, "monitor"))
        request = urllib.request.Request(
            f"{server.url}/api/v1/decisions",
            json.dumps(granted).encode(),
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 201
        yesterday = f"{now() - timedelta(days=1):%Y-%m-%d %H:%M:%S}.000000"
        facts = (
            "operator_id, channel, product, model, probability, threshold, model_decision, "
            "decision, basis, policy, amount, novelty"
        )
        ask(
            where,
            f"INSERT INTO decisions (id, created_at, {facts}) "
            f"SELECT 99, '{yesterday}', {facts} FROM decisions",
        )
        os.kill(first, signal.SIGKILL)  # a new one looks at all hours at once
        [second] = until(
            lambda: beside(server, "monitor") not in ([], [first]) and beside(server, "monitor")
        )
        until(lambda: ask(where, "SELECT decisions FROM score_evidence") == [(1,)])
        assert ask(where, "SELECT decisions, rows FROM watched_hours") == [(1, 0)]
    assert not alive(first)
    assert not alive(second)
    assert "monitor ended; it restarts in 1 s" in (tmp_path / "gunicorn.log").read_text()
