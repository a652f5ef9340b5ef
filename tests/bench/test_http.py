"""Tests a short run of the benchmark over HTTP."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.machine import need

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def quick(bundle):
    """What a short run prints."""
    need("wrk", "apt-get install wrk")
    only = "^(echo-sqlite|desk-sqlite)$"
    command = ["-m", "bench.http", "--bundle", bundle.directory, "--quick", "--only", only]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"LOAN_THREADS": "0"},  # no setting of the person applies
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_quick_run_measures_both_servers(quick):
    head, *servers = quick[quick.index("| server") :].splitlines()
    assert head.startswith("| server | requests/s | p50 | p99 |")
    assert [row.split(" | ")[0] for row in servers[1:]] == [
        "| Flask echo, one durable insert, SQLite",
        "| Loan Desk, SQLite",
    ]


def test_quick_run_shows_figures_of_these_servers_only(quick):
    rows = [line for line in quick.splitlines() if "≥" in line or "≤" in line]
    assert len(rows) == 4
    assert all(row.startswith("| SQLite") for row in rows)
    assert "echo with one durable insert | ≥ 1 × | ≥ 1.5 × | " in quick
