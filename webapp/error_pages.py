"""The page of an error: what happened, what to do next, and the number of the request."""

from http import HTTPStatus

from flask import render_template, request
from flask_babel import gettext as _, lazy_gettext, ngettext

ADVICE = {
    HTTPStatus.BAD_REQUEST: lazy_gettext("Go back, reload the page and try again."),
    HTTPStatus.FORBIDDEN: lazy_gettext(
        "Your roles do not include it. If you need it for your work, ask whoever manages the users "
        "of Loan Desk."
    ),
    HTTPStatus.NOT_FOUND: lazy_gettext(
        "Check the address or the number. You may also have no access: a clerk sees only the "
        "decisions that he or she entered."
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: lazy_gettext("Open the page from the menu."),
    HTTPStatus.INTERNAL_SERVER_ERROR: lazy_gettext(
        "Try again. If it happens again, tell the people who run Loan Desk, and give them the "
        "number of this request."
    ),
}
MINUTE = 60  # seconds


def error_page(
    status: int, *, explanation: str, request_id: str, retry_seconds: int | None = None
) -> str:
    """Write the page of an error; it needs neither the database nor the model."""
    heading, _stop, rest = explanation.removesuffix(".").partition(". ")
    advice = [str(ADVICE[HTTPStatus(status)])] if status in ADVICE else []
    if rest:
        advice = [f"{rest}.", *advice]
    if retry_seconds is not None and retry_seconds > MINUTE:
        minutes = -(-retry_seconds // MINUTE)
        wait = ngettext("Wait for %(num)d minute.", "Wait for %(num)d minutes.", minutes)
        advice = [wait, *advice]
    repeatable = status >= 500 and request.method in ("GET", "HEAD")
    return render_template(
        "errors/error.html",
        status=status,
        heading=heading,
        advice=advice,
        request_id=request_id,
        again=request.full_path.rstrip("?") if repeatable else None,
    )


def expired_page(*, request_id: str) -> str:
    """Write the page for a form whose token is not valid any more."""
    return render_template(
        "errors/error.html",
        status=400,
        heading=_("This form has expired or was not opened here"),
        advice=[_("Go back, reload the page and send it again. Nothing was stored.")],
        request_id=request_id,
        again=None,
    )
