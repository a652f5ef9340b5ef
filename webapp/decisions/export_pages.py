"""The export of the list as a CSV file."""

import logging
from collections.abc import Iterator
from threading import BoundedSemaphore

from flask import Response, abort, current_app, g, request, stream_with_context
from flask.blueprints import BlueprintSetupState
from flask_babel import gettext as _
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import ServiceUnavailable

from ml.product.definition import Product
from webapp.csv_files import START, csv_text, streamed
from webapp.decisions import exporting
from webapp.decisions.conditions import Question
from webapp.decisions.filters import InvalidFilter, given_in, read_filter
from webapp.decisions.pages import blueprint
from webapp.extensions import settings
from webapp.failures import OutcomeUnknown
from webapp.ledger.transaction import end_reading
from webapp.serving.served import model

log = logging.getLogger(__name__)

# A client has so many seconds for each chunk, and cannot keep the thread that sends for longer.
SECONDS_PER_CHUNK = 30
THREADS_PER_EXPORT = 4  # so that most of a process stays free


@blueprint.record_once
def _limit(state: BlueprintSetupState) -> None:
    threads = state.app.extensions["settings"].threads
    state.app.extensions["exports"] = BoundedSemaphore(max(1, threads // THREADS_PER_EXPORT))


@blueprint.post("/decisions/export")
def export() -> Response:
    given = given_in(request.args.to_dict())
    try:
        question = Question(read_filter(given), g.operator, settings().timezone)
    except InvalidFilter:
        abort(400)
    running: BoundedSemaphore = current_app.extensions["exports"]
    if not running.acquire(blocking=False):
        abort(503)
    try:
        product = model.bundle.product if request.form.get("personal") == "yes" else None
        name = exporting.start_export(question, given=given, product=product)
        response = streamed(
            stream_with_context(_sent(question, name, product)),
            name=_("decisions") + f"-{name}.csv",
        )
    except BaseException:
        running.release()
        raise
    response.call_on_close(running.release)
    return response


def _sent(question: Question, name: str, product: Product | None) -> Iterator[str]:
    """Yield the file in parts; however it ends, the audit log says so."""
    _limit_time_of_each_part()
    rows = 0
    end: exporting.End = "interrupted"  # the client has gone away, or takes too long
    end_reading()
    try:
        yield START + csv_text([exporting.headings(product)])
        for chunk in exporting.chunks(question, product):
            yield csv_text(chunk)
            rows += len(chunk)
        end = "complete"
    except Exception as error:
        end = "unavailable"
        log.error("export %s: %s", name, type(error).__name__)
        raise  # the connection ends before the file does, which browsers notice
    finally:
        _note_end(question, name, rows=rows, end=end)


def _note_end(question: Question, name: str, *, rows: int, end: exporting.End) -> None:
    """Add the entry of the end, if the database can be written to.

    Raising here would leave the place of this export taken for good: Werkzeug would not call what
    gives it back.
    """
    try:
        exporting.end_export(question, name, rows=rows, end=end)
    except (SQLAlchemyError, ServiceUnavailable, OutcomeUnknown) as error:
        log.error(
            "export %s ended after %s rows (%s), without an entry in the audit log: %s",
            name,
            rows,
            end,
            type(error).__name__,
        )


def _limit_time_of_each_part() -> None:
    """Close the connection of a client that takes a part too slowly; gunicorn itself would wait."""
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(SECONDS_PER_CHUNK)
