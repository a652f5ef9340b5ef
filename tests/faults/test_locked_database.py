"""The database is locked by another program for longer than the service waits for it."""

import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event
from time import monotonic

import psycopg

from webapp.database import sqlite_module

LONG_SECONDS, SHORT_SECONDS = 15, 7  # both longer than a request waits for its turn
HEALS_SECONDS = 2
HEALTH_SECONDS = 4
# Until any answer. A request waits for a thread of its process, for the transaction before its own,
# and in its own for the lock; on SQLite, processes wait for the lock one after the other.
BOUND_SECONDS = 25


@contextmanager
def locked(where):
    """Lock the database for a block, as another program can."""
    if isinstance(where, str):
        with psycopg.connect(where) as holder:
            holder.execute("LOCK TABLE decisions")
            yield
            holder.rollback()
        return
    file = where / "loan_desk.db"
    with closing(sqlite_module().connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


def health(url):
    """Return how many seconds /healthz takes."""
    started = monotonic()
    with urllib.request.urlopen(f"{url}/healthz", timeout=30) as answer:
        assert answer.status == 200
    return monotonic() - started


def test_locked_database_refuses_and_heals(desk, long_form, note, database_url):
    lasts, took = LONG_SECONDS if long_form else SHORT_SECONDS, []
    with desk.load as load, ThreadPoolExecutor(1) as pool:
        load.first_success_after(monotonic())
        with locked(desk.where):
            until = monotonic() + lasts
            while monotonic() < until:
                took.append(pool.submit(health, desk.server.url).result(30))
                Event().wait(0.2)
        recovery = load.first_success_after(monotonic())
        Event().wait(0.5)
    found = desk.check()
    name = "PostgreSQL: LOCK TABLE" if database_url else "SQLite: BEGIN IMMEDIATE"
    note(name, load, found, lasted=lasts, faults=1, recovery=recovery)
    assert load.refused[503] > 0
    assert max(took) < HEALTH_SECONDS
    assert load.slowest < BOUND_SECONDS
    assert recovery < HEALS_SECONDS
