"""Tests of webapp/api/worker.py: connections that ask for decisions again share one thread."""

import json
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPResponse
from time import monotonic, sleep
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import PollableMethodQueue, TConn

from webapp.api.messages import REQUEST_LINE as LINE, Response
from webapp.api.worker import DeskWorker, SharedThread
from webapp.database import sqlite_module

CONNECTIONS = 6
VARYING = ("Date", "X-Request-ID", "Location")  # header fields of an answer
OWN = ("id", "created_at")  # what an answer has of its own decision


class Connection:
    """A kept connection of a client that sends bytes as it likes."""

    def __init__(self, url, key, application):
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=60)
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
        response = HTTPResponse(self._socket)
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
        return self._socket.recv(1) == b""

    def close(self):
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
        connection.send(connection.request() + page + connection.request())  # without waiting
        assert [connection.answer()[0] for _ in range(3)] == [201, 200, 201]
        sleep(2.5)  # until gunicorn has it again
        assert connection.ask()[0] == 201
        for more in ({"Cookie": "a=b"}, {"Content_Type": "application/json; charset=UTF-8"}):
            assert connection.ask(connection.request(**more))[0] == 201


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


def test_another_thread_sends_what_cannot_be_sent_at_once():
    body = bytes(1 << 24)  # more than the buffers of both ends can hold
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), timeout=30) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        sock, address = listener.accept()
        worker = DeskWorker.__new__(DeskWorker)
        worker.alive, worker.tpool, worker.method_queue = True, pool, PollableMethodQueue()
        worker.method_queue.init()
        worker.finish_request = Mock()
        shared, conn = SharedThread(worker), TConn(Config(), sock, address, address)
        shared._keep(conn)
        shared._send(conn, Response([("Content-Length", str(len(body)))], body))
        assert not shared._resting
        answer = HTTPResponse(client)
        answer.begin()
        assert answer.read() == body
        pool.shutdown()
        worker.method_queue.run_callbacks(None)
        [(_, done)] = [call.args for call in worker.finish_request.call_args_list]
        assert done.result()  # gunicorn keeps the connection
        sock.close()


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


def test_stop_closes_connections_that_rest(desk, tmp_path):
    with desk(count=2) as (server, [resting, asking]):
        assert resting.ask()[0] == asking.ask()[0] == 201
        server.process.send_signal(signal.SIGTERM)
        status, headers, _ = asking.ask()
        assert (status, headers["Connection"]) in {(201, "close"), (201, "keep-alive")}
        assert resting.ended()
        server.process.wait(10)
    assert not re.search("Traceback|ERROR", (tmp_path / "gunicorn.log").read_text())
