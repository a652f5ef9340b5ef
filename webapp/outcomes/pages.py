"""The pages of outcomes: the part of a decision's page, the list, and the upload of a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from flask import (
    Blueprint,
    Response,
    abort,
    g,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as BaseResponse

from webapp.csv_files import InvalidFile, download, file_name
from webapp.decisions import history, pages as decisions, search
from webapp.decisions.damage import Damaged
from webapp.decisions.history import HistoryEvent
from webapp.decisions.records import Decision
from webapp.extensions import db, settings
from webapp.failures import InvalidOutcome
from webapp.ledger.transaction import unit_of_work
from webapp.outcomes import importing, service
from webapp.outcomes.files import COLUMNS, File, read_file
from webapp.outcomes.forms import GOOD_OR_BAD, REASONS, OutcomeForm, outcome_form
from webapp.outcomes.importing import Imported
from webapp.outcomes.records import Outcome
from webapp.reviews.counting import net_granted
from webapp.uploads.service import keep_refused

blueprint = Blueprint("outcomes", __name__)


@dataclass(frozen=True)
class Part:
    """What the page of a granted loan shows of its outcomes."""

    outcomes: list[Outcome | Damaged]
    form: OutcomeForm
    today: date


@blueprint.app_context_processor
def _in_templates() -> dict[str, object]:
    return {
        "outcomes_of": _outcomes_of,
        "outcome_names": GOOD_OR_BAD,
        "correction_reasons": REASONS,
    }


def _outcomes_of(decision: Decision) -> Part:
    today = service.today_in(settings().timezone)
    form = g.get("outcome_form") or outcome_form(today=today)
    return Part(service.list_outcomes(decision.id), form, today)


def _events(decision: Decision) -> Iterator[HistoryEvent]:
    for outcome in service.list_outcomes(decision.id):
        if not isinstance(outcome, Damaged):
            what = _("Outcome corrected") if outcome.reason else _("Outcome recorded")
            more = str(GOOD_OR_BAD[outcome.outcome])
            yield HistoryEvent(outcome.created_at, outcome.operator, str(what), more)


history.register(blueprint, _events)


@blueprint.post("/decisions/<id:number>/outcome")
def record(number: int) -> BaseResponse | tuple[str, int]:
    search.find_decision(number)
    form = OutcomeForm()
    new = form.read(number)
    if new is not None:
        try:
            with unit_of_work() as transaction:
                service.record_outcome(
                    transaction, new, operator=g.operator, zone=settings().timezone
                )
        except InvalidOutcome as invalid:
            form.show(invalid.errors)
        else:
            return redirect(url_for("decisions.show", number=number, _anchor="outcome"), 303)
    g.outcome_form = form
    return decisions.show(number), 422


@blueprint.get("/decisions/<id:number>/outcome")
def show(number: int) -> BaseResponse:
    """Redirect to the decision: a reload or a new language after an invalid form sends a GET."""
    return redirect(url_for("decisions.show", number=number, _anchor="outcome"))


@blueprint.route("/outcomes", methods=["GET", "POST"])
def index() -> str | tuple[str, int] | BaseResponse:
    form = FlaskForm()
    if not form.is_submitted():
        return _page(form)
    file = request.files.get("file")
    if not form.validate() or file is None:
        abort(400)
    data = file.read()
    check = "check" in request.form
    if not file.filename:
        return _page(form, missing=True), 422
    try:
        imported = _import(read_file(data), check=check)
    except InvalidFile as invalid:
        return _page(form, invalid=invalid), 422
    if imported.wrong:
        return redirect(url_for("uploads.show", number=_refuse(imported, file.filename)), 303)
    return _page(form, imported=imported, check=check)


@blueprint.get("/outcomes/template.csv")
def template() -> Response:
    """Return a file with the columns of outcomes, and no rows."""
    return download([COLUMNS], name="outcomes.csv")


def _import(file: File, *, check: bool) -> Imported:
    zone = settings().timezone
    if check:
        with db.engine.connect() as connection:
            return importing.check_file(connection, file, zone=zone)
    with unit_of_work() as transaction:
        return importing.import_file(transaction, file, operator=g.operator, zone=zone)


def _refuse(imported: Imported, name: str) -> int:
    """Keep what is wrong with a file, and return its number."""
    with unit_of_work() as transaction:
        return keep_refused(
            transaction,
            imported.wrong,
            kind="outcomes",
            name=file_name(name),
            operator=g.operator,
        )


def _page(form: FlaskForm, **result: object) -> str:
    totals = {"good": 0, "bad": 0}
    for row in service.count_outcomes():
        totals[row.outcome] += row.total
    granted = sum(d.total for d in search.count_decisions() if d.decision == "granted")
    granted += sum(number for _moment, number in net_granted())
    return render_template(
        "outcomes/index.html",
        form=form,
        totals=totals,
        granted=granted,
        latest=service.list_latest(),
        **result,
    )
