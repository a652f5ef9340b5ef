"""The pages of one decision: the decision explained, and trials of other values."""

import logging
from dataclasses import dataclass

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from ml.product.application import Application, Value
from ml.product.definition import Field, Product
from ml.product.texts import Text
from webapp.decisions import explanations, search, service
from webapp.decisions.damage import Damaged
from webapp.decisions.forms import ApplicationForm, trial_form
from webapp.decisions.records import Contents, Decision, StoredReasons, Trial
from webapp.language import decimal, integer, listed, words
from webapp.ledger.transaction import unit_of_work
from webapp.serving.served import model

log = logging.getLogger(__name__)

blueprint = Blueprint("decisions", __name__)
ZERO = 100  # the middle of the chart, in its own units


@dataclass(frozen=True)
class Row:
    """A table row of the decision page: a value as entered and as the model saw it."""

    label: str
    value: str
    unit: str
    normalised: str
    empty: bool = False


@dataclass(frozen=True)
class Suggested:
    """The changes that would have granted a refused application, as text.

    ``offers`` holds each suggested loan with its probability, ``without`` a sentence for each field
    whose values alone are not enough, and ``lacking`` the missing answers that the policy rules
    need.
    """

    offers: list[tuple[str, float]]
    without: list[str]
    pairs: bool  # whether the amount was also changed together with another field
    steps: str
    rules: str
    lacking: str


@dataclass(frozen=True)
class Bar:
    """A field's share on the chart, to the left or to the right of zero."""

    text: str
    share: float
    x: float
    width: float
    principal: bool


@blueprint.get("/decisions/<id:number>")
def show(number: int) -> str:
    decision, contents = search.find_decision(number)
    return _page(decision, contents, _trial_form(decision, contents))


@blueprint.post("/decisions/<id:number>/trials")
def trial(number: int) -> Response | tuple[str, int]:
    decision, contents = search.find_decision(number)
    form = _trial_form(decision, contents)
    if form is None or contents is None:
        abort(404)
    application = form.read(model.rules_of(decision.model), base=contents.inputs)
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
    """Redirect to the decision: a reload or a new language after an invalid trial sends a GET."""
    return redirect(url_for("decisions.show", number=number, _anchor="trials"))


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
    with_reasons = not decision.granted or "explain" in request.args
    return render_template(
        "decisions/show.html",
        decision=decision,
        reference=contents.reference,
        product=product,
        rows=rows,
        computed=computed,
        bars=_bars(explanations.explain(decision, contents) or []) if with_reasons else None,
        suggested=None if decision.granted else _suggested(decision, contents, product),
        form=form,
        trials=[_tried(t, contents, fields) for t in search.list_trials(decision.id)],
    )


def _bars(reasons: StoredReasons) -> list[Bar]:
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


def _suggested(decision: Decision, contents: Contents, product: Product | None) -> Suggested | None:
    changes = explanations.find_changes(decision, contents)
    if changes is None or product is None:
        return None
    rules = product.policy_rules
    rule_inputs = dict.fromkeys(name for rule in rules for name in rule.inputs)
    return Suggested(
        offers=[
            (offer(product, contents.inputs, s.values), s.probability) for s in changes.suggestions
        ],
        without=[
            _no_value(product.by_name[name], *searched)
            for name, searched in changes.searched.items()
            if not any(name in s.values for s in changes.suggestions if len(s.values) == 1)
        ],
        pairs=len(changes.searched) > 1,
        steps=listed(
            _with_unit(product.by_name[name], product.by_name[name].step)
            for name in changes.searched
        ),
        rules=listed(words(rule.label) for rule in rules),
        lacking=listed(
            words(product.by_name[name].label)
            for name in rule_inputs
            if contents.inputs[name] is None
        ),
    )


def offer(product: Product, inputs: Application, values: dict[str, int]) -> str:
    """Describe the loan with these values instead of those applied for."""
    amount, term = (product.by_name.get(name or "") for name in (product.amount, product.term))
    loan = {**inputs, **values}
    terms = {f.name: _with_unit(f, loan[f.name]) for f in (amount, term) if f and loan[f.name]}
    if term and term.name in terms:
        text = _(
            "A loan of %(amount)s over %(term)s",
            amount=terms[product.amount],
            term=terms[term.name],
        )
    else:
        text = _("A loan of %(amount)s", amount=terms[product.amount])
    others = [(product.by_name[name], value) for name, value in values.items() if name not in terms]
    more = ", ".join(f"{words(field.label)} {_with_unit(field, value)}" for field, value in others)
    return f"{text} ({more})" if more else str(text)


def _no_value(field: Field, low: int, high: int) -> str:
    return str(
        _(
            "%(label)s: no other value from %(low)s to %(high)s can be suggested on its own",
            label=words(field.label),
            low=integer(low),
            high=_with_unit(field, high),
        )
    )


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
        return str(_("not given"))
    unit = _unit(field, value)
    return f"{_entered(field, value)}\u00a0{unit}" if unit else _entered(field, value)


def _unit(field: Field, value: Value) -> str:
    unit = field.unit_of(value) if isinstance(value, int) else None
    return words(unit) if unit else ""


def _row(field: Field | None, name: str, value: Value, normalised: float | list[int]) -> Row:
    label, seen = words(field.label) if field else name, _normalised(normalised)
    if value is None:
        return Row(label, _("not given"), "", seen, empty=True)
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
