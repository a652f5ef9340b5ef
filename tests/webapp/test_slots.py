"""Tests of webapp/slots.py: the limit of requests at once, also when none of them ends."""

import json
import os
import re
import signal
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from time import monotonic

import psycopg
import pytest

from webapp import slots
from webapp.slots import Slots

THREADS = 2
PROMPT = 4.0  # seconds, the timeout of the container's health check


@pytest.fixture
def hurry(monkeypatch):
    monkeypatch.setattr(slots, "PATIENCE", 0.2)


def test_take_gives_up_if_no_slot_moves(hurry):
    few = Slots(1)
    assert few.take()
    assert not few.take()
    few.give_back()
    assert few.take()


def test_take_waits_while_slots_move(monkeypatch):
    """Of sixteen threads for two slots, most wait longer than PATIENCE, and none is refused."""
    monkeypatch.setattr(slots, "PATIENCE", 0.5)
    few = Slots(2)

    def work(_):
        taken = few.take()
        Event().wait(0.2)
        few.give_back()
        return taken

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(16)))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_slots_are_given_back(app, client, post, granted):
    slots = app.extensions["slots"]
    count = slots._free.qsize()
    for path in ("/login", "/nowhere", "/healthz", "/readyz", "/metrics", "/decisions"):
        client.get(path)
        assert slots._free.qsize() == count, path
    assert post(granted).status_code == 201
    assert post(granted | {"loan_amount": -1}).status_code == 422
    assert slots._free.qsize() == count


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_request_without_a_slot_is_answered(hurry, app, client, post, granted):
    for _ in range(app.extensions["slots"]._free.qsize()):
        assert app.extensions["slots"].take()
    answer = post(granted)
    assert answer.status_code == 503
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["Retry-After"]
    assert client.get("/login").status_code == 503
    assert client.get("/readyz").json == {"database": False, "bundle": True, "secret": True}
    assert "loan_database_up 0.0" in client.get("/metrics").text
    assert client.get("/healthz").status_code == 200


@contextmanager
def stopped(postgresql):
    """Stop every process of a PostgreSQL server until the block ends."""
    with psycopg.connect(postgresql) as connection:
        [folder] = connection.execute("SHOW data_directory").fetchone()
    master = int(Path(folder, "postmaster.pid").read_text().splitlines()[0])
    children = Path(f"/proc/{master}/task/{master}/children").read_text()
    processes = [master, *map(int, children.split())]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with suppress(ProcessLookupError):  # it ended before it was stopped
                os.kill(process, signal.SIGCONT)


def connections(url):
    """Return whether the service has a connection for every slot."""
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(url) as connection:
        query = f"SELECT count(*) FROM pg_stat_activity WHERE {others}"
        return connection.execute(query).fetchone() == (THREADS,)


def get(server, path):
    """Return an answer's status and body, and how many seconds it took."""
    started = monotonic()
    try:
        with urllib.request.urlopen(f"{server.url}{path}", timeout=60) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, body = error.code, error.read()
    return status, body.decode(), monotonic() - started


def test_service_answers_while_the_database_hangs(serve, new_postgresql_database, until):
    url = new_postgresql_database
    settings = {"LOAN_THREADS": str(THREADS), "workers": 1}
    with serve(url, **settings) as server, ThreadPoolExecutor(3 * THREADS) as pool:
        until(lambda: list(pool.map(get, [server] * 9, ["/readyz"] * 9)) and connections(url))
        with stopped(url):
            asked = [pool.submit(get, server, "/readyz") for _ in range(3 * THREADS)]
            until(lambda: sum(f.done() for f in asked) == 2 * THREADS)  # the others hang
            for _ in range(3):
                status, body, seconds = get(server, "/healthz")
                assert (status, json.loads(body)) == (200, {"status": "up"})
                assert seconds < PROMPT
            status, body, seconds = get(server, "/readyz")
            assert (status, json.loads(body)["database"]) == (503, False)
            assert seconds < PROMPT
            status, body, seconds = get(server, "/metrics")
            assert re.search("^loan_database_up 0.0$", body, flags=re.M)
            assert seconds < PROMPT
            assert get(server, "/api/v1/models/current")[0] == 503
        until(lambda: all(f.done() for f in asked))
        assert get(server, "/readyz")[0] == 200
