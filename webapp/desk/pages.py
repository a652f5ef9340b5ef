"""The page of the desk's switch, and what every page needs to know of it."""

from typing import Any

from flask import Blueprint, abort, g, redirect, render_template, url_for
from flask_babel import gettext as _
from sqlalchemy.exc import DBAPIError
from werkzeug.wrappers import Response

from webapp.desk import service
from webapp.desk.forms import SwitchForm
from webapp.failures import SwitchRefused
from webapp.ledger.transaction import unit_of_work

blueprint = Blueprint("desk", __name__)


@blueprint.app_context_processor
def _in_templates() -> dict[str, Any]:
    return {"desk_referring": _is_referring}


@blueprint.get("/desk")
def show() -> str:
    return _page(SwitchForm())


@blueprint.post("/desk/<action>")
def switch(action: str) -> Response | tuple[str, int]:
    if action not in ("refer", "decide"):
        abort(404)
    form = SwitchForm()
    if not form.validate_on_submit():
        return _page(form), 422
    try:
        with unit_of_work() as transaction:
            service.switch(
                transaction,
                referring=action == "refer",
                reason=form.reason.data or "",
                operator=g.operator,
            )
    except SwitchRefused:
        form = SwitchForm(formdata=None)  # without the reason, which is not one for the other way
        form.reason.errors = [_("The desk had been switched already, so nothing was changed.")]
        return _page(form), 409
    return redirect(url_for("desk.show"), 303)


def _page(form: SwitchForm) -> str:
    return render_template("desk/show.html", form=form, switches=service.list_switches())


def _is_referring() -> bool:
    """Return whether the desk refers everything, if the database says so."""
    try:
        return service.is_referring()
    except DBAPIError:  # an error page has no banner then
        return False
