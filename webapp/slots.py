"""Slots, which limit the requests that a process works on at once.

Requests that query a database that hangs keep their threads. So a process has one thread more than
slots: that thread answers requests that need no slot, and refuses the others.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any

from flask import Flask, abort, current_app, request
from werkzeug.exceptions import ServiceUnavailable

from webapp.metrics import metrics

PATIENCE = 2.0  # seconds that a request waits if no slot is taken or given back meanwhile
WITHOUT_SLOT = frozenset({"health.healthz"})
# These two query the database if they have a slot, and answer without it otherwise.
SLOT_OPTIONAL = frozenset({"health.readyz", "health.metrics_page"})
HELD = "loan_desk.slot"
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Slots:
    """A fixed number of slots, which several threads can take and give back."""

    def __init__(self, count: int) -> None:
        # Quicker than a semaphore, which is written in Python.
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)
        self._moved = time.monotonic()  # when a slot was last taken or given back

    def take(self) -> bool:
        """Take a slot, or return False when none was taken or given back for a while."""
        while True:
            until = self._moved + PATIENCE
            try:
                self._free.get(timeout=max(0, until - time.monotonic()))
            except Empty:
                if self._moved + PATIENCE == until:
                    return False
            else:
                self._moved = time.monotonic()
                return True

    def give_back(self) -> None:
        self._moved = time.monotonic()
        self._free.put(None)


def init_app(app: Flask, count: int) -> None:
    app.extensions["slots"] = Slots(count)
    app.before_request(_take)
    app.wsgi_app = _giving_back(app)  # type: ignore[method-assign, assignment]


def held() -> bool:
    """Return whether this request has a slot, and so may query the database."""
    return bool(request.environ.get(HELD))


@contextmanager
def slot_for_a_part() -> Iterator[None]:
    """Take a slot for a part of a response that is streamed, whose request has given its own back.

    So a slow client holds no slot while it receives. Raises ServiceUnavailable.
    """
    slots: Slots = current_app.extensions["slots"]
    if not slots.take():
        metrics.count_unavailable("slot")
        raise ServiceUnavailable
    try:
        yield
    finally:
        slots.give_back()


def _take() -> None:
    if request.endpoint in WITHOUT_SLOT:
        return
    if HELD not in request.environ:  # the API's short way in has tried already
        request.environ[HELD] = current_app.extensions["slots"].take()
    if not held() and request.endpoint not in SLOT_OPTIONAL:
        metrics.count_unavailable("slot")
        abort(503)


def _giving_back(app: Flask) -> Application:
    """Give the slot back only after the session has ended, because that uses the database."""
    application: Application = app.wsgi_app

    def called(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401
        try:
            return application(environ, start_response)
        finally:
            if environ.pop(HELD, False):
                app.extensions["slots"].give_back()

    return called
