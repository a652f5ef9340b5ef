"""HTTP messages: reads usual requests to decide, and writes their responses; see ADR 0019.

A request is usual if there is only one way to read it. gunicorn reads any other.
"""

import re
import time
from email.utils import formatdate
from functools import lru_cache
from typing import NamedTuple

from webapp.incoming import MAX_BODY_BYTES, is_host

PATH = "/api/v1/decisions"
REQUEST_LINE = f"POST {PATH} HTTP/1.1\r\n".encode()
MAX_HEAD_BYTES, MAX_FIELDS = 8_000, 100  # gunicorn refuses more
HEAD_END = b"\r\n\r\n"
# Printable ASCII, one field a line: no continuation, no stray carriage return or line feed.
FIELDS = re.compile(rb"[A-Za-z0-9-]+:[ -~]*(?:\r\n[A-Za-z0-9-]+:[ -~]*)*")
LENGTH = re.compile(r"[0-9]{1,6}")
# Fields that change where a request ends, or what is to be answered and when.
UNUSUAL = frozenset(
    {
        *("transfer-encoding", "expect", "upgrade", "http2-settings", "trailer"),
        # Proxies send X-Forwarded-Proto; gunicorn refuses a request in which another differs.
        *("x-forwarded-ssl", "x-forwarded-protocol"),
    }
)


class Request(NamedTuple):
    """A request to decide: its header fields, with names in lower case, and its body."""

    headers: dict[str, str]
    body: bytes


class Response(NamedTuple):
    """The response to a request that has led to a decision."""

    headers: list[tuple[str, str]]
    body: bytes


class IncompleteRequest(Exception):
    """The rest of a request has not come yet."""


class UnusualRequest(Exception):
    """gunicorn has to read the request."""


def read_request(sent: bytes) -> Request:
    """Read all that a client has sent as one request.

    Raises IncompleteRequest, and UnusualRequest if it is anything else than one usual request.
    """
    if not sent.startswith(REQUEST_LINE):
        raise UnusualRequest
    head, end, body = sent.partition(HEAD_END)
    if len(head) > MAX_HEAD_BYTES:
        raise UnusualRequest
    if not end:
        raise IncompleteRequest
    headers = _fields(head[len(REQUEST_LINE) :])
    length = headers.get("content-length", "")
    usual = (
        LENGTH.fullmatch(length)
        and len(body) <= int(length) <= MAX_BODY_BYTES
        and is_host(headers.get("host", ""))
        and headers.get("connection", "keep-alive").lower() == "keep-alive"
        and UNUSUAL.isdisjoint(headers)
    )
    if not usual:
        raise UnusualRequest
    if len(body) < int(length):
        raise IncompleteRequest
    return Request(headers, body)


def write_response(status: str, response: Response, *, keep: bool) -> bytes:
    """Return a response as it is sent, on a connection that is kept or closed after it."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in response.headers])
    connection = "keep-alive" if keep else "close"
    head = f"HTTP/1.1 {status}\r\n{_server_and_date(int(time.time()))}Connection: {connection}\r\n"
    return f"{head}{fields}\r\n".encode() + response.body


def _fields(lines: bytes) -> dict[str, str]:
    """Return header fields; raises UnusualRequest if one occurs twice, or if there are many."""
    if not FIELDS.fullmatch(lines):
        raise UnusualRequest
    pairs = [line.split(":", 1) for line in lines.decode().split("\r\n")]
    headers = {name.lower(): value.strip() for name, value in pairs}
    if len(headers) < len(pairs) or len(pairs) > MAX_FIELDS:
        raise UnusualRequest
    return headers


@lru_cache(maxsize=1)  # changes once a second
def _server_and_date(seconds: int) -> str:
    return f"Server: gunicorn\r\nDate: {formatdate(seconds, usegmt=True)}\r\n"
