"""Tests of webapp/incoming.py: nothing is decided on an incomplete body."""

import io
import json
import socket
from http.client import HTTPResponse
from time import sleep

import pytest

from tests.fixtures.desk import token
from webapp.incoming import MAX_BODY_BYTES
from webapp.problems import MAX_ERRORS

DECISIONS = "/api/v1/decisions"
ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
COUNT = "SELECT count(*) FROM decisions"


@pytest.mark.parametrize(
    "host", ["a..b", ".", "a" * 64, "a b", "a/b", "[::1", "a:b", "a:999999", "-a", "a.b" * 99]
)
@ON_ONE
def test_bad_host_is_a_clear_400(client, host):
    for path in ("/login", "/nowhere", DECISIONS, "/healthz"):
        answer = client.get(path, environ_overrides={"HTTP_HOST": host})
        assert answer.status_code == 400
        assert answer.text == "The Host header is not a host name.\n"


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:5000", "[::1]:5000", "loans.bank.example.", "LOANS", "a_b.c"]
)
@ON_ONE
def test_good_host_is_served(client, host):
    assert client.get("/healthz", environ_overrides={"HTTP_HOST": host}).status_code == 200


@ON_ONE
def test_doubled_slash_is_not_redirected_to_the_host_that_was_sent(client):
    for path in ("/decisions//1", "/api//v1/decisions", "/static//desk.css"):
        answer = client.get(path, environ_overrides={"HTTP_HOST": "evil.example"})
        assert answer.status_code == 404
        assert "Location" not in answer.headers


@ON_ONE
def test_body_shorter_than_announced_is_refused(client, api_key, granted, query):
    body = json.dumps(granted).encode()
    for announced in (len(body) + 1, 5_000):
        answer = client.post(
            DECISIONS,
            input_stream=io.BytesIO(body),
            headers={
                "Authorization": f"Bearer {api_key}",
                "Content-Type": "application/json",
            },
            environ_overrides={"CONTENT_LENGTH": str(announced)},
        )
        assert answer.status_code == 400
    assert query(COUNT) == [(0,)]


@ON_ONE
def test_thousands_of_unknown_fields_are_answered_briefly(client, api_key, granted):
    body = granted | {"loan_amount": 1} | {f"x{i}": i for i in range(4_000)}
    answer = client.post(DECISIONS, json=body, headers={"Authorization": f"Bearer {api_key}"})
    assert answer.status_code == 422
    assert len(answer.json["errors"]) == MAX_ERRORS
    assert answer.json["errors"][0]["field"] == "loan_amount"
    assert len(answer.data) < 20_000


@ON_ONE
@pytest.mark.parametrize("body", ['"x"', "[1]", "5", "null", '{"present": 5, "reason": 5}'])
def test_pages_read_forms_only(signed_in, body):
    headers = {"X-CSRFToken": token(signed_in, "/account/password")}
    for path in ("/account/password", "/applications/new", "/logout"):
        answer = signed_in.post(path, data=body, headers=headers, content_type="application/json")
        assert answer.status_code == 415
    assert signed_in.get("/account").status_code == 200


@pytest.fixture(scope="module")
def server(start_server, tmp_path_factory):
    with start_server(tmp_path_factory.mktemp("incoming"), workers=1) as one:
        yield one


@pytest.fixture(scope="module")
def key(server):
    return server.flask("api-keys", "create", "raw")


class Connection:
    """A connection that sends bytes unchanged."""

    def __init__(self, server, key):
        host, port = server.url.removeprefix("http://").split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        self._head = (
            f"POST {DECISIONS} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\n"
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._socket.close()

    def send(self, headers, body, *, end=False):
        """Send a request, read the whole answer and return its status."""
        self._socket.sendall(f"{self._head}{headers}\r\n\r\n".encode() + body)
        if end:
            self._socket.shutdown(socket.SHUT_WR)
        with HTTPResponse(self._socket, method="POST") as answer:
            answer.begin()
            answer.read()
            return answer.status


def send(server, key, headers, body, **more):
    with Connection(server, key) as connection:
        return connection.send(headers, body, **more)


def chunk(part):
    return b"%x\r\n%s\r\n" % (len(part), part)


def test_cut_off_bodies_are_refused(server, key, granted):
    body = json.dumps(granted).encode()
    assert send(server, key, "Content-Length: 5000", body, end=True) == 400
    for half in (chunk(body[:100]), chunk(body)):
        assert send(server, key, "Transfer-Encoding: chunked", half, end=True) == 400
    whole = chunk(body) + b"0\r\n\r\n"
    assert send(server, key, "Transfer-Encoding: chunked", whole) == 201


@pytest.mark.parametrize("size", [b"-1", b"0x10", b"g", b"", b"1" * 40])
def test_wrong_chunks_are_refused(server, key, granted, size):
    body = json.dumps(granted).encode()
    wrong = size + b"\r\n" + body + b"\r\n0\r\n\r\n"
    assert send(server, key, "Transfer-Encoding: chunked", wrong, end=True) == 400


def test_chunked_body_has_the_limit_of_any_other(server, key, granted):
    large = json.dumps(granted).encode() + b" " * MAX_BODY_BYTES
    parts = b"".join(chunk(large[i : i + 8_000]) for i in range(0, len(large), 8_000))
    assert send(server, key, "Transfer-Encoding: chunked", parts + b"0\r\n\r\n") == 413
    assert send(server, key, f"Content-Length: {len(large)}", large) == 413


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "PATH_INFO"])
def test_headers_do_not_change_the_path(server, key, granted, name):
    """By default, gunicorn accepts these headers from clients on the same machine."""
    body = json.dumps(granted).encode()
    assert send(server, key, f"{name}: /elsewhere\r\nContent-Length: {len(body)}", body) == 201


def test_a_connection_that_was_idle_is_still_served(server, key, granted):
    body = json.dumps(granted).encode()
    with Connection(server, key) as connection:
        assert connection.send(f"Content-Length: {len(body)}", body) == 201
        sleep(2.5)  # gunicorn's default limit is 2 seconds
        assert connection.send(f"Content-Length: {len(body)}", body) == 201
