"""The decisions: one with its explanation, the list of them, and trials of other values."""

import logging
from dataclasses import dataclass

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from ml.product.application import Value
from ml.product.definition import Field
from ml.product.texts import Text
from webapp.columns import LAST_ID
from webapp.decisions import explanations, search, service
from webapp.decisions.damage import Damaged
from webapp.decisions.forms import ApplicationForm, trial_form
from webapp.decisions.records import Contents, Decision, Stored, Trial
from webapp.language import decimal, integer, words
from webapp.ledger.transaction import unit_of_work
from webapp.serving.served import model

log = logging.getLogger(__name__)

blueprint = Blueprint("decisions", __name__)
ZERO = 100  # the middle of the chart, in its own units


@dataclass(frozen=True)
class Row:
    """A line of the decision page: what was entered and what the model saw of it."""

    label: str
    value: str
    unit: str
    normalised: str
    empty: bool = False


@dataclass(frozen=True)
class Bar:
    """A field's share on the chart, to the left or to the right of zero."""

    text: str
    share: float
    x: float
    width: float
    principal: bool


@blueprint.get("/decisions")
def index() -> str:
    page = search.list_decisions(before=_position("before"), after=_position("after"))
    return render_template("decisions/index.html", page=page, product=model.bundle.product)


@blueprint.get("/decisions/<id:number>")
def show(number: int) -> str:
    decision, contents = _found(number)
    return _page(decision, contents, _trial_form(decision, contents))


@blueprint.post("/decisions/<id:number>/trials")
def trial(number: int) -> Response | tuple[str, int]:
    decision, contents = _found(number)
    form = _trial_form(decision, contents)
    if form is None or contents is None:
        abort(404)
    application = form.read(model.rules_of(decision.model), beside=contents.inputs)
    if application is None:
        return _page(decision, contents, form), 422
    verdict = service.judge_trial(decision, application)
    with unit_of_work() as transaction:
        trial_id = service.add_trial(
            transaction, decision.id, application, verdict, operator=g.operator
        )
    log.info("trial %s on decision %s by user %s", trial_id, decision.id, g.operator.id)
    return redirect(url_for("decisions.show", number=number, _anchor="trials"), 303)


@blueprint.get("/decisions/<id:number>/trials")
def trials(number: int) -> Response:
    """Lead back whoever comes here by a reload or by another language after a wrong value."""
    return redirect(url_for("decisions.show", number=number, _anchor="trials"))


def _found(number: int) -> tuple[Decision, Contents | None]:
    stored = search.find_decision(number)
    if stored is None:
        abort(404)
    return stored


def _trial_form(decision: Decision, contents: Contents | None) -> ApplicationForm | None:
    bundle = model.of(decision.model)
    return trial_form(bundle.product, contents.inputs) if bundle and contents else None


def _page(decision: Decision, contents: Contents | None, form: ApplicationForm | None) -> str:
    bundle = model.of(decision.model)
    product = bundle.product if bundle else model.product(decision.product)
    if contents is None:
        return render_template("decisions/erased.html", decision=decision, product=product)
    fields = product.by_name if product else {}
    rows = [
        _row(fields.get(name), name, value, contents.normalised[name])
        for name, value in contents.inputs.items()
    ]
    computed = [
        Row(words(r.label), "", "", _normalised(contents.normalised[r.name]))
        for r in (product.ratios if product else ())
        if r.name in contents.normalised
    ]
    asked = not decision.granted or "explain" in request.args
    return render_template(
        "decisions/show.html",
        decision=decision,
        product=product,
        rows=rows,
        computed=computed,
        bars=_bars(explanations.explain(decision, contents) or []) if asked else None,
        changes=None if decision.granted else _changes(decision, contents, fields),
        form=form,
        trials=[_tried(t, contents, fields) for t in search.list_trials(decision.id)],
    )


def _bars(reasons: Stored) -> list[Bar]:
    """Scale the shares so that the longest bar fills its side of zero."""
    longest = max((abs(r["share"]) for r in reasons), default=0) or 1
    return [
        Bar(
            words(Text(**r["text"])),
            r["share"],
            x=min(ZERO, ZERO + ZERO * r["share"] / longest),
            width=ZERO * abs(r["share"]) / longest,
            principal=r["principal"],
        )
        for r in reasons
    ]


def _changes(
    decision: Decision, contents: Contents, fields: dict[str, Field]
) -> list[dict[str, object]] | None:
    found = explanations.find_counterfactuals(decision, contents)
    if found is None:
        return None
    return [
        {
            "label": words(fields[c.field].label),
            "asked": _with_unit(fields[c.field], contents.inputs[c.field]),
            "value": None if c.value is None else _with_unit(fields[c.field], c.value),
            "probability": c.probability,
            "searched": c.searched
            and (integer(c.searched[0]), _with_unit(fields[c.field], c.searched[1])),
        }
        for c in found
    ]


def _tried(t: Trial | Damaged, contents: Contents, fields: dict[str, Field]) -> dict[str, object]:
    if isinstance(t, Damaged):
        return {"trial": t, "changed": []}
    changed = [
        (words(fields[name].label), _with_unit(fields[name], value))
        for name, value in (t.inputs or {}).items()
        if value != contents.inputs.get(name) and name in fields
    ]
    return {"trial": t, "changed": changed}


def _with_unit(field: Field, value: Value) -> str:
    if value is None:
        return str(_("not known"))
    unit = _unit(field, value)
    return _entered(field, value) + (f"\u00a0{unit}" if unit else "")


def _unit(field: Field, value: Value) -> str:
    unit = field.unit_of(value) if isinstance(value, int) else None
    return words(unit) if unit else ""


def _position(name: str) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > LAST_ID:
        abort(400)
    return int(text)


def _row(field: Field | None, name: str, value: Value, normalised: float | list[int]) -> Row:
    label, seen = words(field.label) if field else name, _normalised(normalised)
    if value is None:
        return Row(label, _("not known"), "", seen, empty=True)
    if field is None:  # a product that is no longer served
        return Row(label, str(value), "", seen)
    return Row(label, _entered(field, value), _unit(field, value), seen)


def _entered(field: Field, value: Value) -> str:
    if field.kind == "flag":
        return str(_("Yes") if value else _("No"))
    if isinstance(value, int):
        return integer(value)
    return next((words(c.label) for c in field.choices if c.value == value), str(value))


def _normalised(seen: float | list[int]) -> str:
    return " ".join(map(str, seen)) if isinstance(seen, list) else decimal(seen)
