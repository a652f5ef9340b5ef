"""The form of a new application."""

from flask import Blueprint, g, redirect, render_template, url_for
from pydantic_core import to_json
from werkzeug.wrappers import Response

from webapp.decisions import service
from webapp.decisions.forms import application_form
from webapp.decisions.writing import NewDecision, contents_of
from webapp.language import current
from webapp.ledger.idempotency import Claim, Used, body_digest, key_digest
from webapp.serving.served import model

blueprint = Blueprint("applications", __name__)


@blueprint.get("/")
def home() -> Response:
    return redirect(url_for("applications.new"))


@blueprint.route("/applications/new", methods=["GET", "POST"])
def new() -> Response | tuple[str, int]:
    product = model.bundle.product
    form = application_form(product)
    application = form.read(model.rules)
    if application is None:
        page = render_template("decisions/new.html", product=product, form=form)
        return page, 422 if form.is_submitted() else 200
    verdict = service.decide(application)
    new = NewDecision(g.operator, "desk", verdict, contents_of(application, verdict))
    number = _store(new, token=str(form.submission.data or ""))
    return redirect(url_for("decisions.show", number=number), 303)


def _store(new: NewDecision, *, token: str) -> int:
    """Store the decision of a form, or return the one that the same form has led to already."""
    if not token:
        return service.store_decision(new).id
    sent = to_json(new.contents.inputs)
    # The key includes the values: the same form with changed values is a new application.
    digest = key_digest("applications.new", f"{token} {sent.decode()}")
    claim = Claim(new.operator.id, digest, body_digest(sent), current())
    outcome = service.store_once(claim, lambda: new._replace(claim=claim))
    return outcome.number if isinstance(outcome, Used) else outcome.decision.id
