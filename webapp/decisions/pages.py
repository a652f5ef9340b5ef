"""The pages of one decision: the decision explained, and trials of other values."""

import logging
from dataclasses import dataclass

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from ml.product.definition import Field
from ml.product.texts import Text
from webapp.decisions import events, explanations, history, search, service
from webapp.decisions.damage import Damaged
from webapp.decisions.forms import ApplicationForm, trial_form
from webapp.decisions.records import Contents, Decision, StoredReasons, Trial
from webapp.decisions.suggesting import suggest
from webapp.decisions.values import rows_of, with_unit
from webapp.language import words
from webapp.ledger.transaction import unit_of_work
from webapp.serving.served import model

log = logging.getLogger(__name__)

blueprint = Blueprint("decisions", __name__)
for source in (events.decided, events.tried, events.erased):
    history.register(blueprint, source)
ZERO = 100  # the middle of the chart, in its own units


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
        return render_template(
            "decisions/erased.html",
            decision=decision,
            product=product,
            history=history.history_of(decision),
        )
    fields = product.by_name if product else {}
    with_reasons = not decision.granted or "explain" in request.args
    return render_template(
        "decisions/show.html",
        decision=decision,
        reference=contents.reference,
        product=product,
        rows=rows_of(contents, product),
        bars=_bars(explanations.explain(decision, contents) or []) if with_reasons else None,
        suggested=None if decision.granted else suggest(decision, contents, product),
        form=form,
        history=history.history_of(decision),
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


def _tried(t: Trial | Damaged, contents: Contents, fields: dict[str, Field]) -> dict[str, object]:
    if isinstance(t, Damaged):
        return {"trial": t, "changed": []}
    changed = [
        (words(fields[name].label), with_unit(fields[name], value))
        for name, value in (t.inputs or {}).items()
        if value != contents.inputs.get(name) and name in fields
    ]
    return {"trial": t, "changed": changed}
