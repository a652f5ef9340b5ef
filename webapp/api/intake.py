"""The short way in: decides a request of another system before Flask sees it; see ADR 0017.

It answers only a request that leads to a new decision. Any other goes on to Flask: one that is
unusual or must be refused, and one that failed, with the error.
"""

import time
from collections.abc import Callable, Iterable
from functools import cached_property
from io import BytesIO
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import BadRequest

from ml.product.application import InvalidApplication, MalformedApplication
from webapp.decisions.deciding import Submitted
from webapp.decisions.store import DecisionStore
from webapp.errors import REQUEST_ID, new_request_id
from webapp.failures import InvalidKey, KeyClaimed, OutcomeUnknown, UnknownKey
from webapp.gathering import MadeElsewhere, in_group
from webapp.incoming import MAX_BODY_BYTES
from webapp.language import of_header
from webapp.ledger.idempotency import key_digest, read_key
from webapp.ledger.transaction import COMMIT_ATTEMPTED
from webapp.metrics import metrics
from webapp.people import api_keys
from webapp.people.security import response_headers
from webapp.slots import HELD, Slots

PATH = "/api/v1/decisions"
ROUTE = "api.create"
JSON = "application/json"
JSON_TYPES = {JSON, f"{JSON}; charset=utf-8", f"{JSON};charset=utf-8"}
UNUSUAL = ("HTTP_COOKIE", "HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING")
FAILURE = "loan_desk.failure"
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class _ForFlask(Exception):
    """Flask answers the request."""


# Flask finds out whether the API key is in use, whether the request was sent before, and only then
# what is wrong with it.
FOR_FLASK = (
    *(_ForFlask, UnknownKey, InvalidKey, KeyClaimed),
    *(InvalidApplication, MalformedApplication),
)


class Intake:
    """WSGI middleware that answers requests to decide."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._flask: Application = app.wsgi_app
        self._headers = list(response_headers(https=app.config["SESSION_COOKIE_SECURE"]).items())
        self._key_required = app.extensions["settings"].require_idempotency_key

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "POST":
            return self._flask(environ, start_response)
        started = time.perf_counter()
        try:
            body, location = self._decide(environ)
        except FOR_FLASK:
            if in_group():
                raise MadeElsewhere from None
            return self._flask(environ, start_response)
        except Exception as error:
            environ[FAILURE] = error
            return self._flask(environ, start_response)
        headers = [
            ("Content-Type", JSON),
            ("Content-Length", str(len(body))),
            ("Location", location),
            (REQUEST_ID, new_request_id()),
            *self._headers,
        ]
        start_response("201 CREATED", headers)
        metrics.observe_request(PATH, "201", time.perf_counter() - started)
        return [body]

    @cached_property
    def _decisions(self) -> DecisionStore:
        decisions: DecisionStore = self._app.extensions["decisions"]
        return decisions

    @cached_property
    def _slots(self) -> Slots:
        slots: Slots = self._app.extensions["slots"]
        return slots

    def _decide(self, environ: dict[str, Any]) -> tuple[bytes, str]:
        """Return the body and the location of the answer."""
        header = environ.get("HTTP_IDEMPOTENCY_KEY")
        if header is None and self._key_required:
            raise _ForFlask
        body = _body(environ)
        if not in_group():  # the requests of a group keep a thread that is not of the pool
            environ[HELD] = self._slots.take()
            if not environ[HELD]:
                raise _ForFlask
        asked = of_header(environ.get("HTTP_ACCEPT_LANGUAGE", ""))
        submitted = Submitted(
            body,
            api_keys.bearer_key(environ.get("HTTP_AUTHORIZATION", "")),
            None if header is None else key_digest(ROUTE, read_key(header)),
            asked or self._app.config["BABEL_DEFAULT_LOCALE"],
        )
        try:
            stored = self._decisions.decide(submitted)
        except OutcomeUnknown:
            environ[COMMIT_ATTEMPTED] = True
            raise
        environ[COMMIT_ATTEMPTED] = True
        return stored.json, f"{PATH}/{stored.decision.id}"


def init_app(app: Flask) -> None:
    app.wsgi_app = Intake(app)  # type: ignore[method-assign]
    app.before_request(_raise_failure)


def _raise_failure() -> None:
    """Raise the error of a request that failed before Flask, which answers it as any other."""
    error = request.environ.get(FAILURE)
    if error is not None:
        raise error


def _body(environ: dict[str, Any]) -> bytes:
    """Read the body of a usual request; Flask reads any other, or the same one again."""
    length = environ.get("CONTENT_LENGTH", "")
    usual = (
        environ.get("CONTENT_TYPE", "").lower() in JSON_TYPES
        and length.isdigit()
        and int(length) <= MAX_BODY_BYTES
        and not any(name in environ for name in UNUSUAL)
    )
    if not usual:
        raise _ForFlask
    try:
        body: bytes = environ["wsgi.input"].read(int(length))
    except Exception as error:  # gunicorn raises many kinds for lost connections
        raise BadRequest from error
    if len(body) != int(length):
        raise BadRequest
    environ["wsgi.input"] = BytesIO(body)
    return body
