"""The short way in: decides a request of another system before Flask sees it; see ADR 0017.

It answers only a request that leads to a new decision. Any other goes on to Flask: one that is
unusual or must be refused, and one that failed, with the error.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from io import BytesIO
from typing import Any
from weakref import WeakKeyDictionary

from flask import Flask, request
from werkzeug.exceptions import BadRequest

from ml.product.errors import InvalidApplication, MalformedApplication
from webapp.api.messages import PATH, Request, Response
from webapp.decisions.deciding import Submitted
from webapp.decisions.store import DecisionStore
from webapp.decisions.writing import Stored
from webapp.errors import REQUEST_ID, new_request_id
from webapp.failures import InFlight, InvalidKey, KeyClaimed, OutcomeUnknown, UnknownKey
from webapp.incoming import MAX_BODY_BYTES
from webapp.language import of_header
from webapp.ledger.idempotency import key_digest, read_key
from webapp.ledger.transaction import COMMIT_ATTEMPTED
from webapp.metrics import metrics
from webapp.people import api_keys
from webapp.people.security import response_headers
from webapp.slots import HELD, Slots

ROUTE = "api.create"
CREATED = "201 CREATED"
JSON = "application/json"
JSON_TYPES = {JSON, f"{JSON}; charset=utf-8", f"{JSON};charset=utf-8"}
# The header fields of a request that matter here, and their names in a WSGI environment.
READ = {
    "content-type": "CONTENT_TYPE",
    "authorization": "HTTP_AUTHORIZATION",
    "idempotency-key": "HTTP_IDEMPOTENCY_KEY",
    "accept-language": "HTTP_ACCEPT_LANGUAGE",
    "cookie": "HTTP_COOKIE",
    "content-encoding": "HTTP_CONTENT_ENCODING",
}
SOCKET = "gunicorn.socket"  # in the environment of gunicorn
FAILURE = "loan_desk.failure"
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class ForFlask(Exception):
    """Flask answers the request."""


# Flask finds out whether the API key is in use, whether the request was sent before, and only then
# what is wrong with it.
FOR_FLASK = (
    *(ForFlask, UnknownKey, InvalidKey, KeyClaimed),
    *(InvalidApplication, MalformedApplication),
)


class Intake:
    """Decides the requests of other systems, as WSGI middleware and for the worker itself."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._flask: Application = app.wsgi_app
        self._headers = list(response_headers(https=app.config["SESSION_COOKIE_SECURE"]).items())
        self._key_required = app.extensions["settings"].require_idempotency_key
        self._failures: WeakKeyDictionary[Any, Exception] = WeakKeyDictionary()  # by socket

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "POST":
            return self._flask(environ, start_response)
        started = time.perf_counter()
        try:
            stored = self._decide(environ)
        except FOR_FLASK:
            return self._flask(environ, start_response)
        except Exception as error:
            environ[FAILURE] = error
            if isinstance(error, OutcomeUnknown):
                environ[COMMIT_ATTEMPTED] = True
            return self._flask(environ, start_response)
        response = self._response(stored, started)
        start_response(CREATED, response.headers)
        return [response.body]

    def read(self, request: Request) -> Submitted:
        """Return what a request submits; raises ForFlask or InvalidKey if Flask answers it."""
        headers, body = request
        key = headers.get("idempotency-key")
        usual = (
            headers.get("content-type", "").lower() in JSON_TYPES
            and "cookie" not in headers
            and "content-encoding" not in headers
            and (key is not None or not self._key_required)
        )
        if not usual:
            raise ForFlask
        asked = of_header(headers.get("accept-language", ""))
        return Submitted(
            body,
            api_keys.bearer_key(headers.get("authorization", "")),
            None if key is None else key_digest(ROUTE, read_key(key)),
            asked or self._app.config["BABEL_DEFAULT_LOCALE"],
        )

    def answer_together(self, submitted: Sequence[Submitted]) -> list[Response | Exception]:
        """Decide what has been sent at the same time; return responses, or why there is none."""
        started = time.perf_counter()
        return [
            self._response(outcome, started) if isinstance(outcome, Stored) else outcome
            for outcome in self._decisions.decide_together(submitted)
        ]

    def leave_to_flask(self, socket: object, error: Exception) -> None:
        """Let Flask answer the next request of a connection, after `answer_together` has failed.

        The request is decided again, unless the error must be its answer.
        """
        if not isinstance(error, (*FOR_FLASK, InFlight)):
            self._failures[socket] = error

    @cached_property
    def _decisions(self) -> DecisionStore:
        decisions: DecisionStore = self._app.extensions["decisions"]
        return decisions

    @cached_property
    def _slots(self) -> Slots:
        slots: Slots = self._app.extensions["slots"]
        return slots

    def _decide(self, environ: dict[str, Any]) -> Stored:
        if self._failures and SOCKET in environ:
            failure = self._failures.pop(environ[SOCKET], None)
            if failure is not None:
                raise failure
        headers = {name: environ[key] for name, key in READ.items() if key in environ}
        submitted = self.read(Request(headers, _body(environ)))
        environ[HELD] = self._slots.take()
        if not environ[HELD]:
            raise ForFlask
        stored = self._decisions.decide(submitted)
        environ[COMMIT_ATTEMPTED] = True
        return stored

    def _response(self, stored: Stored, started: float) -> Response:
        headers = [
            ("Content-Type", JSON),
            ("Content-Length", str(len(stored.json))),
            ("Location", f"{PATH}/{stored.decision.id}"),
            (REQUEST_ID, new_request_id()),
            *self._headers,
        ]
        metrics.observe_request(PATH, "201", time.perf_counter() - started)
        return Response(headers, stored.json)


def init_app(app: Flask) -> None:
    app.wsgi_app = app.extensions["intake"] = Intake(app)  # type: ignore[method-assign]
    app.before_request(_raise_failure)


def _raise_failure() -> None:
    """Raise the error of a request that failed before Flask, which answers it as any other."""
    error = request.environ.get(FAILURE)
    if error is not None:
        raise error


def _body(environ: dict[str, Any]) -> bytes:
    """Read the body of a usual request; Flask reads any other, or the same one again."""
    length = environ.get("CONTENT_LENGTH", "")
    chunked = "HTTP_TRANSFER_ENCODING" in environ
    if chunked or not length.isdigit() or int(length) > MAX_BODY_BYTES:
        raise ForFlask
    try:
        body: bytes = environ["wsgi.input"].read(int(length))
    except Exception as error:  # gunicorn raises many kinds for lost connections
        raise BadRequest from error
    if len(body) != int(length):
        raise BadRequest
    environ["wsgi.input"] = BytesIO(body)
    return body
