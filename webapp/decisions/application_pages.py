"""The form of a new application."""

from flask import Blueprint, g, redirect, render_template, url_for
from werkzeug.wrappers import Response

from webapp.decisions import service
from webapp.decisions.forms import application_form
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
    decision = service.decide(
        application, operator=g.operator, channel="desk", submission=form.submission.data
    )
    return redirect(url_for("decisions.show", number=decision.id), 303)
