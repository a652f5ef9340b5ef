"""Tests of Alertmanager as compose starts it: what is sent to the webhook, and when."""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.fixtures.machine import need
from tests.fixtures.ports import free_port, reachable

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "alertmanager"
INSTALL = "apt-get install prometheus-alertmanager"
DOWN, SLOW = "LoanDeskDown", "LoanDecisionsSlow"
SECONDS = 30
Sent = dict[str, Any]


@dataclass(frozen=True)
class Webhook:
    """A server that keeps what is sent to it."""

    url: str
    received: Queue[Sent]

    def next(self, seconds: float = SECONDS) -> list[str]:
        """Return the names of the alerts of the next message; nothing if none comes."""
        try:
            message = self.received.get(timeout=seconds)
        except Empty:
            return []
        return sorted(alert["labels"]["alertname"] for alert in message["alerts"])


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    received: Queue[Sent] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Webhook(f"http://127.0.0.1:{server.server_port}/hook?key=1&more=a%20b", received)
        server.shutdown()


@dataclass(frozen=True)
class Alertmanager:
    """A running Alertmanager."""

    url: str
    configuration: Path

    def send(self, name: str, severity: str, **more: str) -> None:
        """Send an alert, as Prometheus does."""
        labels = {"alertname": name, "severity": severity, "job": "loan-desk", **more}
        end = datetime.now(UTC) + timedelta(minutes=5)
        body = json.dumps([{"labels": labels, "endsAt": end.isoformat()}]).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v2/alerts", body, headers)
        urllib.request.urlopen(request, timeout=10).close()

    def silenced(self) -> dict[tuple[str, str], bool]:
        """Return which alerts it has, by name and replica, and whether another silences them."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            found = json.load(answer)
        return {
            (a["labels"]["alertname"], a["labels"].get("replica", "")): bool(
                a["status"]["inhibitedBy"]
            )
            for a in found
        }


def started(
    folder: Path, tmp_path: Path, url: str, *arguments: str
) -> tuple[list[str], dict[str, str]]:
    """Return the command and the variables with which compose starts Alertmanager."""
    program = need("prometheus-alertmanager", INSTALL)
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    if not (programs / "alertmanager").exists():
        (programs / "alertmanager").symlink_to(program)  # its name in the image
    path = f"{programs}:{os.environ['PATH']}"
    environment = {"PATH": path, "TMPDIR": str(tmp_path), "ALERT_WEBHOOK_URL": url}
    return ["/bin/sh", str(folder / "start.sh"), *arguments], environment


@pytest.fixture
def alertmanager(tmp_path: Path, compose: Any) -> Callable[..., Any]:
    """Start Alertmanager with a webhook, or with none."""

    @contextmanager
    def start(url: str = "", *, folder: Path = FOLDER) -> Iterator[Alertmanager]:
        address = f"127.0.0.1:{free_port()}"
        [cluster] = [c for c in compose["services"]["alertmanager"]["command"] if "cluster" in c]
        more = [f"--storage.path={tmp_path / 'kept'}", f"--web.listen-address={address}", cluster]
        command, environment = started(folder, tmp_path, url, *more)
        with (tmp_path / "alertmanager.log").open("w") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            end = time.monotonic() + SECONDS
            while not reachable(f"http://{address}/-/ready"):
                assert process.poll() is None, (tmp_path / "alertmanager.log").read_text()
                assert time.monotonic() < end
            yield Alertmanager(f"http://{address}", tmp_path / "alertmanager.yml")
        finally:
            process.terminate()
            process.wait(SECONDS)

    return start


def test_critical_alerts_are_sent_at_once_and_warnings_later(alertmanager, webhook):
    with alertmanager(webhook.url) as manager:
        manager.send(SLOW, "warning")
        manager.send("LoanFieldMoved", "warning")
        manager.send("LoanCanaryWrong", "critical")
        manager.send("LoanAuditLogBad", "critical")
        both = [webhook.next(), webhook.next()]
        assert sorted(both) == [["LoanAuditLogBad"], ["LoanCanaryWrong"]]
        assert webhook.next(2) == []
        assert (SLOW, "") in manager.silenced()


def test_warnings_are_sent_together(alertmanager, webhook, tmp_path):
    folder = tmp_path / "quick"
    shutil.copytree(FOLDER, folder)
    routes = (folder / "routes.yml").read_text()
    assert routes.count("group_wait: 5m") == 1
    (folder / "routes.yml").write_text(routes.replace("group_wait: 5m", "group_wait: 3s"))
    with alertmanager(webhook.url, folder=folder) as manager:
        for name in (SLOW, "LoanFieldMoved"):
            manager.send(name, "warning")
        assert webhook.next() == [SLOW, "LoanFieldMoved"]


def test_down_silences_the_rest_of_its_replica(alertmanager, webhook):
    with alertmanager(webhook.url) as manager:
        manager.send(DOWN, "critical", replica="1")
        assert webhook.next() == [DOWN]
        manager.send("LoanNotStored", "critical", replica="1")
        manager.send("LoanNotStored", "critical", replica="2")
        assert webhook.next() == ["LoanNotStored"]
        assert webhook.next(2) == []
        silenced = manager.silenced()
        assert silenced[DOWN, "1"] is False
        assert silenced["LoanNotStored", "1"] is True
        assert silenced["LoanNotStored", "2"] is False


def test_a_database_that_is_down_silences_what_follows_from_it(alertmanager, webhook):
    with alertmanager(webhook.url) as manager:
        manager.send("LoanDatabaseDown", "critical")
        assert webhook.next() == ["LoanDatabaseDown"]
        manager.send("LoanErrorBudgetBurnsFast", "critical")
        manager.send("LoanCanaryWrong", "critical")
        assert webhook.next() == ["LoanCanaryWrong"]
        assert manager.silenced()["LoanErrorBudgetBurnsFast", ""] is True


def test_without_a_webhook_alerts_are_only_shown(alertmanager):
    with alertmanager() as manager:
        manager.send(DOWN, "critical")
        assert manager.silenced() == {(DOWN, ""): False}
        assert "webhook" not in manager.configuration.read_text()


@pytest.mark.parametrize(
    "url", ["hook", "ftp://host/x", 'http://host/"', "http://ho st", "http://é"]
)
def test_what_is_not_a_url_stops_the_start(tmp_path, url):
    command, environment = started(FOLDER, tmp_path, url)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "ALERT_WEBHOOK_URL is not the URL of a webhook\n"


def test_prometheus_sends_its_alerts_to_alertmanager(alertmanager, webhook, tmp_path):
    """With the configuration of compose, but with a rule that fires at once."""
    program = need("prometheus", "apt-get install prometheus")
    configuration = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())
    labels = {"severity": "critical", "job": "loan-desk"}
    rule = {"alert": DOWN, "expr": "vector(1)", "labels": labels}
    groups = {"groups": [{"name": "now", "interval": "1s", "rules": [rule]}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(groups))
    configuration["rule_files"] = ["rules.yml"]
    with alertmanager(webhook.url) as manager:
        [known] = configuration["alerting"]["alertmanagers"]
        [targets] = known["static_configs"]
        assert targets == {"targets": ["alertmanager:9093"]}
        targets["targets"] = [manager.url.removeprefix("http://")]
        file = tmp_path / "prometheus.yml"
        file.write_text(yaml.safe_dump(configuration))
        options = [f"--config.file={file}", f"--storage.tsdb.path={tmp_path / 'prometheus'}"]
        again = "--rules.alert.resend-delay=1s"  # it finds Alertmanager after its first look
        listen = f"--web.listen-address=127.0.0.1:{free_port()}"
        with (tmp_path / "prometheus.log").open("w") as log:
            process = subprocess.Popen([program, *options, again, listen], stdout=log, stderr=log)
        try:
            assert webhook.next() == [DOWN]
        finally:
            process.terminate()
            process.wait(SECONDS)
