"""What is refused before a view sees it: a bad Host, and a body that did not arrive whole."""

import logging
import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, abort, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

log = logging.getLogger(__name__)

BODY_LIMIT = 64 * 1024  # bytes; an application takes less than one thousand
# A name as DNS has it (RFC 1123) or an address, and a port. Werkzeug cannot build an address for
# any other.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
HOST = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9a-f:.]+\])(?::[0-9]{{1,5}})?", re.IGNORECASE | re.ASCII
)
MAX_HOST = 255
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def init_app(app: Flask) -> None:
    app.wsgi_app = _with_host(app.wsgi_app)  # type: ignore[method-assign, assignment]
    app.before_request(_read_body)


def _with_host(application: Application) -> Application:
    """Answer 400 to a Host that is no host: no route can be matched and no page built for it."""

    def checked(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401
        host = environ.get("HTTP_HOST", "")
        if host and (len(host) > MAX_HOST or not HOST.fullmatch(host)):
            refused = Response("The Host header is not a host name.\n", 400, mimetype="text/plain")
            return refused(environ, start_response)
        return application(environ, start_response)

    return checked


def _read_body() -> None:
    """Read the body whole; refuse it unless all that was announced has arrived."""
    request.max_content_length = BODY_LIMIT + 1  # a chunked body is cut there without a word
    try:
        body = request.get_data(cache=True, parse_form_data=False)
    except HTTPException:
        raise
    except Exception as error:  # whatever the server raises for a broken line or wrong chunks
        log.info("refused a body that could not be read: %r", error)
        abort(400)
    announced = request.content_length
    if announced is not None and len(body) != announced:
        log.info("refused a body of %s bytes where %s were announced", len(body), announced)
        abort(400)
    if len(body) > BODY_LIMIT:
        abort(413)
