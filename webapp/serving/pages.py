"""The model card: a page, a JSON file, and the plots that the page shows."""

from itertools import product, starmap

from flask import Blueprint, Response, abort, jsonify, render_template, request

from ml.card.card import FIGURES, model_card
from ml.card.checks import checks
from ml.card.pictures import THEMES, TITLES, describe, picture_file
from ml.product.texts import LANGUAGES
from webapp.language import current, plain, share, signed
from webapp.serving.served import model

blueprint = Blueprint("models", __name__, url_prefix="/model")
PLOTS = frozenset(starmap(picture_file, product(TITLES, LANGUAGES, THEMES)))
# For a plot that is opened in its own tab: matplotlib writes style attributes.
PLOT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@blueprint.get("")
def show() -> str:
    card = model_card(model.bundle)
    return render_template(
        "serving/show.html",
        card=card,
        checks=checks(card, current()),
        figures=FIGURES,
        pictures=TITLES,
        descriptions=describe(card.evidence, card.importance, current()),
        as_share=share,
        as_signed=signed,
        as_plain=plain,
    )


@blueprint.get("/plots/<name>.<language>.<theme>.svg")
def plot(*, name: str, language: str, theme: str) -> Response:
    """Return a plot, or 304 if the browser has it: the ETag is the file's hash in the manifest."""
    bundle, file = model.bundle, picture_file(name, language, theme)
    if file not in PLOTS:
        abort(404)
    response = Response(bundle.file(file), mimetype="image/svg+xml")
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Content-Security-Policy"] = PLOT_POLICY
    response.set_etag(bundle.manifest.files[file])
    response.make_conditional(request)
    return response


@blueprint.get("/card.json")
def download() -> Response:
    return jsonify(model_card(model.bundle).model_dump(mode="json"))
