"""The page on which an admin manages API keys."""

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from webapp.failures import NameTaken
from webapp.ledger.transaction import unit_of_work
from webapp.people import api_keys
from webapp.people.forms import KeyForm

blueprint = Blueprint("keys", __name__, url_prefix="/keys")


@blueprint.route("", methods=["GET", "POST"])
def index() -> str | Response | tuple[str, int]:
    form = KeyForm()
    if "revoke" in request.form:
        return _revoke(request.form["revoke"])
    if form.validate_on_submit():
        try:
            with unit_of_work() as transaction:
                key = api_keys.create_api_key(
                    transaction, str(form.name.data), created_by=g.operator.id
                )
        except NameTaken:
            form.name.errors = [_("There is an API key of this name already.")]
        else:
            return render_template("people/key.html", name=form.name.data, key=key)
    keys = api_keys.list_api_keys()
    done = request.args.get("revoked")
    revoked = done if done in {key.name for key in keys if key.revoked_at} else None
    page = render_template("people/keys.html", form=form, keys=keys, revoked=revoked)
    return page, 422 if form.is_submitted() else 200


def _revoke(name: str) -> Response:
    if name not in {key.name for key in api_keys.list_api_keys()}:
        abort(404)  # not by a query: PostgreSQL refuses a NUL
    with unit_of_work() as transaction:
        api_keys.revoke_api_key(transaction, name, operator_id=g.operator.id)
    return redirect(url_for("keys.index", revoked=name), 303)
