"""Weigh and time every page of the desk: python -m bench.pages [--write].

The pages are those that tests/browser opens, for the role that sees the most of each, on an
invented history of decisions.
"""

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import click
from playwright.sync_api import Browser, Page, StorageState, sync_playwright

from bench.machine import foreign_cores, processes, usage
from bench.report import machine, write_section
from bench.servers import clean_environment, free_port, is_ready
from ml.product.files import read_product
from tests.browser.conftest import FLAGS, sign_in_once
from tests.browser.examples import OWN, PAGES, Stored, store_examples
from tests.browser.words import Words
from webapp.people.access import ACCESS, ROLES

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "docs/benchmarks.md"
NAME = "bench.pages"
CHROMIUM = "/usr/bin/chromium"
MAX_COLD_KB, MAX_WARM_KB, MAX_MS = 100, 15, 30
HEAD = """\
| page | role | cold | warm | server, median | slowest | CPU a request |
| --- | --- | ---: | ---: | ---: | ---: | ---: |"""


@dataclass(frozen=True)
class Weighed:
    """What a page costs: all that is transferred for it, and how long its HTML takes."""

    address: str
    role: str
    cold_kb: float
    warm_kb: float
    took_ms: list[float]
    cpu_ms: float  # of the service for a request, whatever others do on the machine

    @property
    def fits(self) -> bool:
        return (
            self.cold_kb <= MAX_COLD_KB
            and self.warm_kb <= MAX_WARM_KB
            and median(self.took_ms) <= MAX_MS
        )

    def row(self) -> str:
        mark = "" if self.fits else " \\*"
        return (
            f"| `{self.address}`{mark} | {self.role} | {self.cold_kb:.0f} kB | "
            f"{self.warm_kb:.1f} kB | {median(self.took_ms):.1f} ms | {max(self.took_ms):.1f} ms | "
            f"{self.cpu_ms:.0f} ms |"
        )


def run_flask(environment: dict[str, str], *arguments: str) -> str:
    """Run a flask command, and return its last line."""
    command = [sys.executable, "-m", "flask", "--app", "webapp", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return (done.stdout.strip().splitlines() or [""])[-1].strip()


@contextmanager
def served(environment: dict[str, str], port: int) -> Iterator[tuple[str, int]]:
    """Run the service until the block ends, and yield its address and process id."""
    command = [sys.executable, "-m", "gunicorn"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        while not is_ready(port):
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait()


def weigh(page: Page, address: str) -> float:
    """Open an address, and return the kilobytes that the network transferred for it."""
    received: list[float] = []
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.on("Network.loadingFinished", lambda e: received.append(e["encodedDataLength"]))
    page.goto(address)
    network.send("Network.disable")  # answered after every event before it
    network.detach()
    return sum(received) / 1000


def time_requests(address: str, state: StorageState, rounds: int) -> list[float]:
    """Ask for an address again and again on one connection; return the milliseconds of each."""
    parts = urlsplit(address)
    cookies = "; ".join(f"{c['name']}={c['value']}" for c in state["cookies"])
    connection = http.client.HTTPConnection(parts.netloc)
    path = f"{parts.path}?{parts.query}"
    took = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        connection.request("GET", path, headers={"Cookie": cookies, "Accept-Encoding": "gzip"})
        connection.getresponse().read()
        took.append((time.perf_counter() - start) * 1000)
    connection.close()
    return took[1:]  # the first may have opened a connection to the database


def measure(
    browser: Browser,
    service: tuple[str, int],
    states: dict[str, StorageState],
    stored: Stored,
    rounds: int,
) -> Iterator[Weighed]:
    url, process = service
    for endpoint, addresses in PAGES.items():
        if not ACCESS.get(endpoint):
            continue
        role = OWN.get(endpoint) or max(ACCESS[endpoint], key=ROLES.index)
        for address in addresses:
            where = url + stored.fill(address)
            context = browser.new_context(storage_state=states[role])
            page = context.new_page()
            cold, warm = weigh(page, where), weigh(page, where)
            context.close()
            before = usage([process]).ours
            took = time_requests(where, states[role], rounds)
            cpu = (usage([process]).ours - before) / (rounds + 1) * 1000
            yield Weighed(address, role, cold, warm, took, cpu)


def children() -> list[int]:
    """Return the process ids of the service and of the browser."""
    return [pid for pid, (parent, _) in processes().items() if parent == os.getpid()]


def report(weighed: list[Weighed], facts: list[str]) -> str:
    limits = f"required: {MAX_COLD_KB} kB cold, {MAX_WARM_KB} kB warm, {MAX_MS} ms"
    missed = sum(not one.fits for one in weighed)
    result = f"Marked \\* ({missed}): needs more." if missed else "Every page needs less."
    return "\n".join(
        [f"{', '.join(facts)}; {limits}. {result}", "", HEAD, *(one.row() for one in weighed)]
    )


def weigh_all(
    browser: Browser,
    service: tuple[str, int],
    passwords: dict[str, str],
    folder: Path,
    rounds: int,
) -> Iterator[Weighed]:
    """Enter the examples, and weigh and time every page."""
    words = Words("en", read_product("consumer_credit"))
    url, _ = service
    states = {
        role: sign_in_once(browser, url, words, f"only-{role}", password)
        for role, password in passwords.items()
    }
    pages = {
        role: browser.new_context(locale="en-GB", storage_state=state).new_page()
        for role, state in states.items()
    }
    stored = store_examples(pages, words, url, folder)
    yield from measure(browser, service, states, stored, rounds)


@click.command()
@click.option("--decisions", default=2_000, show_default=True)
@click.option("--rounds", default=20, show_default=True, help="Requests that are timed.")
@click.option("--write", is_flag=True, help="Write the table into docs/benchmarks.md.")
def main(decisions: int, rounds: int, *, write: bool) -> None:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        environment = clean_environment() | {
            "LOAN_INSTANCE": f"{folder}/instance",
            "LOAN_BIND": f"127.0.0.1:{port}",
            "LOAN_MONITOR": "no",  # the demo holds its results
        }
        run_flask(environment, "prepare")
        run_flask(environment, "demo", "--decisions", str(decisions), "--days", "90")
        passwords = {
            role: run_flask(environment, "users", "create", f"only-{role}", "--role", role)
            for role in ROLES
        }
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with served(environment, port) as service:
            before, weighed = usage(children()), []
            for one in weigh_all(browser, service, passwords, Path(folder), rounds):
                click.echo(one.row())
                weighed.append(one)
            others = foreign_cores(before, usage(children()))
        browser.close()
    if write:
        facts = [
            *machine(),
            f"{decisions:,} decisions, SQLite",
            f"{rounds} requests for each page",
            f"other processes used {others:.1f} cores",
        ]
        write_section(REPORT, NAME, report(weighed, facts))


if __name__ == "__main__":
    main()
