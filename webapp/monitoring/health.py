"""What machines ask: is the process up, can it decide, and what has it counted."""

from flask import Blueprint, Response, jsonify
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from webapp.challenger.comparison import count_scores
from webapp.config import VERSION
from webapp.decisions.search import count_decisions, count_trials
from webapp.decisions.tables import DecisionCount
from webapp.extensions import db
from webapp.failures import ModelUnavailable
from webapp.metrics import CONTENT_TYPE, Counted, metrics
from webapp.serving.served import model

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    return jsonify(status="up")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    state = {"database": _database_answers(), "bundle": _bundle_verified()}
    return jsonify(state), 200 if all(state.values()) else 503


@blueprint.get("/metrics")
def metrics_page() -> Response:
    info = {"build": {"version": VERSION}}
    if _bundle_verified():
        bundle = model.bundle
        info["model"] = {
            "product": bundle.product.name,
            "model": bundle.version,
            "champion": str(bundle.manifest["champion"]),
        }
    text = metrics.render(counted=_counted(), info=info, reloads_refused=model.reloads_refused)
    return Response(text, content_type=CONTENT_TYPE)


def _counted() -> Counted | None:
    try:
        return Counted(count_decisions(), count_trials(), count_scores())
    except DBAPIError:
        return None


def _database_answers() -> bool:
    try:
        check_database()
    except DBAPIError:
        return False
    return True


def _bundle_verified() -> bool:
    try:
        return bool(model.bundle)
    except ModelUnavailable:
        return False


def check_database() -> None:
    """Raise unless the database answers with its tables in place."""
    db.session.execute(select(DecisionCount.count).limit(1)).all()
