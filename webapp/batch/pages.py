"""The pages of batches: the upload, the list, one batch, its result to download."""

import secrets
from collections.abc import Iterator
from typing import get_args

from flask import Blueprint, Response, abort, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from ml.explaining.reasons import MAX_PRINCIPAL_REASONS
from ml.product.definition import REFERENCE
from ml.product.errors import InvalidApplication
from ml.product.formats import decimal
from webapp.batch import search, service, worker
from webapp.batch.files import MAX_ROWS, columns_of, read_file
from webapp.batch.records import Line
from webapp.columns import DecisionValue
from webapp.csv_files import InvalidFile, download, file_name
from webapp.decisions.damage import Damaged
from webapp.decisions.records import Decision
from webapp.incoming import MAX_BATCH_BYTES
from webapp.language import current, words
from webapp.ledger.transaction import unit_of_work
from webapp.people.access import sees_all
from webapp.people.operators import Operator
from webapp.serving.served import model
from webapp.uploads.service import keep_refused

blueprint = Blueprint("batches", __name__)
LINES = 50  # of a batch, on the page
PLACES = 4  # of a probability in a result


@blueprint.app_context_processor
def _in_templates() -> dict[str, object]:
    return {"line_of": _line_of}


def _line_of(decision: Decision) -> Line | None:
    return search.line_of(decision.id) if decision.channel == "batch" else None


@blueprint.get("/batches")
def index() -> str:
    return _index()


@blueprint.post("/batches")
def upload() -> tuple[str, int] | BaseResponse:
    file = request.files.get("file")
    if file is None:
        abort(400)
    data = file.read()
    if not file.filename:
        return _index(missing=True), 422
    name = file_name(file.filename)
    try:
        rows, wrong = read_file(data, model.rules)
    except InvalidFile as invalid:
        return _index(invalid=invalid, name=name), 422
    if wrong:
        with unit_of_work() as transaction:
            refused = keep_refused(transaction, wrong, kind="batch", name=name, operator=g.operator)
        return redirect(url_for("uploads.show", number=refused), 303)
    token = request.form.get("submission") or secrets.token_hex(16)
    number = service.keep_once(rows, data=data, token=token, name=name, operator=g.operator)
    return redirect(url_for("batches.show", number=number), 303)


@blueprint.get("/batches/template.csv")
def template() -> Response:
    """Return a file with the columns of the product, and no rows."""
    product = model.bundle.product
    return download([columns_of(product)], name=f"{product.name}.csv")


@blueprint.get("/batches/<id:number>")
def show(number: int) -> str | tuple[str, int]:
    checked = search.find_checked(number, owner=g.operator)
    if checked is not None:
        same = search.find_same_file(number)
        return render_template("batch/checked.html", checked=checked, same=same)
    return _decided(number)


@blueprint.post("/batches/<id:number>/decide")
def decide(number: int) -> BaseResponse | tuple[str, int]:
    try:
        worker.start(number, operator=g.operator)
    except InvalidApplication:
        checked = search.find_checked(number, owner=g.operator)
        return render_template("batch/checked.html", checked=checked, outdated=True), 409
    return redirect(url_for("batches.show", number=number), 303)


@blueprint.get("/batches/<id:number>/decide")
def reload(number: int) -> BaseResponse:
    """Redirect to the batch: a reload or a new language after a refusal sends a GET."""
    return redirect(url_for("batches.show", number=number))


@blueprint.post("/batches/<id:number>/discard")
def discard(number: int) -> BaseResponse:
    with unit_of_work() as transaction:
        service.discard(transaction, number, operator=g.operator)
    return redirect(url_for("batches.index"), 303)


@blueprint.get("/batches/<id:number>/result.csv")
def result(number: int) -> Response:
    search.find_batch(number, owner=_owner())
    return download(_result(number), name=_("batch") + f"-{number}.csv")


def _index(**more: object) -> str:
    batches = search.list_batches(owner=_owner(), before=_number("before"))
    return render_template(
        "batch/index.html",
        submission=secrets.token_hex(16),
        product=model.bundle.product,
        reference=REFERENCE,
        checked=search.list_checked(owner=g.operator),
        batches=batches[: search.PAGE],
        older=batches[search.PAGE - 1].id if len(batches) > search.PAGE else None,
        max_rows=MAX_ROWS,
        max_megabytes=MAX_BATCH_BYTES // 1024**2,
        **more,
    )


def _decided(number: int) -> str:
    batch = search.find_batch(number, owner=_owner())
    decision = request.args.get("decision")
    if decision is not None and decision not in get_args(DecisionValue):
        abort(400)
    after = _number("after") or 0
    lines = list(search.list_decided(number, after=after, decision=decision, limit=LINES + 1))
    return render_template(
        "batch/show.html",
        batch=batch,
        lines=lines[:LINES],
        more=lines[LINES - 1][0] if len(lines) > LINES else None,
        after=after,
        chosen=decision,
    )


def _owner() -> Operator | None:
    """Return the operator if he or she sees only own batches."""
    operator: Operator = g.operator
    return None if sees_all(operator) else operator


def _result(number: int) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a result in the order of the file, with the names of the columns first."""
    names = {"granted": _("granted"), "refused": _("refused"), "referred": _("referred")}
    language = current()
    head = (_("Line"), _("Reference"), _("No."), _("Decision"), _("Final word"), _("Probability"))
    places = range(1, MAX_PRINCIPAL_REASONS + 1)
    yield (*head, *(_("Reason %(number)s", number=place) for place in places))
    for line, row in search.list_decided(number, after=0, decision=None):
        if isinstance(row, Damaged):
            yield line, "", row.id, _("Damaged row"), *row.columns
            continue
        reasons = [words(text) for text in row.texts[:MAX_PRINCIPAL_REASONS]]
        probability = decimal(row.probability, language, places=PLACES)
        final = "" if row.final == "referred" else names[row.final]
        lacking = [""] * (MAX_PRINCIPAL_REASONS - len(reasons))
        facts = (line, row.reference, row.id, names[row.decision], final, probability)
        yield (*facts, *reasons, *lacking)


def _number(name: str) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        abort(400)
    return int(text)
