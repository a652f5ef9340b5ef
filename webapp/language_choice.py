"""The choice of a language."""

from urllib.parse import urlsplit

from flask import Blueprint, abort, current_app, redirect, request, url_for
from werkzeug.wrappers import Response

from ml.product.texts import LANGUAGES
from webapp.language import COOKIE

blueprint = Blueprint("language", __name__)
YEAR = 365 * 24 * 3600  # seconds


@blueprint.post("/language/<code>")
def choose(code: str) -> Response:
    if code not in LANGUAGES:
        abort(404)
    response = redirect(_back(), 303)
    response.set_cookie(
        COOKIE,
        code,
        max_age=YEAR,
        samesite="Lax",
        httponly=True,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
    )
    return response


def _back() -> str:
    """Return where the person came from, if that is a page of ours."""
    try:
        came = urlsplit(request.referrer or "")
    except ValueError:
        return url_for("applications.home")
    if came.netloc != request.host or not came.path.startswith("/") or came.path.startswith("//"):
        return url_for("applications.home")
    return came.path + (f"?{came.query}" if came.query else "")
