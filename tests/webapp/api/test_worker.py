"""Tests of webapp/api/worker.py: connections that ask for decisions again share one thread."""

import json
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPResponse
from io import BufferedReader
from time import monotonic, sleep
from unittest.mock import Mock
from urllib.parse import urlsplit

import psycopg
import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import PollableMethodQueue, TConn

from webapp.api.messages import REQUEST_LINE as LINE, Response
from webapp.api.worker import DeskWorker, SharedThread
from webapp.database import sqlite_module

CONNECTIONS = 6
VARYING = ("Date", "X-Request-ID", "Location")  # header fields of an answer
OWN = ("id", "created_at")  # what an answer has of its own decision


class Answers(BufferedReader):
    """What a client has received, which may be more than one answer.

    An `HTTPResponse` reads ahead and closes what it reads from, so all of a connection read from
    the same buffer, and only the connection closes it.
    """

    def makefile(self, _mode):
        return self

    def close(self):
        pass


class Connection:
    """A kept connection of a client that sends bytes as it likes."""

    def __init__(self, url, key, application):
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=60)
        self._answers = Answers(self._socket.makefile("rb", buffering=0))
        self._key, self._application = key, application

    def request(self, application=None, *, key=None, **headers):
        body = json.dumps(self._application if application is None else application)
        given = {
            "Host": "desk",
            "Authorization": f"Bearer {key or self._key}",
            "Content-Type": "application/json",
            "Content-Length": len(body.encode()),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        return LINE + f"{lines}\r\n{body}".encode()

    def send(self, sent):
        self._socket.sendall(sent)

    def answer(self):
        """Return the status, the headers and the body of the next answer."""
        response = HTTPResponse(self._answers)
        response.begin()
        return response.status, response.headers, response.read()

    def ask(self, sent=None):
        self.send(sent or self.request())
        return self.answer()

    def flood(self, sent):
        """Send it until the service reads no more."""
        self._socket.settimeout(1)
        with suppress(TimeoutError):
            while True:
                self.send(sent)

    def ended(self):
        return self._answers.read(1) == b""

    def close(self):
        self._answers.raw.close()
        self._socket.close()


@pytest.fixture
def desk(serve, granted):
    """Start the service with one worker; return a function that opens connections.

    Each has had an answer, so the next one comes from the thread that they share.
    """

    @contextmanager
    def start(database_url="", count=CONNECTIONS, **settings):
        with serve(database_url, workers=1, **settings) as server, ExitStack() as stack:
            key = server.flask("api-keys", "create", "branches")
            opened = [Connection(server.url, key, granted) for _ in range(count)]
            for connection in opened:
                stack.callback(connection.close)
                assert connection.ask()[0] == 201
            yield server, opened

    return start


def moments(answers):
    assert {status for status, _, _ in answers} == {201}
    return {json.loads(body)["created_at"] for _, _, body in answers}


def test_requests_of_kept_connections_are_decided_together(desk, database_url):
    with desk(database_url, LOAN_THREADS="1") as (_, connections):  # others form no groups
        fewest = CONNECTIONS
        for _ in range(20):
            for connection in connections:
                connection.send(connection.request())
            fewest = min(fewest, len(moments([c.answer() for c in connections])))
    assert fewest == 1  # transaction


def test_each_request_of_a_group_gets_its_own_answer(desk, granted, refused):
    with desk() as (_, [first, again, other, unknown, invalid, no]):
        for i in range(10):
            key = f"same-{i}"
            first.send(first.request(Idempotency_Key=key))
            again.send(again.request(Idempotency_Key=key))
            other.send(other.request(refused, Idempotency_Key=key))
            unknown.send(unknown.request(key="ld_unknown"))
            invalid.send(invalid.request(granted | {"loan_amount": -1}))
            no.send(no.request(refused))
            answers = [c.answer() for c in (first, again, other, unknown, invalid, no)]
            assert [status for status, _, _ in answers[3:]] == [401, 422, 201]
            assert json.loads(answers[5][2])["decision"] == "refused"
            # One of the three has the key, and the others learn of it.
            by_status = sorted((s, h["Idempotency-Replayed"] or "") for s, h, _ in answers[:3])
            if answers[2][0] == 201:
                assert by_status == [(201, ""), (422, ""), (422, "")]
            else:
                assert by_status == [(201, ""), (201, "true"), (422, "")]
                assert answers[0][2] == answers[1][2]


def test_connection_can_be_used_for_anything_at_any_time(desk):
    page = b"GET /healthz HTTP/1.1\r\nHost: desk\r\n\r\n"
    with desk(count=1) as (_, [connection]):
        for _ in range(3):
            assert connection.ask()[0] == 201
            assert connection.ask(page)[0] == 200
        sleep(2.5)  # until gunicorn has it again
        assert connection.ask()[0] == 201
        for more in ({"Cookie": "a=b"}, {"Content_Type": "application/json; charset=UTF-8"}):
            assert connection.ask(connection.request(**more))[0] == 201


def test_requests_can_be_sent_without_waiting_for_answers(desk):
    page = b"GET /healthz HTTP/1.1\r\nHost: desk\r\n\r\n"
    with desk(count=1) as (_, [connection]):
        request = connection.request()
        sent = request + page + request + request
        for cut in range(0, len(sent), 61):  # the rest comes later
            connection.send(sent[:cut])
            sleep(0.001 * (cut % 3))
            connection.send(sent[cut:])
            sleep(0.01 * (cut % 4))  # so that several answers have come, or not
            assert [connection.answer()[0] for _ in range(4)] == [201, 200, 201, 201]


@pytest.mark.parametrize("refused", [{"Content_Type": "text/plain"}, {"Content_Encoding": "gzip"}])
def test_connection_is_kept_after_a_body_that_is_refused(desk, refused):
    with desk(count=1) as (_, [connection]):
        for size in (100, 70_000, 900_000):
            status = connection.ask(connection.request("x" * size, **refused))[0]
            assert status == (415 if size < 70_000 or "Content_Encoding" in refused else 413)
            assert connection.ask()[0] == 201


@pytest.mark.parametrize(("key", "wanted"), [(None, 201), ("ld_unknown", 401)])
def test_connection_is_closed_on_request(desk, key, wanted):
    with desk(count=1) as (_, [connection]):
        status, headers, _ = connection.ask(connection.request(key=key, Connection="close"))
        assert (status, headers["Connection"]) == (wanted, "close")
        assert connection.ended()


def test_slow_client_keeps_no_other_waiting(desk):
    with desk(count=4) as (_, [whole, *slow]):
        requests = [c.request() for c in slow]
        for cut, connection, request in zip((5, len(LINE) + 9, -1), slow, requests, strict=True):
            connection.send(request[:cut])
        for _ in range(5):
            started = monotonic()
            assert whole.ask()[0] == 201
            assert monotonic() - started < 1
        for cut, connection, request in zip((5, len(LINE) + 9, -1), slow, requests, strict=True):
            connection.send(request[cut:])
            assert connection.answer()[0] == 201


def test_clients_that_read_no_answers_keep_no_other_waiting(desk):
    with desk(count=3) as (_, [reading, decided, refused]):
        decided.flood(decided.request())
        refused.flood(refused.request(key="ld_unknown"))
        for _ in range(3):
            started = monotonic()
            assert reading.ask()[0] == 201
            assert monotonic() - started < 1


class Shared:
    """A shared thread with connections, in the place of a worker that it belongs to."""

    def __init__(self, stack, listener):
        self._stack, self._listener = stack, listener
        self.pool = stack.enter_context(ThreadPoolExecutor(1))
        self.worker = DeskWorker.__new__(DeskWorker)
        self.worker.alive, self.worker.max_keepalived = True, 100
        self.worker.tpool, self.worker.method_queue = self.pool, PollableMethodQueue()
        self.worker.method_queue.init()
        self.worker.finish_request, self.worker.log = self._finish, Mock()
        self.worker.cfg = Config()
        self.thread = SharedThread(self.worker)
        self.given_back = {}  # whether gunicorn keeps a connection, by the client's address

    def connect(self):
        """Return the client's end of a connection that the thread keeps."""
        client = self._stack.enter_context(
            socket.create_connection(self._listener.getsockname(), timeout=30)
        )
        sock, address = self._listener.accept()
        self._stack.callback(sock.close)
        self.last = TConn(Config(), sock, address, address)
        self.thread.add(self.last)
        return client

    def until_given_back(self, count):
        while len(self.given_back) < count:
            self.worker.method_queue.run_callbacks(None)
            sleep(0.01)

    def _finish(self, conn, done):
        self.given_back[conn.client] = done.result()


@pytest.fixture
def shared():
    with ExitStack() as stack:
        yield Shared(stack, stack.enter_context(socket.create_server(("127.0.0.1", 0))))


def test_another_thread_sends_what_cannot_be_sent_at_once(shared, until):
    body = bytes(1 << 24)  # more than the buffers of both ends can hold
    client = shared.connect()
    until(lambda: shared.thread._resting)
    with shared.thread._lock:
        del shared.thread._resting[shared.last]  # as for a request that is answered
        shared.thread._send(shared.last, Response([("Content-Length", str(len(body)))], body))
    assert not shared.given_back
    answer = HTTPResponse(client)
    answer.begin()
    assert answer.read() == body
    shared.until_given_back(1)
    assert shared.given_back == {client.getsockname(): True}


def test_answer_is_like_gunicorns(desk, granted):
    with desk(count=1) as (_, [connection]):
        answers = [connection.ask(), connection.ask(connection.request(Trailer="X"))]
        shared, gunicorns = [
            {name: value for name, value in headers.items() if name not in VARYING}
            for _, headers, _ in answers
        ]
        assert shared == gunicorns
        first, second = [json.loads(body) for _, _, body in answers]
        assert first | dict.fromkeys(OWN) == second | dict.fromkeys(OWN)


@pytest.mark.parametrize("arguments", ["--access-logfile=-", "--max-requests=8"])
def test_what_gunicorn_does_for_each_request(desk, tmp_path, arguments):
    with desk(count=2, GUNICORN_CMD_ARGS=arguments) as (_, [first, second]):
        statuses = [connection.ask()[0] for _ in range(3) for connection in (first, second)]
        assert statuses == [201] * 6
    logged = (tmp_path / "gunicorn.log").read_text()
    if "access" in arguments:
        assert logged.count('"POST /api/v1/decisions HTTP/1.1" 201') == 8
    else:
        assert "Autorestarting worker" in logged


def test_connections_go_on_while_a_transaction_hangs(desk):
    """One waits for the lock; the next ones are refused in time, and decided once it is free."""
    with desk(count=3) as (server, [first, *others]), ThreadPoolExecutor(3) as pool:
        file = f"{server.environment['LOAN_INSTANCE']}/loan_desk.db"
        holder = sqlite_module().connect(file, isolation_level=None, check_same_thread=False)
        holder.execute("BEGIN IMMEDIATE")
        hangs = pool.submit(first.ask)
        sleep(0.5)
        started = monotonic()
        answers = [answer.result(30) for answer in [pool.submit(o.ask) for o in others]]
        assert monotonic() - started < 8
        assert [(s, h["Retry-After"] is not None) for s, h, _ in answers] == [(503, True)] * 2
        assert not hangs.done()
        holder.execute("ROLLBACK")
        holder.close()
        assert hangs.result(30)[0] == 201
        assert [connection.ask()[0] for connection in (first, *others)] == [201] * 3


FAILS_ONCE = """
CREATE SEQUENCE attempts;
CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('attempts') = 1 THEN RAISE EXCEPTION 'not this time'; END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER fails_once AFTER INSERT ON decisions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail_once();
"""


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_request_whose_commit_has_failed_is_not_decided_again(desk, database_url):
    with (
        desk(database_url, count=1) as (_, [connection]),
        psycopg.connect(database_url, autocommit=True) as database,
    ):
        database.execute(FAILS_ONCE)
        status, _, body = connection.ask()
        assert status == 503
        assert "may have been stored" in json.loads(body)["detail"]
        count = "SELECT count(*) FROM decisions"
        assert database.execute(count).fetchone() == (1,)  # the first one of the connection
        assert connection.ask()[0] == 201
        assert database.execute(count).fetchone() == (2,)


def test_defect_closes_only_the_connections_that_were_read_from(shared):
    resting, asking = shared.connect(), shared.connect()
    shared.thread._intake = Mock(read=Mock(side_effect=ZeroDivisionError))
    asking.sendall(LINE + b"Host: desk\r\nContent-Length: 2\r\n\r\n{}")
    shared.until_given_back(2)
    assert shared.given_back == {asking.getsockname(): False, resting.getsockname(): True}


def test_stop_closes_connections_that_rest(desk, tmp_path):
    with desk(count=2) as (server, [resting, asking]):
        assert resting.ask()[0] == asking.ask()[0] == 201
        server.process.send_signal(signal.SIGTERM)
        status, headers, _ = asking.ask()
        assert (status, headers["Connection"]) in {(201, "close"), (201, "keep-alive")}
        assert resting.ended()
        server.process.wait(10)
    assert not re.search("Traceback|ERROR", (tmp_path / "gunicorn.log").read_text())
