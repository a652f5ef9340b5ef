"""The JSON API of outcomes: record what came of a granted loan, and show it."""

from typing import Any

from flask import Response, g
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from ml.product.errors import MESSAGES, FieldError, MalformedApplication, sent_twice, shown_name
from webapp.api import requests
from webapp.api.intake import JSON
from webapp.api.requests import blueprint
from webapp.decisions import search
from webapp.decisions.store import store
from webapp.extensions import settings
from webapp.failures import InvalidOutcome
from webapp.ledger.idempotency import store_once
from webapp.ledger.transaction import unit_of_work
from webapp.outcomes import service
from webapp.outcomes.files import read_outcome
from webapp.outcomes.records import NewOutcome, Outcome, error

ROUTE = "api.record_outcome"


class Body(BaseModel):
    """The body of a request that records an outcome."""

    model_config = ConfigDict(strict=True, extra="forbid")

    outcome: str
    date: str
    reason: str | None = None


@blueprint.post("/decisions/<id:number>/outcome")
def record_outcome(number: int) -> Response:
    body, claim = requests.read(f"{ROUTE} {number}")

    def record() -> Outcome:
        new = read_body(body, number)
        with unit_of_work() as transaction:
            return service.record_outcome(
                transaction,
                new,
                operator=g.operator,
                zone=settings().timezone,
                claim=claim,
            )

    recorded = store_once(store().find_use, claim, record)
    if isinstance(recorded, Outcome):
        return Response(to_json(_shown(recorded)), content_type=JSON)
    response = Response(to_json(_shown(service.find_outcome(recorded.number))), content_type=JSON)
    response.headers["Idempotency-Replayed"] = "true"
    return response


@blueprint.get("/decisions/<id:number>/outcome")
def show_outcome(number: int) -> Response:
    search.find_decision(number)
    shown = [_shown(service.sound(o, number)) for o in service.list_outcomes(number)]
    body = {"decision_id": number, "outcome": shown[0] if shown else None, "history": shown}
    return Response(to_json(body), content_type=JSON)


def read_body(body: bytes, number: int) -> NewOutcome:
    """Return the outcome in a body; raises MalformedApplication and InvalidOutcome."""
    try:
        read = Body.model_validate_json(body)
    except ValidationError as invalid:
        details = invalid.errors(include_input=False, include_url=False)
        if any(not e["loc"] for e in details):
            raise MalformedApplication("The body is not a JSON object.") from None
        names = dict.fromkeys(str(e["loc"][0]) for e in details)
        raise InvalidOutcome([_invalid(name) for name in names]) from None
    repeated = sent_twice(body, Body.model_fields)
    if repeated:
        message = MESSAGES["repeated"]
        raise InvalidOutcome([FieldError(name, "repeated", message) for name in repeated])
    new = read_outcome(read.model_dump(exclude_none=True), number)
    if isinstance(new, list):
        raise InvalidOutcome(new)
    return new


def _invalid(name: str) -> FieldError:
    if name in Body.model_fields:
        return error(name, name)
    return error(shown_name(name), "unknown")


def _shown(outcome: Outcome) -> dict[str, Any]:
    return {
        "decision_id": outcome.decision_id,
        "outcome": outcome.outcome,
        "date": outcome.known_on.isoformat(),
        "reason": outcome.reason,
        "number": outcome.number,
        "operator": outcome.operator,
        "created_at": outcome.created_at.isoformat(),
    }
