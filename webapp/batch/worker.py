"""The thread that decides a checked file while its page shows how far it is."""

import logging
import secrets
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from threading import Thread
from typing import NamedTuple

from flask import Flask, current_app
from sqlalchemy.exc import DBAPIError

from ml.bundle.decide import Verdict
from ml.bundle.reader import Bundle
from ml.product.application import Submission
from webapp.batch import service
from webapp.batch.records import Row
from webapp.decisions.deciding import Judged, verdicts_of_many
from webapp.failures import OutcomeUnknown
from webapp.ledger.transaction import unit_of_work
from webapp.metrics import metrics
from webapp.people.operators import Operator
from webapp.serving.served import model

log = logging.getLogger(__name__)

MAX_PART = 100  # rows that are decided between two looks at the clock
QUICK_SECONDS = 0.2  # for a part: the next one may be larger
NOTE_SECONDS = 0.5  # between two notes of how far it is


class Work(NamedTuple):
    """What a thread decides, and with which bundle."""

    number: int
    rows: Sequence[Row]
    bundle: Bundle
    operator: Operator
    run: str


def start(number: int, *, operator: Operator) -> None:
    """Begin to decide a file of the operator's, unless that has begun or is done.

    Raises NotFound, and InvalidApplication if the product has changed since the file was checked.
    """
    applications = service.applications_of(number, operator=operator)
    if applications is None:
        return
    usable = model.usable  # a reload meanwhile must not change by which rules it was checked
    rows = applications.read(usable.rules)
    run = secrets.token_hex(16)
    with unit_of_work() as transaction:
        begun = service.begin(transaction, number, run=run)
    if begun:
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # a proxy
        # Not a daemon: a worker that is stopped lets it end, as long as gunicorn waits.
        work = Work(number, rows, usable.bundle, operator, run)
        Thread(target=_run, args=(app, work), name="batch").start()


def _run(app: Flask, work: Work) -> None:
    number, operator = work.number, work.operator
    with app.app_context():
        try:
            judged = _judge(work)
            with metrics.timing_each(metrics.writing, 1), unit_of_work() as transaction:
                service.store_batch(transaction, number, judged, operator=operator)
        except Exception as error:
            _log(number, error)
            with suppress(DBAPIError, OutcomeUnknown), unit_of_work() as transaction:
                service.note_failure(transaction, number, run=work.run)


def _judge(work: Work) -> list[tuple[int, Judged]]:
    """Return each row's line, and its application with the model's verdict."""
    verdicts = _score(work, [row.submission for row in work.rows])
    return [
        (row.line, Judged(work.operator, "batch", work.bundle, row.submission, verdict))
        for row, verdict in zip(work.rows, verdicts, strict=True)
    ]


def _score(work: Work, submissions: Sequence[Submission]) -> Iterator[Verdict]:
    """Yield the verdict on each application, and note from time to time how many there are.

    The parts are small at first: a champion without arrays may need seconds for a refusal.
    """
    noted, size, done = time.monotonic(), 1, 0
    while done < len(submissions):
        began = time.monotonic()
        part = submissions[done : done + size]
        yield from verdicts_of_many(work.bundle, [submission.application for submission in part])
        done += len(part)
        ended = time.monotonic()
        size = min(2 * size, MAX_PART) if ended - began < QUICK_SECONDS else max(size // 2, 1)
        if ended - noted > NOTE_SECONDS:
            noted = ended
            with unit_of_work() as transaction:
                service.note_progress(transaction, work.number, run=work.run, decided=done)


def _log(number: int, error: Exception) -> None:
    """Log an error without its message, in which a driver repeats values of the statement."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("batch %s was not stored: %s\n%s", number, type(error).__name__, where)
