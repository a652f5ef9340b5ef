"""The decisions: one, and the list of them."""

from dataclasses import dataclass

from flask import Blueprint, abort, render_template, request
from flask_babel import gettext as _

from ml.application import Value
from ml.product import Field
from webapp import services
from webapp.extensions import model
from webapp.language import decimal, integer, words
from webapp.models import LAST_ID

blueprint = Blueprint("decisions", __name__)


@dataclass(frozen=True)
class Row:
    """A line of the decision page: what was entered and what the model saw of it."""

    label: str
    value: str
    unit: str
    normalised: str
    empty: bool = False


@blueprint.get("/decisions")
def index() -> str:
    page = services.list_decisions(before=_position("before"), after=_position("after"))
    return render_template("decisions/index.html", page=page, product=model.bundle.product)


@blueprint.get("/decisions/<id:number>")
def show(number: int) -> str:
    decision = services.find_decision(number)
    if decision is None:
        abort(404)
    product = model.bundle.product if model.bundle.product.name == decision.product else None
    fields = product.by_name if product else {}
    rows = [
        _row(fields.get(name), name, value, decision.normalised[name])
        for name, value in decision.inputs.items()
    ]
    computed = [
        Row(words(r.label), "", "", _normalised(decision.normalised[r.name]))
        for r in (product.ratios if product else ())
        if r.name in decision.normalised
    ]
    return render_template(
        "decisions/show.html", decision=decision, product=product, rows=rows, computed=computed
    )


def _position(name: str) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > LAST_ID:
        abort(400)
    return int(text)


def _row(field: Field | None, name: str, value: Value, normalised: float | list[int]) -> Row:
    if field is None:  # a product that is no longer served
        return Row(name, str(value), "", _normalised(normalised))
    label, seen = words(field.label), _normalised(normalised)
    if value is None:
        return Row(label, _("not known"), "", seen, empty=True)
    return Row(label, _entered(field, value), words(field.unit) if field.unit else "", seen)


def _entered(field: Field, value: Value) -> str:
    if field.kind == "flag":
        return str(_("Yes") if value else _("No"))
    if isinstance(value, int):
        return integer(value)
    return next((words(c.label) for c in field.choices if c.value == value), str(value))


def _normalised(seen: float | list[int]) -> str:
    return " ".join(map(str, seen)) if isinstance(seen, list) else decimal(seen)
