"""Tests of the challenger command, by itself and with a real server."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from ml.product.samples import examples
from tests.fixtures.processes import alive, beside

ROOT = Path(__file__).parents[3]
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
NAME = "svc_rbf"
RUN = [sys.executable, "-m", "flask", "--app", "webapp", "challenger", "run"]


def test_run_once_prints_the_number_of_scores(decide_all, applications, another_app):
    decide_all(applications[:3])
    with another_app(challenger=NAME) as desk:
        for expected in ("3 decisions", "0 decisions"):
            done = desk.test_cli_runner().invoke(args=["challenger", "run", "--once"])
            assert (done.exit_code, done.stderr) == (0, "")
            assert done.stdout == f"{expected} scored by {NAME}\n"


@ON_SQLITE
@pytest.mark.parametrize("name", ["", "svc_linear", "nobody", "../svc_rbf"])
def test_run_with_an_invalid_name(name, another_app):
    with another_app(challenger=name) as desk:
        done = desk.test_cli_runner().invoke(args=["challenger", "run", "--once"])
    assert (done.exit_code, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: LOAN_CHALLENGER: ")
    assert line.endswith(f"There are: {NAME}.")
    assert name in line


@pytest.fixture
def environment(config):
    """The environment of a command with the same settings as the application."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("LOAN_", "PROMETHEUS_"))}
    return {
        **clean,
        "LOAN_INSTANCE": str(config.instance),
        "LOAN_BUNDLE": str(config.bundle),
        "LOAN_DATABASE_URL": config.database_url,
        "LOAN_CHALLENGER": NAME,
    }


def test_run_continues_after_an_outage(
    config, decide_all, applications, query, environment, tmp_path, until
):
    def scores():
        return query("SELECT count(*) FROM challenger_scores")[0][0]

    log = tmp_path / "log"
    query("ALTER TABLE challenger_scores RENAME TO away")
    decide_all(applications[:1])
    command = [*RUN, "--parent", str(os.getpid())]
    with log.open("w") as errors:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=errors)
    until(lambda: "waits for the database" in log.read_text())
    decide_all(applications[1:3])
    query("ALTER TABLE away RENAME TO challenger_scores")
    until(lambda: scores() == 3)
    until(lambda: "the database answers again" in log.read_text())
    if config.database_url:
        query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    decide_all(applications[3:5])
    until(lambda: scores() == 5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    lines = log.read_text().splitlines()
    assert len([line for line in lines if "waits for the database" in line]) == 1
    assert len(lines) <= 4, lines


@ON_SQLITE
def test_run_ends_with_the_process_that_started_it(
    decide_all, applications, environment, query, until
):
    decide_all(applications[:1])
    code = (
        "import os, subprocess, sys\n"
        f"run = [*{RUN!r}, '--parent', str(os.getpid())]\n"
        "print(subprocess.Popen(run, stdin=subprocess.DEVNULL, stdout=2).pid, flush=True)\n"
        "sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, **pipes
    ) as parent:
        number = int(parent.stdout.readline())
        until(lambda: query("SELECT count(*) FROM challenger_scores") == [(1,)])
        assert alive(number)
        parent.kill()
    until(lambda: not alive(number))


def scored(server):
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    counts = [x for x in lines if x.startswith("loan_challenger_decisions_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in counts)


@pytest.fixture
def posting(product):
    """Post new applications to a server, and assert that it decides each of them."""

    def post(server, key, count):
        for application in examples(product, count=count, seed=3):
            request = urllib.request.Request(
                f"{server.url}/api/v1/decisions",
                json.dumps(application).encode(),
                {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 201

    return post


@ON_POSTGRESQL
def test_challenger_beside_a_real_server(serve, database_url, posting, tmp_path, until):
    folder = tmp_path / "metrics"
    settings = {"LOAN_CHALLENGER": NAME, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    with serve(database_url, **settings) as server:
        key = server.flask("api-keys", "create", "load")
        posting(server, key, 20)
        until(lambda: scored(server) == 20)
        [first] = beside(server, "challenger")
        assert not list(folder.glob(f"*_{first}.db"))

        server.process.send_signal(signal.SIGHUP)
        until(lambda: beside(server, "challenger") not in ([], [first]))
        assert not alive(first)
        [second] = beside(server, "challenger")
        posting(server, key, 5)
        until(lambda: scored(server) == 25)

    assert not alive(second)


@ON_SQLITE
def test_challenger_that_is_killed_is_restarted(serve, database_url, posting, tmp_path, until):
    settings = {"LOAN_CHALLENGER": NAME, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    with serve(database_url, **settings) as server:
        key = server.flask("api-keys", "create", "load")
        for count in (3, 6):
            [killed] = until(lambda: beside(server, "challenger"))
            os.kill(killed, signal.SIGKILL)
            until(lambda number=killed: not alive(number))
            posting(server, key, 3)  # without a challenger, decisions are still made
            until(lambda expected=count: scored(server) == expected)
        log = (tmp_path / "gunicorn.log").read_text()
        pauses = re.findall("challenger ended; it restarts in ([0-9]+) s", log)
        assert pauses == ["1", "2"]
        [last] = beside(server, "challenger")
        os.kill(server.process.pid, signal.SIGKILL)  # the challenger must end too
        until(lambda: not alive(last))
