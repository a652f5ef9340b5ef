"""The list of decisions."""

from flask import abort, g, render_template, request

from webapp.columns import MAX_ID
from webapp.decisions import listing
from webapp.decisions.pages import blueprint
from webapp.serving.served import model


@blueprint.get("/decisions")
def index() -> str:
    page = listing.list_decisions(
        operator=g.operator, before=_position("before"), after=_position("after")
    )
    return render_template("decisions/index.html", page=page, product=model.bundle.product)


def _position(name: str) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > MAX_ID:
        abort(400)
    return int(text)
