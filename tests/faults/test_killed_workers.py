"""Workers killed under load: nothing is lost or doubled, and the counter stays exact."""

import os
import random
import signal
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from threading import Event, Thread
from time import monotonic

from prometheus_client.parser import text_string_to_metric_families

from tests.faults.stored import COUNT
from tests.fixtures.store import ask

EVERY_SECONDS = 1.5
SHORT_SECONDS = 4.6  # three kills


def decisions_counted(server):
    """Return the number of decisions by /metrics."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    assert any(s.name == "loan_database_up" and s.value == 1 for f in families for s in f.samples)
    return sum(s.value for f in families for s in f.samples if s.name == "loan_decisions_total")


class Scrapes:
    """Reads the counter between two counts of the table, each second until it is stopped."""

    def __init__(self, desk, every):
        self._desk, self._every, self._stop = desk, every, Event()
        self.done, self.mismatches, self._thread = 0, [], Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(self._every):
            [(before,)] = ask(self._desk.where, COUNT)
            with suppress(OSError, HTTPException):  # the worker was killed
                counted = decisions_counted(self._desk.server)
                [(after,)] = ask(self._desk.where, COUNT)
                self.done += 1
                if not before <= counted <= after:
                    self.mismatches.append((before, counted, after))


def test_killed_workers_lose_nothing(desk, seconds, long_form, note, database_url):
    lasts, kills, recovery = seconds(SHORT_SECONDS), 0, 0.0
    until = monotonic() + lasts
    with desk.load as load, Scrapes(desk, 1 if long_form else 0.3) as scrapes:
        while monotonic() + EVERY_SECONDS < until:
            Event().wait(EVERY_SECONDS)
            os.kill(random.choice(desk.server.process.children()), signal.SIGKILL)
            kills += 1
            recovery = max(recovery, load.first_success_after(monotonic()))
    found = desk.check()
    assert kills >= 2
    assert load.cut > 0
    assert decisions_counted(desk.server) == found.stored
    assert scrapes.mismatches == []
    assert scrapes.done > 0
    name = "PostgreSQL" if database_url else "SQLite"
    note(
        f"worker killed, {name} ({scrapes.done} scrapes, 0 mismatches)",
        *(load, found),
        lasted=lasts,
        faults=kills,
        recovery=recovery,
    )
