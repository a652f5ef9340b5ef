"""The pages of one decision: the decision explained, and trials of other values."""

import logging
from urllib.parse import urlsplit

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from ml.bundle.reader import Bundle
from webapp.decisions import events, explanations, history, search, service
from webapp.decisions.circumstances import Circumstances
from webapp.decisions.corrections import is_correctable
from webapp.decisions.factors import Factor, factors_of
from webapp.decisions.forms import TypedForm
from webapp.decisions.records import Contents, Decision, causes_of
from webapp.decisions.related import list_chain, list_same_reference
from webapp.decisions.suggesting import suggest
from webapp.decisions.trying import applied_now, form_of, say, tried_of
from webapp.decisions.values import DECISION_NAMES, rows_of
from webapp.ledger.transaction import unit_of_work
from webapp.people.access import may
from webapp.serving.served import model

log = logging.getLogger(__name__)

blueprint = Blueprint("decisions", __name__)
for source in (events.decided, events.tried, events.corrected, events.erased):
    history.register(blueprint, source)


@blueprint.app_context_processor
def _in_templates() -> dict[str, object]:
    return {"decision_names": DECISION_NAMES}


@blueprint.get("/decisions/<id:number>")
def show(number: int) -> str:
    decision, contents = search.find_decision(number)
    return _page(decision, contents)


@blueprint.post("/decisions/<id:number>/trials")
def trial(number: int) -> Response | tuple[str, int]:
    decision, contents = search.find_decision(number)
    bundle = model.of(decision.model)
    form = form_of(bundle, contents, []) if bundle and contents else None
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


def _page(decision: Decision, contents: Contents | None, form: TypedForm | None = None) -> str:
    """Return the page of a decision; `form` is a trial with wrong values."""
    bundle = model.of(decision.model)
    product = bundle.product if bundle else model.product(decision.product)
    chain = list_chain(decision.id, operator=g.operator)
    facts = {
        "decision": decision,
        "product": product,
        "chain": chain,
        "history": history.history_of(decision),
    }
    if contents is None:
        return render_template("decisions/erased.html", **facts)
    trials = search.list_trials(decision)
    correctable = is_correctable(decision) and may("applications.new")
    applied = applied_now(decision, contents.reference, product) if product else Circumstances()
    return render_template(
        "decisions/show.html",
        **facts,
        arrived=_arrived(),
        contents=contents,
        correctable=correctable,
        older=correctable and decision.model != model.bundle.version,
        others=list_same_reference(
            contents.reference, apart_from=[r.decision.id for r in chain], operator=g.operator
        ),
        rows=rows_of(contents, product),
        causes=[say(cause) for cause in causes_of(decision, contents)],
        unusual=decision.out_of_range and all(c["cause"] != "unusual" for c in contents.causes),
        factors=_factors(decision, contents, bundle) if _explains(decision) else None,
        suggested=suggest(decision, contents, product, applied)
        if _can_change(decision, contents)
        else None,
        form=form or (form_of(bundle, contents, trials) if bundle else None),
        trials=[tried_of(t, contents, bundle, applied) for t in trials],
    )


def _arrived() -> bool:
    """Return whether the browser has come from the form, as it does after a new decision."""
    return urlsplit(request.referrer or "").path == url_for("applications.new")


def _explains(decision: Decision) -> bool:
    """Return whether to show what the model weighs: if it refuses itself, or on request."""
    of_model = decision.model_decision == "refused" and not decision.by_policy
    return of_model or "explain" in request.args


def _can_change(decision: Decision, contents: Contents) -> bool:
    """Return whether another amount or term could be what is missing for a grant."""
    if not decision.referred:
        return not decision.granted
    by_values = {"rule", "near_threshold"} & {c["cause"] for c in contents.causes}
    return decision.model_decision == "refused" or bool(by_values)


def _factors(decision: Decision, contents: Contents, bundle: Bundle | None) -> list[Factor]:
    reasons = explanations.explain(decision, contents) or []
    if bundle is None:
        return factors_of(reasons, contents.inputs)
    return factors_of(reasons, contents.inputs, bundle.product, bundle.explainer.typical)
