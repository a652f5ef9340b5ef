"""The page of the watch over the model in service."""

from flask import Blueprint, render_template

from ml.monitoring.sequential import LOG_ALARM
from ml.monitoring.stability import LARGE, SLIGHT
from webapp.monitoring.reporting.report import report
from webapp.monitoring.reporting.verdict import NEXT, VERDICTS

blueprint = Blueprint("monitoring", __name__)
DAYS = 30


@blueprint.get("/monitoring")
def show() -> str:
    return render_template(
        "monitoring/show.html",
        report=report(days=DAYS),
        days=DAYS,
        verdicts=VERDICTS,
        next_steps=NEXT,
        limits={"alarm": LOG_ALARM, "slight": SLIGHT, "large": LARGE},
    )
