"""The page that compares champion and challengers."""

from flask import Blueprint, render_template

from ml.monitoring.sequential import LOG_ALARM
from webapp.challenger import comparison
from webapp.challenger.evidence import latest_evidence
from webapp.serving.served import model

blueprint = Blueprint("challenger", __name__, url_prefix="/model")


@blueprint.get("/challenger")
def show() -> str:
    return render_template(
        "challenger/show.html",
        comparisons=comparison.compare(),
        disagreements=comparison.latest_disagreements(),
        compared=[one for one in latest_evidence() if one.model == model.bundle.version],
        alarm=LOG_ALARM,
        served=model.bundle,
        running=model.challenger,
    )
