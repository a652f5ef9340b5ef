"""The form of a new application."""

import hmac
from http import HTTPStatus

from flask import (
    Blueprint,
    abort,
    current_app,
    g,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_babel import gettext as _
from pydantic_core import to_json
from werkzeug.wrappers import Response

from ml.bundle.manifest import InvalidBundle
from ml.product.definition import Product
from webapp.decisions import service
from webapp.decisions.corrections import origin_of
from webapp.decisions.deciding import Judged
from webapp.decisions.entering import shown_figures
from webapp.decisions.forms import ApplicationForm, application_form
from webapp.extensions import csrf
from webapp.failures import ModelUnavailable
from webapp.form_errors import over_form
from webapp.language import current
from webapp.ledger.idempotency import Claim, Used, body_digest, key_digest
from webapp.people.access import first_page
from webapp.people.sessions import person
from webapp.serving.served import model

blueprint = Blueprint("applications", __name__)
NEW = "applications.new"


@blueprint.get("/")
def home() -> Response:
    return redirect(url_for(first_page(g.operator)))


@blueprint.route("/applications/new", methods=["GET", "POST"])
def new() -> Response | tuple[str, int]:
    product = model.bundle.product
    form = application_form(product)
    corrects = origin_of(form, operator=g.operator)
    submission = form.read_submission(model.rules)
    if form.is_submitted() and not _is_own():
        other = _("Somebody else had opened this form. Nothing of it was stored.")
        return _page(product, application_form(product, empty=True), problem=other), 400
    if "csrf_token" in form.errors:
        _refuse_other_sites()
        expired = _("This form had expired. Check what you entered and send it again.")
        return _page(product, form, problem=expired), 400
    if submission is None or form.has_news(submission, product):
        return _page(product, form), 422 if form.is_submitted() else 200
    judged = service.judge(submission, operator=g.operator, channel="desk", corrects=corrects)
    number = _store(judged, token=str(form.submission.data or ""))
    return redirect(url_for("decisions.show", number=number), 303)


# The form itself checks its token, so that an expired one is shown again with what was typed.
csrf.exempt(new)


@over_form(NEW)
def show_again(explanation: str, request_id: str) -> str | None:
    """Return the form with what was typed, if it was sent with the token of its session.

    Without the database, nothing else shows who has sent it.
    """
    try:
        product = model.bundle.product
    except (ModelUnavailable, InvalidBundle):
        return None
    form = application_form(product)
    form.validate()
    shown = _is_own() and "csrf_token" not in form.errors
    once = _("Sent again without changes, it is stored only once.")
    problem = f"{explanation} {once}"
    return _page(product, form, problem=problem, request_id=request_id) if shown else None


def _page(
    product: Product, form: ApplicationForm, *, problem: str = "", request_id: str = ""
) -> str:
    return render_template(
        "decisions/new.html",
        product=product,
        form=form,
        figures=shown_figures(product, form),
        problem=problem,
        request_id=request_id,
        owner=_owner(),
    )


def _owner() -> str:
    """Return what identifies the user to the desk, and nobody to anybody else."""
    key = str(current_app.config["SECRET_KEY"])
    return hmac.digest(key.encode(), f"draft {person()}".encode(), "sha256").hex()[:32]


def _is_own() -> bool:
    """Return whether the form that was sent was opened by the same user."""
    return hmac.compare_digest(request.form.get("opened-by", "").encode(), _owner().encode())


def _refuse_other_sites() -> None:
    """Refuse a form that another site has sent: only the desk's own is shown again."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        abort(HTTPStatus.BAD_REQUEST)


def _store(judged: Judged, *, token: str) -> int:
    """Store the decision of a form, or return the one that the same form has led to already."""
    if not token:
        return service.store_decision(judged).decision.id
    sent = to_json([*judged.submission, judged.corrects])
    # The key includes the values: the same form with changed values is a new application.
    digest = key_digest(NEW, f"{token} {sent.decode()}")
    claim = Claim(judged.operator.id, digest, body_digest(sent), current())
    outcome = service.store_once(claim, lambda: judged._replace(claim=claim))
    return outcome.number if isinstance(outcome, Used) else outcome.decision.id
