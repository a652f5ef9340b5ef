"""The JSON API: create and show decisions, their reasons and the model card."""

from flask import Blueprint, Response, abort, g, jsonify, request, url_for
from flask_babel import gettext as _

from ml.card.card import model_card
from ml.product.texts import Text
from webapp.decisions import explanations, search, service
from webapp.decisions.records import Contents, Decision, StoredReasons
from webapp.errors import problem
from webapp.language import words
from webapp.ledger.transaction import unit_of_work
from webapp.metrics import metrics
from webapp.serving.served import model

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


@blueprint.post("/decisions")
def create() -> tuple[Response, int, dict[str, str]]:
    if request.mimetype != "application/json":
        abort(415)
    application = model.rules.check_json(request.get_data())
    verdict = service.decide(application)
    contents = service.contents_of(application, verdict)
    with unit_of_work(timing=metrics.writing) as transaction:
        decision = service.add_decision(
            transaction, verdict, contents, operator=g.operator, channel="api"
        )
    location = url_for("api.show", number=decision.id)
    return jsonify(_body(decision, contents)), 201, {"Location": location}


@blueprint.get("/decisions/<id:number>")
def show(number: int) -> Response:
    decision, contents = search.find_decision(number)
    return jsonify(_body(decision, contents))


@blueprint.get("/decisions/<id:number>/reasons")
def reasons(number: int) -> Response:
    decision, contents = search.find_decision(number)
    if contents is None:
        return problem(410, detail=_("The contents of this decision have been erased."))
    explained = explanations.explain(decision, contents)
    if explained is None:
        return problem(409, detail=_("The model of this decision is no longer available."))
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


def _reasons(stored: StoredReasons | None) -> list[dict[str, object]] | None:
    return stored and [{**r, "text": words(Text(**r["text"]))} for r in stored]


def _body(decision: Decision, contents: Contents | None) -> dict[str, object]:
    return {
        "id": decision.id,
        "decision": decision.decision,
        "probability": decision.probability,
        "threshold": decision.threshold,
        "product": decision.product,
        "model": decision.model,
        "out_of_range": decision.out_of_range,
        "reasons": contents and _reasons(contents.reasons),
        "features": contents and _features(contents),
        "channel": decision.channel,
        "operator": decision.operator,
        "created_at": decision.created_at.isoformat(),
    }


def _features(contents: Contents) -> list[dict[str, object]]:
    """Return each field with its value as entered and as the model sees it."""
    return [
        {"name": name, "value": value, "normalised": contents.normalised[name]}
        for name, value in contents.inputs.items()
    ]
