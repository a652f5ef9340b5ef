"""The slots of a process: how many requests it works on at once.

A database that hangs holds whoever asks it. One thread more than there are slots answers what needs
none, and refuses the rest.
"""

import time
from collections.abc import Callable, Iterable
from threading import BoundedSemaphore
from typing import Any

from flask import Flask, abort, current_app, request

PATIENCE = 2.0  # seconds in which some request must begin or end, or the next one is refused
NEED_NONE = frozenset({"static", "bootstrap.static", "health.healthz"})
ASK = frozenset({"health.readyz", "health.metrics_page"})  # they answer without a slot too
_HELD = "loan_desk.slot"
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Slots:
    """A number of slots for threads; nobody waits for them while nothing moves."""

    def __init__(self, count: int) -> None:
        self._free = BoundedSemaphore(count)
        self._moved = time.monotonic()  # when a slot was last taken or given back

    def take(self) -> bool:
        """Take a slot, or return False when none was taken or given back for a while."""
        while True:
            until = self._moved + PATIENCE
            if self._free.acquire(timeout=max(0, until - time.monotonic())):
                self._moved = time.monotonic()
                return True
            if self._moved + PATIENCE == until:
                return False

    def give_back(self) -> None:
        self._moved = time.monotonic()
        self._free.release()


def init_app(app: Flask, count: int) -> None:
    app.extensions["slots"] = Slots(count)
    app.before_request(_take)
    app.wsgi_app = _giving_back(app)  # type: ignore[method-assign, assignment]


def held() -> bool:
    """Whether this request may ask the database."""
    return bool(request.environ.get(_HELD))


def _take() -> None:
    if request.endpoint in NEED_NONE:
        return
    request.environ[_HELD] = current_app.extensions["slots"].take()
    if not held() and request.endpoint not in ASK:
        abort(503)


def _giving_back(app: Flask) -> Application:
    """Give the slot back when all is done, the end of the session too: that asks the database."""
    application: Application = app.wsgi_app

    def called(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401
        try:
            return application(environ, start_response)
        finally:
            if environ.pop(_HELD, False):
                app.extensions["slots"].give_back()

    return called
