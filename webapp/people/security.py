"""Who may do what: default deny, sign-in, API keys, and headers that bind the browser."""

import logging
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, g, redirect, request, url_for
from flask_security import LoginForm, RoleMixin, SQLAlchemyUserDatastore, current_user
from sqlalchemy import select
from werkzeug.wrappers import Response as BaseResponse

from webapp.config import Config
from webapp.extensions import csrf, db, security
from webapp.people import api_keys
from webapp.people.operators import Operator
from webapp.people.tables import User

log = logging.getLogger(__name__)

# Everything else needs an operator.
PUBLIC = frozenset(
    {
        "static",
        "bootstrap.static",
        "security.login",
        "language.choose",
        "health.healthz",
        "health.readyz",
        "health.metrics_page",
    }
)
API = "api."
SIGN_IN = "security.login"
MAX_PASSWORD = 1_000  # characters: none of ours is longer, and hashing takes time by length
MAX_HASHES = 2  # that one worker computes at once; each takes a core and 64 MiB
MAX_WAIT = 0.25  # seconds, for one of them to end; who waits holds a thread
_hashing = BoundedSemaphore(MAX_HASHES)
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


def settings(config: Config) -> dict[str, Any]:
    return {
        "SESSION_COOKIE_SECURE": config.https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": timedelta(hours=12),
        "SECURITY_JOIN_USER_ROLES": False,  # there are none
        "SECURITY_USERNAME_ENABLE": True,
        "SECURITY_USERNAME_MIN_LENGTH": 1,
        "SECURITY_USERNAME_MAX_LENGTH": 64,
        "SECURITY_USERNAME_ALLOWED_CHARS": None,
        "SECURITY_INPUT_NORMALIZE_FORM": "NFC",
        "SECURITY_USER_IDENTITY_ATTRIBUTES": [
            {"username": {"mapper": str, "case_insensitive": False}}
        ],
        "SECURITY_PASSWORD_HASH": "argon2",
        "SECURITY_PASSWORD_SCHEMES": ["argon2"],
        "SECURITY_PASSWORD_SINGLE_HASH": True,
        "SECURITY_RETURN_GENERIC_RESPONSES": True,
        "SECURITY_LOGIN_USER_TEMPLATE": "people/sign_in.html",
        "SECURITY_POST_LOGIN_VIEW": "applications.new",
        "SECURITY_POST_LOGOUT_VIEW": "security.login",
        "SECURITY_LOGOUT_METHODS": ["POST"],
        "SECURITY_SEND_REGISTER_EMAIL": False,
        "SECURITY_FLASH_MESSAGES": True,
        "SECURITY_CLI_USERS_NAME": False,  # our own command does less and says more
        "SECURITY_CLI_ROLES_NAME": False,
        "SECURITY_FRESHNESS": timedelta(-1),  # no page asks for the password again
        "SECURITY_STATIC_FOLDER": None,
    }


class SignInForm(LoginForm):
    """Flask-Security's, without its cookie of a year that outlives the session."""

    remember = None  # type: ignore[assignment]


def init_app(app: Flask) -> None:
    csrf.init_app(app)
    security.init_app(app, SQLAlchemyUserDatastore(db, User, RoleMixin), login_form=SignInForm)
    # Flask-Security would also take tokens from any address's query, and they never expire:
    # only a session signs in.
    app.login_manager.request_loader(lambda _: None)  # type: ignore[attr-defined]
    # Nor does anybody have a role, for which the user would be read with every file and probe.
    security.principal.identity_loaders.clear()
    app.before_request(_require_operator)
    app.before_request(_limit_sign_in)
    app.after_request(_log_refused_sign_in)
    app.after_request(_add_headers)
    app.teardown_request(_end_sign_in)


def _require_operator() -> BaseResponse | None:
    endpoint = request.endpoint
    if endpoint is None or endpoint in PUBLIC:
        return None
    if endpoint.startswith(API):
        g.operator = _operator_of_key()
        return None
    if not current_user.is_authenticated:
        there = request.full_path.rstrip("?") if request.method == "GET" else None
        return redirect(url_for("security.login", next=there))
    g.operator = Operator("user", current_user.id, current_user.username)
    return None


def _limit_sign_in() -> None:
    """Refuse a sign-in that is no form, or that would be one too many at a time."""
    _refuse_next()
    if request.endpoint != SIGN_IN or request.method != "POST":
        return
    if request.mimetype != "application/x-www-form-urlencoded":
        abort(415)
    if len(request.form.get("password", "")) > MAX_PASSWORD:
        abort(400)
    if not _hashing.acquire(timeout=MAX_WAIT):
        abort(429)
    g.hashing = True


def _refuse_next() -> None:
    """Refuse an address to go on to that cannot be read, before anybody is signed in."""
    for given in (request.args, request.form):
        try:
            urlsplit(given.get("next", ""))
        except ValueError:
            abort(400)


def _end_sign_in(error: BaseException | None) -> None:
    del error
    if g.pop("hashing", False):
        _hashing.release()


def _log_refused_sign_in(response: Response) -> Response:
    if "hashing" in g and response.status_code == 200:  # a sign-in that succeeds redirects
        name = request.form.get("username", "")
        user = db.session.scalar(select(User.id).where(User.username == name))
        log.warning("refused a sign-in: %s", f"user {user}" if user else "no such user")
    return response


def _operator_of_key() -> Operator:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    operator = api_keys.operator_of_key(key.strip()) if scheme.lower() == "bearer" else None
    if operator is None:
        abort(401)
    return operator


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if current_app.config["SESSION_COOKIE_SECURE"]:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.endpoint not in ("static", "bootstrap.static"):
        response.headers["Cache-Control"] = "no-store"
    return response
