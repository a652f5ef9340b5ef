"""The JSON API: create and show decisions, their reasons and the model card."""

from flask import Response, abort, g, jsonify
from flask_babel import gettext as _

from ml.card.card import model_card
from webapp.api import requests
from webapp.api.intake import JSON, ROUTE
from webapp.api.messages import PATH
from webapp.api.requests import blueprint
from webapp.decisions import explanations, search, service
from webapp.decisions.answers import causes_in, decision_json, reasons_in
from webapp.decisions.deciding import judge_json
from webapp.decisions.records import Contents, Decision
from webapp.decisions.writing import NewContents
from webapp.language import current
from webapp.ledger.idempotency import Used
from webapp.problems import problem
from webapp.reviews.search import final_decision
from webapp.serving.served import model


@blueprint.post("/decisions")
def create() -> Response:
    """Answer a request that `intake` has left to Flask."""
    body, claim = requests.read(ROUTE)
    outcome = service.store_once(
        claim,
        lambda: judge_json(body, operator=g.operator, claim=claim, usable=model.usable),
    )
    if isinstance(outcome, Used):
        return _replayed(outcome)
    return _created(outcome.decision, outcome.new.contents, language=current())


def _created(decision: Decision, contents: Contents | NewContents, *, language: str) -> Response:
    body = decision_json(decision, contents, language=language)
    location = {"Location": f"{PATH}/{decision.id}"}
    return Response(body, 201, location, content_type=JSON)


def _replayed(used: Used) -> Response:
    """Return the answer that the same request has had before, byte for byte."""
    decision, contents = search.find_decision(used.number)
    if contents is None:
        return problem(410, detail=_("The contents of this decision have been erased."))
    response = _created(decision, contents, language=used.language)
    response.headers["Idempotency-Replayed"] = "true"
    return response


@blueprint.get("/decisions/<id:number>")
def show(number: int) -> Response:
    decision, contents = search.find_decision(number)
    final = final_decision(number)
    body = decision_json(decision, contents, language=current(), final=final)
    return Response(body, content_type=JSON)


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
        basis=decision.basis,
        model_decision=decision.model_decision,
        model=decision.model,
        causes=causes_in(contents.causes, language=current()),
        reasons=reasons_in(explained, language=current()),
    )


@blueprint.get("/models/<version>")
def card(version: str) -> Response:
    bundle = model.bundle if version == "current" else model.of(version)
    if bundle is None:
        abort(404)
    return jsonify(model_card(bundle).model_dump(mode="json"))
