"""Tests that a batch is stored as a whole or not at all, whatever ends the one who decides it."""

import io
import os
import re
import signal
import urllib.request
from http.cookiejar import CookieJar
from urllib.parse import urlencode

import pytest

from tests.fixtures.locks import Hold
from webapp.batch import service, worker
from webapp.serving.served import model

MANY = 10_000
TABLES = ("decisions", "decision_contents", "batches", "batch_decisions")
LONG_AGO = "2026-01-01 00:00:00.000000"


class Clerk:
    """A clerk's session with a running service."""

    def __init__(self, server):
        self.server = server
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        self.opener = urllib.request.build_opener(cookies)
        password = server.flask("users", "create", "counter")
        form = {"username": "counter", "password": password}
        self.post("/login", urlencode({**form, "csrf_token": self.token("/login")}).encode())

    def read(self, path):
        with self.opener.open(f"{self.server.url}{path}", timeout=30) as answer:
            return answer.read().decode()

    def post(self, path, body, kind="application/x-www-form-urlencoded"):
        request = urllib.request.Request(f"{self.server.url}{path}", body, {"Content-Type": kind})
        with self.opener.open(request, timeout=60) as answer:
            return answer.url.removeprefix(self.server.url)

    def token(self, path="/batches"):
        return re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.read(path))[1]

    def upload(self, text):
        """Send a file, and return the address of its page."""
        boundary = "x" * 32
        body = io.BytesIO()
        for name, value in (("csrf_token", self.token()), ('file"; filename="june.csv', text)):
            body.write(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode())
            body.write(f"\r\n\r\n{value}\r\n".encode())
        body.write(f"--{boundary}--\r\n".encode())
        return self.post("/batches", body.getvalue(), f"multipart/form-data; boundary={boundary}")

    def decide(self, address):
        self.post(f"{address}/decide", urlencode({"csrf_token": self.token()}).encode())


@pytest.fixture
def many(write, applications):
    """A file of as many applications as are accepted."""
    return write((applications * (MANY // len(applications) + 1))[:MANY])


@pytest.fixture
def stored(query_at, database_url, tmp_path):
    """Count the rows of a server's tables that hold batches."""
    where = database_url or tmp_path / "served"
    return lambda: [query_at(where, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]


def test_killed_in_the_middle_nothing_is_stored(
    serve, config, database_url, tmp_path, query_at, stored, many, until
):
    config = config.model_copy(update={"instance": tmp_path / "served"})
    with serve(database_url) as server:
        clerk = Clerk(server)
        address = clerk.upload(many)
        hold = Hold(config, until)
        clerk.decide(address)
        with hold():
            hold.wait()  # until the thread has something to write
            for number in server.process.children():
                os.kill(number, signal.SIGKILL)
            until(lambda: len(server.process.children()) == 2)
        assert stored() == [0, 0, 0, 0]
        query_at(
            database_url or config.instance, f"UPDATE checked_files SET seen_at = '{LONG_AGO}'"
        )
        assert "Deciding was interrupted. Nothing was stored." in clerk.read(address)
        clerk.decide(address)
        until(lambda: stored() == [MANY, MANY, 1, MANY])
        assert "Download the result" in clerk.read(address)


def test_worker_that_is_replaced_ends_its_batch_first(serve, database_url, stored, many, until):
    with serve(database_url) as server:
        clerk = Clerk(server)
        address = clerk.upload(many)
        before = set(server.process.children())
        clerk.decide(address)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: not before & set(server.process.children()))
        assert stored() == [MANY, MANY, 1, MANY]
        assert "Download the result" in clerk.read(address)


def test_other_decisions_are_made_meanwhile(upload, act, many, post, granted, query, signed_in):
    some = many.splitlines()[: MANY // 2 + 1]  # the test client leaves a larger file open
    address = upload("\n".join(some)).location
    act(address, "decide")
    made = 0
    while "Download the result" not in signed_in.get(address).text:
        assert post(granted).status_code == 201
        made += 1
    assert made > 1
    assert query("SELECT count(*) FROM decisions") == [(MANY // 2 + made,)]


def test_discarded_file_is_not_stored_by_a_thread_that_was_taken_for_dead(
    app, operator, write, applications, upload, act, query, caplog
):
    address = upload(write(applications)).location
    with app.app_context():
        applications = service.applications_of(1, operator=operator)
        rows, bundle = applications.read(model.rules), model.bundle
    query(f"UPDATE checked_files SET run = 'x', seen_at = '{LONG_AGO}'")
    assert act(address, "discard").status_code == 303
    worker._run(app, worker.Work(1, rows, bundle, operator, "x"))
    assert query("SELECT count(*) FROM decisions") == [(0,)]
    assert query("SELECT count(*) FROM batches") == [(0,)]
    assert "batch 1 was not stored: NotFound" in caplog.text


def test_failure_is_shown_and_logged_without_values(
    write, applications, upload, act, query, signed_in, until, caplog
):
    address = upload(write(applications, ["Dupont"] * len(applications))).location
    query("ALTER TABLE batch_decisions RENAME TO gone")
    act(address, "decide")
    until(lambda: "Deciding was interrupted." in signed_in.get(address).text)
    assert query("SELECT count(*) FROM decisions") == [(0,)]
    [logged] = [r.getMessage() for r in caplog.records if r.name == "webapp.batch.worker"]
    assert "batch 1 was not stored" in logged
    assert "Dupont" not in caplog.text
    query("ALTER TABLE gone RENAME TO batch_decisions")
    act(address, "decide")
    until(lambda: "Download the result" in signed_in.get(address).text)
    assert query("SELECT count(*) FROM decisions") == [(len(applications),)]
