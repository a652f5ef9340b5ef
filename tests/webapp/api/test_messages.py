"""Tests of webapp/api/messages.py: what is read without gunicorn, and what is left to it."""

from email.utils import parsedate_to_datetime
from http.client import parse_headers
from io import BytesIO

import pytest

from webapp.api.messages import (
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    REQUEST_LINE as LINE,
    IncompleteRequest,
    Response,
    UnusualRequest,
    read_request,
    write_response,
)
from webapp.columns import now
from webapp.incoming import MAX_BODY_BYTES

HEAD = LINE + b"Host: desk\r\nContent-Length: 2\r\n\r\n"


def having(*fields):
    """Return a request with more header fields."""
    more = b"".join(field + b"\r\n" for field in fields)
    return HEAD.replace(b"\r\n\r\n", b"\r\n" + more + b"\r\n") + b"{}"


def test_usual_request():
    sent = having(
        b"X-Empty:", b"ACCEPT:*/*", b"Authorization:  Bearer  k ", b"Connection: Keep-Alive"
    )
    headers, body = read_request(sent)
    assert body == b"{}"
    assert headers == {
        "host": "desk",
        "content-length": "2",
        "x-empty": "",
        "accept": "*/*",
        "authorization": "Bearer  k",
        "connection": "Keep-Alive",
    }


def test_largest_body():
    head = HEAD.replace(b": 2", f": {MAX_BODY_BYTES}".encode())
    body = bytes(MAX_BODY_BYTES)
    assert read_request(head + body).body == body


@pytest.mark.parametrize("sent", [HEAD + b"{", HEAD, HEAD[:-1], HEAD[:-20], LINE])
def test_incomplete_request(sent):
    with pytest.raises(IncompleteRequest):
        read_request(sent)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        LINE[:-1],
        b"GET /healthz HTTP/1.1\r\n\r\n",
        HEAD.replace(b"1.1", b"1.0") + b"{}",
        HEAD.replace(b"decisions", b"decisions/1") + b"{}",
        HEAD.replace(b"decisions", b"decisions?x=1") + b"{}",
        HEAD.replace(b"POST", b"PUT") + b"{}",
        HEAD.replace(b"/api", b"http://desk/api") + b"{}",
        b"\r\n" + HEAD + b"{}",
        HEAD + b"{}P",  # the next request follows
        HEAD + b"{}" + HEAD + b"{}",
        # No length, or more than one way to read it.
        LINE + b"Host: desk\r\n\r\n",
        LINE + b"\r\n",
        *[
            HEAD.replace(b"Content-Length: 2", length) + b"{}"
            for length in (
                *(b"X-Content-Length: 2", b"Content-Length: -2", b"Content-Length: +2"),
                *(b"Content-Length: 2, 2", b"Content-Length: 0x2", b"Content-Length: 2_0"),
                *(b"Content-Length : 2", b"Content-Length:", b"Content_Length: 2"),
                b"Content-Length: 2\r\nContent-Length: 2",
                b"Content-Length: 2\r\nContent-Length: 3",
                b"Content-Length: 2\r\nTransfer-Encoding: chunked",
                f"Content-Length: {MAX_BODY_BYTES + 1}".encode(),
                "Content-Length: \N{SUPERSCRIPT TWO}".encode(),
            )
        ],
        # Fields that are not what they seem, or that ask for more than a response.
        having(b"X: a\nTransfer-Encoding: chunked"),
        having(b"X: a\rTransfer-Encoding: chunked"),
        having(b"X: a\r\n folded"),
        having(b" X: a"),
        having(b"X : a"),
        having(b"X"),
        having(b": a"),
        having(b"X: \x00"),
        having(b"X: \xe9"),
        having(b"X_Y: a"),
        having(b"Authorization: Bearer a", b"authorization: Bearer b"),
        having(b"Host: other"),
        having(b"Expect: 100-continue"),
        having(b"Upgrade: h2c"),
        having(b"HTTP2-Settings: AAMAAABkAAQAAP__"),
        having(b"Connection: close"),
        having(b"Connection: keep-alive, Authorization"),
        having(b"Trailer: X"),
        having(b"X: " + b"x" * MAX_HEAD_BYTES),
        having(*[f"X-{i}: 1".encode() for i in range(MAX_FIELDS)]),
        having(b"X-Forwarded-Proto: https", b"X-Forwarded-Ssl: off"),
        # Hosts that no URL can have.
        HEAD.replace(b"Host: desk\r\n", b"") + b"{}",
        HEAD.replace(b"desk", b"") + b"{}",
        HEAD.replace(b"desk", b"a b") + b"{}",
        HEAD.replace(b"desk", b"desk/x") + b"{}",
    ],
)
def test_unusual_request(sent):
    with pytest.raises(UnusualRequest):
        read_request(sent)


@pytest.mark.parametrize(("keep", "connection"), [(True, "keep-alive"), (False, "close")])
def test_response(keep, connection):
    response = Response([("Content-Length", "2"), ("Location", "/x")], b"{}")
    message = BytesIO(write_response("201 CREATED", response, keep=keep))
    assert message.readline() == b"HTTP/1.1 201 CREATED\r\n"
    headers = parse_headers(message)
    assert message.read() == b"{}"
    date = parsedate_to_datetime(headers["Date"])
    assert abs((now() - date).total_seconds()) < 5
    assert list(headers.items()) == [
        ("Server", "gunicorn"),
        ("Date", headers["Date"]),
        ("Connection", connection),
        ("Content-Length", "2"),
        ("Location", "/x"),
    ]
