"""The model: its card, and what a challenger beside it would have decided."""

from flask import Blueprint, Response, jsonify, render_template
from markupsafe import Markup

from ml.card.card import FIGURES, model_card
from webapp.language import current, plain, share, signed
from webapp.serving.served import model

blueprint = Blueprint("models", __name__, url_prefix="/model")
PLOTS = ("calibration", "roc", "precision_recall", "thresholds", "importance")


@blueprint.get("")
def show() -> str:
    bundle = model.bundle
    # Drawn at training, by us, and as whole as the bundle that they lie in.
    plots = [
        Markup(bundle.file(f"plots/{name}.{current()}.svg").decode())  # noqa: S704 - see above
        for name in PLOTS
    ]
    card = model_card(bundle)
    return render_template(
        "serving/show.html",
        card=card,
        figures=FIGURES,
        plots=plots,
        as_share=share,
        as_signed=signed,
        as_plain=plain,
    )


@blueprint.get("/card.json")
def download() -> Response:
    return jsonify(model_card(model.bundle).model_dump(mode="json"))
