"""Refuses requests before any view runs: a bad Host header, or a body that is not clear."""

import logging
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from flask import Flask, abort, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024  # an application has fewer than 1,000
# A DNS name (RFC 1123) or an IP address, and a port. Werkzeug cannot build URLs for anything else.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
HOST_PATTERN = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9a-f:.]+\])(?::[0-9]{{1,5}})?", re.IGNORECASE | re.ASCII
)
MAX_FILE_BYTES = 2 * 1024 * 1024  # of outcomes; a row has about 30
MAX_BATCH_BYTES = 5 * 1024 * 1024  # of applications; a row has about 100
ROUTES_OF_FILES = {"outcomes.index": MAX_FILE_BYTES, "batches.upload": MAX_BATCH_BYTES}
MAX_HOST_LENGTH = 255
MAX_DISCARDED_BYTES = 1024 * 1024  # of a body that is refused; nginx in compose allows less
API = "/api/"  # the start of paths for other systems
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def init_app(app: Flask) -> None:
    # Werkzeug would redirect `//` to `/`, to an absolute URL with the host that the client sent.
    app.url_map.merge_slashes = False
    app.wsgi_app = _with_host(app.wsgi_app)  # type: ignore[method-assign, assignment]
    app.before_request(_read_body)


def is_host(host: str) -> bool:
    """Return whether the value of a Host header can be used in URLs."""
    return len(host) <= MAX_HOST_LENGTH and bool(HOST_PATTERN.fullmatch(host))


def _with_host(application: Application) -> Application:
    """Answer 400 to an invalid Host header, with which neither routes nor error pages work."""

    def checked(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401
        host = environ.get("HTTP_HOST", "")
        if host and not is_host(host):
            refusal = Response("The Host header is not a host name.\n", 400, mimetype="text/plain")
            return refusal(environ, start_response)
        return application(environ, start_response)

    return checked


def _read_body() -> None:
    """Read the whole body; refuse one that is incomplete, too large, compressed or ambiguous."""
    try:
        _check_body()
    except HTTPException:
        _discard_body()
        raise


def _discard_body() -> None:
    """Read the rest of a refused body, behind which the client's next request may follow.

    gunicorn reads 64 KiB of it. After a longer one it closes the connection, although its response
    says that it is kept, and the next request would get no response.
    """
    with suppress(Exception):  # gunicorn raises many kinds for lost connections
        request.environ["wsgi.input"].read(MAX_DISCARDED_BYTES)


def is_api() -> bool:
    """Return whether another system makes this request, and not a browser."""
    return request.path.startswith(API)


def _posts_no_form() -> bool:
    """Return whether a page gets anything but a form: Flask-WTF would read one from JSON too."""
    posted = request.method == "POST" and request.endpoint is not None
    return posted and not is_api() and request.mimetype not in ("", *FORM_TYPES)


def _check_body() -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        abort(415)
    if _posts_no_form():
        abort(415)
    limit = ROUTES_OF_FILES.get(request.endpoint or "", MAX_BODY_BYTES)
    request.max_content_length = limit + 1  # Werkzeug silently truncates a chunked body
    try:
        body = request.get_data(cache=True, parse_form_data=False)
    except HTTPException:
        raise
    except Exception as error:  # gunicorn raises many kinds for lost connections and bad chunks
        log.info("refused a body that could not be read: %r", error)
        abort(400)
    content_length = request.content_length
    if content_length is not None and len(body) != content_length:
        log.info("refused a body of %s bytes, Content-Length %s", len(body), content_length)
        abort(400)
    if len(body) > limit:
        abort(413)
    if request.mimetype in FORM_TYPES and any(
        len(values) > 1 for _, values in request.form.lists()
    ):
        log.info("refused a form that has a field twice")
        abort(400)
