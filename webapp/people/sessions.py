"""When a session ends by itself, and which step of the sign-in it still needs."""

import time

from flask import Flask, request, session
from flask_login import user_logged_in, user_logged_out

from webapp.extensions import settings
from webapp.people.second_factor import mark_of
from webapp.people.tables import User

BEGUN, SEEN, PASSED, PERSON = "begun", "seen", "second_factor", "person"
ENDED, SIGNED_OUT = "ended", "signed_out"  # for the sign-in page
WRITTEN_SECONDS = 60  # a page sets the cookie again only if the last moment is older
# The pages of the steps.
CODE, PASSWORD, ENROL = "account.code", "account.password", "account.enrol"


def init_app(app: Flask) -> None:
    app.before_request(_end_if_over)
    user_logged_in.connect(_begin, app)
    user_logged_out.connect(_note_sign_out, app)


def pass_second_factor(secret: str) -> None:
    """Note in this session that its user has proved to have the second factor."""
    session[PASSED] = mark_of(secret)


def mark_signed_out() -> None:
    """Note for the sign-in page that the user has signed out: no tab keeps anything then."""
    session[SIGNED_OUT] = True


def keep(uniquifier: str) -> None:
    """Keep this session, although all sessions of its user have ended."""
    session["_user_id"] = uniquifier


def person() -> int | None:
    """Return the number of the user, without a look into the database."""
    return session.get(PERSON)


def end() -> None:
    """End this session, if somebody had signed in, so that the sign-in page says so."""
    if "_user_id" in session:
        session.clear()
        session[ENDED] = True


def next_step(user: User) -> str | None:
    """Return the page that a session needs before any other, if it needs one."""
    secret = user.totp_secret
    if secret is not None and session.get(PASSED) != mark_of(secret):
        return CODE
    if user.password_is_temporary:
        return PASSWORD
    return ENROL if secret is None and settings().require_second_factor else None


def _begin(app: Flask, *, user: User, **more: object) -> None:
    del app, more
    session.pop(ENDED, None)
    session.pop(SIGNED_OUT, None)
    session.pop(PASSED, None)
    session[BEGUN] = session[SEEN] = int(time.time())
    session[PERSON] = user.id


def _note_sign_out(app: Flask, **more: object) -> None:
    del app, more
    mark_signed_out()


def _end_if_over() -> None:
    """End a session that has been idle, or has lasted, for too long."""
    if request.endpoint == "static" or "_user_id" not in session:
        return
    moment = int(time.time())
    idle, lasted = (moment - int(session.get(name, 0)) for name in (SEEN, BEGUN))
    if idle > settings().session_idle_minutes * 60 or lasted > settings().session_hours * 3600:
        end()
    elif idle > WRITTEN_SECONDS:
        session[SEEN] = moment
