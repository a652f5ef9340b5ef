"""Sign-ins: what Flask-Security gets to see, what is logged; and a sign-out that ends sessions."""

import logging
from threading import BoundedSemaphore
from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, request
from flask_login import user_logged_out
from flask_security import LoginForm
from sqlalchemy import select

from webapp.extensions import db
from webapp.ledger.transaction import unit_of_work
from webapp.people.service import end_sessions
from webapp.people.tables import User

log = logging.getLogger(__name__)

SIGN_IN = "security.login"
MAX_PASSWORD = 1_000  # characters: none of ours is longer, and hashing takes time by length
MAX_HASHES = 1  # that one worker computes at once; each takes every core and 64 MiB
MAX_WAITING = 1  # sign-ins that wait for it; each holds a thread, and the next is refused at once
MAX_WAIT = 1.0  # seconds
_hashing = BoundedSemaphore(MAX_HASHES)
_admitted = BoundedSemaphore(MAX_HASHES + MAX_WAITING)


class SignInForm(LoginForm):
    """Flask-Security's, without its cookie of a year that outlives the session."""

    remember = None  # type: ignore[assignment]


def init_app(app: Flask) -> None:
    app.before_request(_limit)
    app.after_request(_log_refused)
    app.teardown_request(_end)
    user_logged_out.connect(_end_sessions, app)


def _limit() -> None:
    """Refuse a sign-in that is no form, or that would be one too many at a time."""
    if request.endpoint != SIGN_IN:
        return
    _refuse_unreadable_next()
    if request.method != "POST":
        return
    if request.mimetype != "application/x-www-form-urlencoded":
        abort(415)
    if len(request.form.get("password", "")) > MAX_PASSWORD:
        abort(400)
    if not _admitted.acquire(blocking=False):
        abort(429)
    g.admitted = True
    if not _hashing.acquire(timeout=MAX_WAIT):
        abort(429)
    g.hashing = True


def _refuse_unreadable_next() -> None:
    """Refuse an address to go on to that cannot be read, before anybody is signed in."""
    for given in (request.args, request.form):
        try:
            urlsplit(given.get("next", ""))
        except ValueError:
            abort(400)


def _log_refused(response: Response) -> Response:
    if "hashing" in g and response.status_code == 200:  # a sign-in that succeeds redirects
        name = request.form.get("username", "")
        known = select(User.id).where(User.username == name)
        user = None if "\0" in name else db.session.scalar(known)  # PostgreSQL refuses a NUL
        log.warning("refused a sign-in: %s", f"user {user}" if user else "no such user")
    return response


def _end_sessions(app: Flask, *, user: User, **more: object) -> None:
    """Let no copy of a cookie outlive the sign-out."""
    del app, more
    with unit_of_work() as transaction:
        end_sessions(transaction, user.id)


def _end(error: BaseException | None) -> None:
    del error
    if g.pop("hashing", False):
        _hashing.release()
    if g.pop("admitted", False):
        _admitted.release()
