"""The form of a sign-in, its limits and records; a sign-out that ends all of a user's sessions."""

import logging
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, request
from flask_login import user_logged_out
from flask_security import LoginForm
from sqlalchemy import select

from webapp.extensions import db
from webapp.ledger.audit import record
from webapp.ledger.transaction import unit_of_work
from webapp.people import throttle, tries
from webapp.people.passwords import MAX_PASSWORD, hashing
from webapp.people.service import end_sessions
from webapp.people.tables import User

log = logging.getLogger(__name__)

SIGN_IN = "security.login"


class SignInForm(LoginForm):
    """Flask-Security's form, without the cookie that keeps a user signed in for a year."""

    remember = None  # type: ignore[assignment]

    def validate(self, **kwargs: Any) -> bool:  # noqa: ANN401 - Flask-Security's
        name = request.form.get("username", "")
        with hashing():
            address = throttle.of_address(request.remote_addr or "")
            tried = tries.count(throttle.of_account(name), address)
            accepted: bool = super().validate(**kwargs)
        if accepted:
            g.accepted = self.user.id, tried  # type: ignore[union-attr]  # there is one
        else:
            _record_refused(name)
        return accepted


def init_app(app: Flask) -> None:
    app.before_request(_check_form)
    app.after_request(_record_accepted)
    user_logged_out.connect(_end_sessions, app)


def _check_form() -> None:
    """Refuse what no browser sends: a `next` that is no URL, or a password that nobody can have."""
    if request.endpoint != SIGN_IN:
        return
    if len(request.form.get("password", "")) > MAX_PASSWORD:
        abort(400)
    for given in (request.args, request.form):
        try:
            urlsplit(given.get("next", ""))
        except ValueError:
            abort(400)


def _record_refused(username: str) -> None:
    """Log a refused sign-in, and add it to the audit log; the name itself may be a password."""
    known = select(User.id).where(User.username == username)
    user = None if "\0" in username else db.session.scalar(known)  # PostgreSQL refuses a NUL
    who = f"user {user}" if user else "no such user"
    log.warning("refused a sign-in from %s: %s", request.remote_addr, who)
    with unit_of_work() as transaction:
        record(transaction, "sign_in.refused", f"operator:{user}" if user else "unknown")


def _record_accepted(response: Response) -> Response:
    """Record a right password, and forget its try; only now may its hash have been renewed."""
    if "accepted" in g:
        user, tried = g.accepted
        log.info("accepted a sign-in from %s: user %s", request.remote_addr, user)
        with unit_of_work() as transaction:
            throttle.uncount(transaction, tried)
            record(transaction, "sign_in.accepted", f"operator:{user}", operator_id=user)
    return response


def _end_sessions(app: Flask, *, user: User, **more: object) -> None:
    """End every session of the user, also those with a copied cookie."""
    del app, more
    if "operator" not in g:
        return  # a sign-in without its second factor must not end the sessions of the person
    with unit_of_work() as transaction:
        end_sessions(transaction, user.id)
