"""The page of retention: how long contents are kept, what is older, and when it was erased."""

from flask import Blueprint, render_template

from webapp.audit import retention
from webapp.extensions import settings
from webapp.secret_files import variable

COMMAND = "flask --app webapp erase --past-retention"

blueprint = Blueprint("retention", __name__)


@blueprint.get("/retention")
def show() -> str:
    days = settings().retention_days
    return render_template(
        "audit/retention.html",
        days=days,
        past=retention.count_past(days) if days else 0,
        most=retention.MAX_COUNTED,
        run=retention.last_run(),
        setting=f"{variable('retention_days')}={days}",
        command=COMMAND,
    )
