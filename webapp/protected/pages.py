"""The page of the voluntary questions, and the link to it on the page of a decision."""

from flask import Blueprint, abort, g, redirect, render_template, url_for
from werkzeug.wrappers import Response

from ml.product.definition import Product
from webapp.decisions import search
from webapp.decisions.records import Decision
from webapp.failures import AlreadyAnswered
from webapp.ledger.transaction import unit_of_work
from webapp.protected import service
from webapp.protected.forms import protected_form
from webapp.protected.service import NewAnswer, State
from webapp.serving.served import model

blueprint = Blueprint("protected", __name__)


@blueprint.app_context_processor
def _in_templates() -> dict[str, object]:
    return {"protected_state": _state}


def _state(decision: Decision) -> State:
    """Return whether the page of a decision leads to the questions."""
    return service.state_of(decision, g.operator) if _product(decision) else "not_asked"


@blueprint.route("/decisions/<id:number>/protected", methods=["GET", "POST"])
def answer(number: int) -> Response | tuple[str, int]:
    decision, contents = search.find_decision(number)
    product = _product(decision)
    state = service.state_of(decision, g.operator)
    if product is None or contents is None or state == "not_asked":
        abort(404)
    form = protected_form(product)
    values = form.read(product) if state == "open" else None
    if values is None:
        page = render_template(
            "protected/answer.html", decision=decision, product=product, form=form, state=state
        )
        return page, 422 if form.is_submitted() and state == "open" else 200
    try:
        with unit_of_work() as transaction:
            service.give_answer(transaction, NewAnswer(number, g.operator.id, values))
    except AlreadyAnswered:
        return redirect(url_for("protected.answer", number=number), 303)
    return redirect(url_for("decisions.show", number=number, _anchor="protected"), 303)


def _product(decision: Decision) -> Product | None:
    """Return the product of a decision if it has protected fields and is still known."""
    bundle = model.of(decision.model)
    return bundle.product if bundle and bundle.product.protected else None
