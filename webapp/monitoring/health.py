"""The endpoints for monitoring: liveness, readiness and metrics."""

from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy import column, exists, select, text
from sqlalchemy.exc import DBAPIError

from webapp.challenger.comparison import count_scores
from webapp.config import VERSION
from webapp.decisions.search import count_decisions, count_trials
from webapp.desk.service import is_referring
from webapp.extensions import Base, db, settings
from webapp.failures import InvalidSetting, ModelUnavailable
from webapp.metrics import CONTENT_TYPE, metrics
from webapp.metrics_reviews import ReviewsCounted
from webapp.metrics_stored import Counted
from webapp.monitoring.disk import disk_spaces
from webapp.monitoring.reporting.checks import checked
from webapp.monitoring.reporting.report import watched
from webapp.outcomes.service import count_outcomes
from webapp.reviews.parts import clock
from webapp.reviews.queue import count_reviews
from webapp.secret_files import kept_secret
from webapp.serving.served import model
from webapp.slots import held

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    return jsonify(status="up")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    state = {
        "database": held() and _database_answers(),
        "bundle": _bundle_verified(),
        "secret": _secret_unchanged(),
    }
    return jsonify(state), 200 if all(state.values()) else 503


@blueprint.get("/metrics")
def metrics_page() -> Response:
    info = {"build": {"version": VERSION}}
    if _bundle_verified():
        bundle = model.bundle
        info["model"] = {
            "product": bundle.product.name,
            "model": bundle.version,
            "champion": bundle.manifest.champion,
        }
    counted = _counted() if held() else None
    body = metrics.render(
        counted=counted,
        info=info,
        reloads_refused=model.reloads_refused,
        disks=disk_spaces(settings()),
    )
    return Response(body, content_type=CONTENT_TYPE)


def _counted() -> Counted | None:
    try:
        found = watched() if _bundle_verified() else None
        return Counted(
            *(count_decisions(), count_trials(), count_scores(), count_outcomes(), _reviews()),
            *(found, checked(), is_referring()),
        )
    except DBAPIError:
        return None


def _reviews() -> ReviewsCounted:
    counts = count_reviews(clock())
    return ReviewsCounted(counts.open, counts.overdue)


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


def _secret_unchanged() -> bool:
    """Return whether the next process will sign sessions with the same secret as this one."""
    if settings().secret_key:
        return True
    try:
        return kept_secret(settings().secret_file) == current_app.secret_key
    except InvalidSetting:
        return False


def check_database() -> None:
    """Raise DBAPIError unless every table can be read and has all its columns."""
    if db.engine.dialect.name == "sqlite":
        db.session.execute(text("PRAGMA shrink_memory"))  # so that the file is read, not the cache
    reads = [
        exists(select(*(column(c.name) for c in table.columns)).select_from(table))
        for table in Base.metadata.sorted_tables
    ]
    db.session.execute(select(*reads)).all()
