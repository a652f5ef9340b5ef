"""Error handlers, which answer with a page or, in the API, with a problem."""

import logging
import random
import traceback
from http import HTTPStatus

from flask import Flask, Response, current_app, g, request
from flask_babel import gettext as _, lazy_gettext
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, OperationalError
from werkzeug.datastructures import Headers
from werkzeug.exceptions import (
    HTTPException,
    InternalServerError,
    NotFound as HTTPNotFound,
    ServiceUnavailable,
)
from werkzeug.wrappers import Response as BaseResponse

from ml.bundle.manifest import InvalidBundle
from webapp import problems
from webapp.error_pages import error_page, expired_page
from webapp.failures import (
    DecisionDamaged,
    InFlight,
    ModelUnavailable,
    NotFound,
    NotStored,
    OutcomeUnknown,
)
from webapp.form_errors import page_over_form
from webapp.incoming import ROUTES_OF_FILES, is_api
from webapp.ledger.transaction import commit_was_attempted
from webapp.metrics import Missing, metrics
from webapp.problems import problem

log = logging.getLogger(__name__)

REQUEST_ID = "X-Request-ID"
RETRY_SECONDS = "5"

EXPLANATIONS = {
    HTTPStatus.BAD_REQUEST: lazy_gettext("The request could not be read."),
    HTTPStatus.UNAUTHORIZED: lazy_gettext("Send a valid API key as “Authorization: Bearer KEY”."),
    HTTPStatus.FORBIDDEN: lazy_gettext("You are not allowed to do this."),
    HTTPStatus.NOT_FOUND: lazy_gettext("Page not found."),
    HTTPStatus.METHOD_NOT_ALLOWED: lazy_gettext("This address does not accept this method."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: lazy_gettext("The request is too large."),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: lazy_gettext(
        "The type of the body is not accepted. Send an application as application/json, without "
        "compression."
    ),
    HTTPStatus.TOO_MANY_REQUESTS: lazy_gettext(
        "Too many people are signing in. Try again in a moment."
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: lazy_gettext("Something went wrong on our side."),
    HTTPStatus.SERVICE_UNAVAILABLE: lazy_gettext(
        "Loan Desk is not available right now. Nothing was stored. Try again in a moment."
    ),
}
# For GET and HEAD, which store nothing.
UNAVAILABLE = lazy_gettext("Loan Desk is not available right now. Try again in a moment.")
# After an attempt to commit, the request may have been stored, whatever error follows.
UNKNOWN = lazy_gettext(
    "Something went wrong while your request was being stored. It may have been stored: check "
    "before you try again."
)


def init_app(app: Flask) -> None:
    app.before_request(_assign_request_id)
    app.after_request(_add_request_id)
    # Called for errors after the view, which the handlers below do not receive.
    app.log_exception = lambda exc_info: _log_unexpected(exc_info[1])  # type: ignore[method-assign]
    app.register_error_handler(HTTPException, _answer)
    app.register_error_handler(CSRFError, _expired)
    problems.init_app(app)
    app.register_error_handler(NotFound, _not_found)
    app.register_error_handler(DecisionDamaged, _damaged)
    app.register_error_handler(ModelUnavailable, _unavailable)
    app.register_error_handler(OperationalError, _unavailable)
    app.register_error_handler(OutcomeUnknown, _unavailable)
    app.register_error_handler(NotStored, _unavailable)
    app.register_error_handler(InFlight, _in_flight)
    app.register_error_handler(InvalidBundle, _unavailable)  # a file of it changed on disk
    app.register_error_handler(Exception, _unexpected)


def new_request_id() -> str:
    return f"{random.getrandbits(64):016x}"


def request_id() -> str:
    """Return the id that identifies this request in its answer and in the log."""
    if "request_id" not in g:
        g.request_id = new_request_id()
    identifier: str = g.request_id
    return identifier


def _assign_request_id() -> None:
    request_id()


def _add_request_id(response: Response) -> Response:
    response.headers[REQUEST_ID] = request_id()
    return response


def _answer(error: HTTPException) -> BaseResponse:
    status = error.code or 500
    if status < 400:
        return error.get_response()  # a redirect
    if status >= 500:
        # A page would query the user's name in the database, which may be what has failed.
        g._login_user = current_app.login_manager.anonymous_user()  # type: ignore[attr-defined]
    headers = _headers(status, error)
    explanation = _explain(status, error)
    response = _respond(status, explanation, retry=headers.get("retry-after"))
    response.headers.update(headers)
    return response


def _headers(status: int, error: HTTPException) -> Headers:
    headers = Headers(error.get_headers())
    headers.remove("Content-Type")
    headers.remove("Content-Length")
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers.setdefault("Retry-After", RETRY_SECONDS)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def _respond(status: int, explanation: str, *, retry: str | None = None) -> Response:
    """Answer with a problem in the API, else with a page."""
    if is_api():
        traced = {"request_id": request_id()} if status >= 500 else {}
        return problem(status, detail=explanation, **traced)
    page = page_over_form(status, explanation, request_id()) or error_page(
        status,
        explanation=explanation,
        request_id=request_id(),
        retry_seconds=int(retry) if retry and retry.isdecimal() else None,
    )
    return Response(page, status)


def _explain(status: int, error: HTTPException) -> str:
    if status >= 500 and commit_was_attempted():
        return str(UNKNOWN)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and request.endpoint in ROUTES_OF_FILES:
        size = ROUTES_OF_FILES[request.endpoint] // 1024**2
        return str(
            _(
                "The file is too large. It can have up to %(size)s MB. Divide it into smaller "
                "ones, and send one after the other.",
                size=size,
            )
        )
    if status == HTTPStatus.SERVICE_UNAVAILABLE and request.method in ("GET", "HEAD"):
        return str(UNAVAILABLE)
    return str(EXPLANATIONS.get(HTTPStatus(status), error.description))


def _expired(error: CSRFError) -> Response:
    log.info("refused a form without a valid token: %s", error.description)
    return Response(expired_page(request_id=request_id()), 400)


def _in_flight(_error: InFlight) -> Response:
    explanation = _("The same request has not been answered yet. Send it again in a moment.")
    if is_api():
        title = _("Request in flight")
        response = problem(409, detail=explanation, kind="request-in-flight", title=title)
    else:
        response = _respond(409, explanation)
    response.headers["Retry-After"] = RETRY_SECONDS
    return response


def _not_found(_: NotFound) -> BaseResponse:
    return _answer(HTTPNotFound())


def _damaged(error: DecisionDamaged) -> Response:
    log.error("%s", error)
    explanation = _(
        "Decision %(number)s is damaged: the database holds values that Loan Desk did not write "
        "(%(columns)s). Tell the people who run Loan Desk.",
        number=error.number,
        columns=", ".join(error.columns),
    )
    if is_api():
        more = {"title": _("Damaged decision"), "columns": list(error.columns)}
        return problem(409, detail=explanation, kind="damaged-decision", **more)
    return _respond(409, explanation)


def _unavailable(error: Exception) -> BaseResponse:
    # Only the first line of the driver's message: its other lines, and SQLAlchemy's message, repeat
    # the values of the statement.
    reason = str(getattr(error, "orig", error)).partition("\n")[0]
    log.error("request %s: not available%s: %s", request_id(), _doubt(), reason)
    metrics.count_unavailable(_missing(error))
    return _answer(ServiceUnavailable())


def _missing(error: Exception) -> Missing:
    if isinstance(error, OutcomeUnknown) or commit_was_attempted():
        return "outcome"
    if isinstance(error, NotStored):
        return "queue"
    return "model" if isinstance(error, ModelUnavailable | InvalidBundle) else "database"


def _unexpected(error: Exception) -> BaseResponse:
    _log_unexpected(error)
    return _answer(InternalServerError())


def _log_unexpected(error: BaseException | None) -> None:
    if isinstance(error, DBAPIError):
        # Without the message, in which PostgreSQL repeats the whole refused row.
        code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", "")
        where = "".join(traceback.format_tb(error.__traceback__))
        name = f"{type(error).__name__} {code}"
        log.error("request %s: unexpected%s: %s\n%s", request_id(), _doubt(), name, where)
    else:
        name = type(error).__name__
        log.error("request %s: unexpected%s: %s", request_id(), _doubt(), name, exc_info=error)


def _doubt() -> str:
    return " (it may have been stored)" if commit_was_attempted() else ""
