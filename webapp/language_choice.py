"""The endpoint that sets the language of the pages."""

from urllib.parse import urlsplit

from flask import Blueprint, abort, current_app, redirect, request, url_for
from werkzeug.wrappers import Response

from ml.product.texts import LANGUAGES
from webapp.language import COOKIE

blueprint = Blueprint("language", __name__)
COOKIE_SECONDS = 365 * 24 * 3600


@blueprint.post("/language/<code>")
def choose(code: str) -> Response:
    if code not in LANGUAGES:
        abort(404)
    response = redirect(_previous_page(), 303)
    response.set_cookie(
        COOKIE,
        code,
        max_age=COOKIE_SECONDS,
        samesite="Lax",
        httponly=True,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
    )
    return response


def _previous_page() -> str:
    """Return the path of the referring page if it belongs to this site, else the home page's."""
    try:
        referrer = urlsplit(request.referrer or "")
    except ValueError:
        return url_for("applications.home")
    path = referrer.path
    if referrer.netloc != request.host or not path.startswith("/") or path.startswith("//"):
        return url_for("applications.home")
    return path + (f"?{referrer.query}" if referrer.query else "")
