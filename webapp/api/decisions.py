"""The JSON endpoint for other systems."""

from flask import Blueprint, Response, abort, g, jsonify, request, url_for
from flask_babel import gettext as _

from ml.card.card import model_card
from ml.product.texts import Text
from webapp.decisions import explanations, search, service
from webapp.decisions.tables import Decision
from webapp.errors import problem
from webapp.language import words
from webapp.serving.served import model

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


@blueprint.post("/decisions")
def create() -> tuple[Response, int, dict[str, str]]:
    if request.mimetype != "application/json":
        abort(415)
    application = model.rules.check_json(request.get_data())
    decision = service.decide(application, operator=g.operator, channel="api")
    return jsonify(_body(decision)), 201, {"Location": url_for("api.show", number=decision.id)}


@blueprint.get("/decisions/<id:number>")
def show(number: int) -> Response:
    decision = search.find_decision(number)
    if decision is None:
        abort(404)
    return jsonify(_body(decision))


@blueprint.get("/decisions/<id:number>/reasons")
def reasons(number: int) -> Response:
    decision = search.find_decision(number)
    if decision is None:
        abort(404)
    explained = explanations.explain(decision)
    if explained is None:
        return problem(409, detail=_("The model of this decision is no longer here."))
    return jsonify(
        id=decision.id,
        decision=decision.decision,
        model=decision.model,
        reasons=_reasons(explained),
    )


@blueprint.get("/models/<version>")
def card(version: str) -> Response:
    bundle = model.bundle if version == "current" else model.of(version)
    if bundle is None:
        abort(404)
    return jsonify(model_card(bundle).model_dump(mode="json"))


def _reasons(stored: service.Stored | None) -> list[dict[str, object]] | None:
    return stored and [{**r, "text": words(Text(**r["text"]))} for r in stored]


def _body(decision: Decision) -> dict[str, object]:
    return {
        "id": decision.id,
        "decision": decision.decision,
        "probability": decision.probability,
        "threshold": decision.threshold,
        "product": decision.product,
        "model": decision.model,
        "out_of_range": decision.out_of_range,
        "reasons": _reasons(decision.reasons),
        "features": decision.features,
        "channel": decision.channel,
        "operator": decision.operator,
        "created_at": decision.created_at.isoformat(),
    }
