"""The JSON endpoint for other systems."""

from flask import Blueprint, Response, abort, g, jsonify, request, url_for

from webapp import services
from webapp.extensions import model
from webapp.models import Decision

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


@blueprint.post("/decisions")
def create() -> tuple[Response, int, dict[str, str]]:
    if request.mimetype != "application/json":
        abort(415)
    application = model.rules.check_json(request.get_data())
    decision = services.decide(application, operator=g.operator, channel="api")
    return jsonify(_body(decision)), 201, {"Location": url_for("api.show", number=decision.id)}


@blueprint.get("/decisions/<id:number>")
def show(number: int) -> Response:
    decision = services.find_decision(number)
    if decision is None:
        abort(404)
    return jsonify(_body(decision))


def _body(decision: Decision) -> dict[str, object]:
    return {
        "id": decision.id,
        "decision": decision.decision,
        "probability": decision.probability,
        "threshold": decision.threshold,
        "product": decision.product,
        "model": decision.model,
        "features": decision.features,
        "channel": decision.channel,
        "operator": decision.operator,
        "created_at": decision.created_at.isoformat(),
    }
