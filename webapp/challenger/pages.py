"""The page that compares champion and challengers."""

from flask import Blueprint, render_template

from webapp.challenger import comparison
from webapp.serving.served import model

blueprint = Blueprint("challenger", __name__, url_prefix="/model")


@blueprint.get("/challenger")
def show() -> str:
    return render_template(
        "challenger/show.html",
        comparisons=comparison.compare(),
        disagreements=comparison.latest_disagreements(),
        served=model.bundle,
        running=model.challenger,
    )
