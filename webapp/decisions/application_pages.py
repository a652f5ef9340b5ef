"""The form of a new application."""

from flask import Blueprint, g, redirect, render_template, url_for
from werkzeug.wrappers import Response

from webapp.decisions import service
from webapp.decisions.forms import application_form
from webapp.ledger.transaction import unit_of_work
from webapp.metrics import metrics
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
    contents = service.contents_of(application, verdict)
    try:
        with unit_of_work(timing=metrics.writing) as transaction:
            number = service.add_decision(
                transaction,
                verdict,
                contents,
                operator=g.operator,
                channel="desk",
                submission=form.submission.data,
            ).id
    except service.SubmittedBefore as before:
        number = before.decision_id
    return redirect(url_for("decisions.show", number=number), 303)
