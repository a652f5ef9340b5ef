"""Access control: default deny, sessions, API keys, and security headers."""

from datetime import timedelta
from typing import Any

from flask import Flask, Response, abort, current_app, g, redirect, request, url_for
from flask_security import RoleMixin, SQLAlchemyUserDatastore, current_user
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as BaseResponse

from webapp.config import Config
from webapp.extensions import csrf, db, security
from webapp.people import api_keys, sessions, sign_in
from webapp.people.access import API, PUBLIC, is_allowed, may
from webapp.people.operators import Operator
from webapp.people.tables import User

SIGN_OUT = "security.logout"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


def settings(config: Config) -> dict[str, Any]:
    return {
        # With this prefix, browsers take no cookie that another host of the bank's domain sets.
        "SESSION_COOKIE_NAME": "__Host-session" if config.https else "session",
        "SESSION_COOKIE_SECURE": config.https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": timedelta(hours=config.session_hours),
        "SECURITY_JOIN_USER_ROLES": False,  # it knows of none
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
        "SECURITY_POST_LOGIN_VIEW": "applications.home",
        "SECURITY_POST_LOGOUT_VIEW": "security.login",
        "SECURITY_LOGOUT_METHODS": ["POST"],
        "SECURITY_SEND_REGISTER_EMAIL": False,
        "SECURITY_CLI_USERS_NAME": False,  # replaced by webapp/people/commands.py
        "SECURITY_CLI_ROLES_NAME": False,
        "SECURITY_FRESHNESS": timedelta(-1),  # no page asks for the password again
        "SECURITY_STATIC_FOLDER": None,
        "SECURITY_CACHE_CONTROL": None,  # _add_headers sets it
    }


def init_app(app: Flask, config: Config) -> None:
    if config.proxies:  # only the client's address: schemes and hosts of requests are not used
        fixed = ProxyFix(app.wsgi_app, x_for=config.proxies, x_proto=0)
        app.wsgi_app = fixed  # type: ignore[method-assign]
    csrf.init_app(app)
    security.init_app(
        app, SQLAlchemyUserDatastore(db, User, RoleMixin), login_form=sign_in.SignInForm
    )
    # Only sessions sign a user in. Flask-Security would also accept tokens, which never expire, in
    # the query of any URL.
    app.login_manager.request_loader(lambda _: None)  # type: ignore[attr-defined]
    # Flask-Security knows of no roles. To find them, it would read the user even for files and
    # health checks.
    security.principal.identity_loaders.clear()
    sessions.init_app(app)
    app.before_request(_require_operator)
    app.after_request(_add_headers)
    app.jinja_env.globals["may"] = may
    sign_in.init_app(app)


def _require_operator() -> BaseResponse | None:
    endpoint = request.endpoint
    if endpoint is None:
        _find_operator()  # the page of the error has a menu
        return None
    if endpoint in PUBLIC:
        return None
    if endpoint.startswith(API):
        g.operator = _operator_of_key()
        return None
    if not current_user.is_authenticated:
        sessions.end()  # a sign-out elsewhere, a new password or other roles may have ended it
        if endpoint == SIGN_OUT:
            sessions.mark_signed_out()
        return redirect(url_for("security.login", next=_next_page()))
    step = sessions.next_step(current_user)
    if step is not None:
        return _lead_to(step, endpoint)
    _find_operator()
    if not is_allowed(g.operator, endpoint):
        abort(403)
    return None


def _find_operator() -> None:
    """Find out who has signed in, if anybody has and has taken every step of it."""
    if current_user.is_authenticated and sessions.next_step(current_user) is None:
        roles = frozenset(row.role for row in current_user.role_rows)
        g.operator = Operator("user", current_user.id, current_user.username, roles)


def _lead_to(step: str, endpoint: str) -> BaseResponse | None:
    """Leave a session only the step of the sign-in that it needs, and the sign-out."""
    return None if endpoint in (step, SIGN_OUT) else redirect(url_for(step, next=_next_page()))


def _next_page() -> str | None:
    """Return the page to go to after signing in: a form that was sent is opened again."""
    rule = request.url_rule
    opens = rule is not None and "GET" in (rule.methods or ())
    return request.full_path.rstrip("?") if opens else None


def _operator_of_key() -> Operator:
    operator = api_keys.operator_of_key(
        api_keys.bearer_key(request.headers.get("Authorization", ""))
    )
    if operator is None:
        abort(401)
    return operator


def response_headers(*, https: bool) -> dict[str, str]:
    """Return the headers of every response that does not set its own."""
    transport = {"Strict-Transport-Security": "max-age=31536000"} if https else {}
    return {**HEADERS, **transport, "Cache-Control": "no-store"}


def _add_headers(response: Response) -> Response:
    https = current_app.config["SESSION_COOKIE_SECURE"]
    for name, value in response_headers(https=https).items():
        response.headers.setdefault(name, value)  # files and plots set their own Cache-Control
    return response
