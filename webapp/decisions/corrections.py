"""Corrections: the form of an application that corrects a decided one."""

from typing import NamedTuple

from flask import request

from ml.product.application import Application
from ml.product.definition import REFERENCE
from webapp.columns import MAX_ID
from webapp.decisions import search
from webapp.decisions.explanations import find_changes
from webapp.decisions.forms import ApplicationForm, typed
from webapp.decisions.records import Contents, Decision, Trial
from webapp.failures import NotFound
from webapp.people.operators import Operator
from webapp.serving.served import model


class Origin(NamedTuple):
    """The decision that an application corrects, with its contents."""

    decision: Decision
    contents: Contents


def origin_of(form: ApplicationForm, *, operator: Operator) -> int | None:
    """Return the number of the decision that a form corrects, if any; fill in a new form from it.

    Raises NotFound if the operator cannot correct it.
    """
    sent = form.is_submitted()
    text = str(form.corrects.data or "") if sent else request.args.get("corrects", "")
    if not text:
        return None
    origin = _find_origin(_number(text), operator=operator)
    if not sent:
        _fill(form, origin, _answers(origin))
    return origin.decision.id


def is_correctable(decision: Decision) -> bool:
    """Return whether the product of a decision is the one in service, whose form is shown."""
    return model.product(decision.product) is not None


def _find_origin(number: int, *, operator: Operator) -> Origin:
    search.require_visible(number, operator=operator)
    decision, contents = search.find_decision(number)
    if contents is None or not is_correctable(decision):
        raise NotFound(f"decision {number} cannot be corrected")
    return Origin(decision, contents)


def _answers(origin: Origin) -> Application:
    """Return the answers to begin with: of the decision, a trial or a suggested loan."""
    trial, offer = request.args.get("trial", ""), request.args.get("offer", "")
    if trial:
        return _of_trial(origin, _number(trial))
    if offer:
        return _of_offer(origin, _number(offer))
    return origin.contents.inputs


def _of_trial(origin: Origin, number: int) -> Application:
    for trial in search.list_trials(origin.decision):
        if trial.id == number and isinstance(trial, Trial) and trial.inputs is not None:
            return trial.inputs
    raise NotFound(f"decision {origin.decision.id} has no trial {number}")


def _of_offer(origin: Origin, place: int) -> Application:
    changes = find_changes(*origin)
    suggestions = changes.suggestions if changes else []
    if not 0 < place <= len(suggestions):
        raise NotFound(f"there is no offer {place} for decision {origin.decision.id}")
    return {**origin.contents.inputs, **suggestions[place - 1].values}


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(MAX_ID)):
        raise NotFound("this is not a number of a decision, a trial or an offer")
    return min(int(text), MAX_ID)


def _fill(form: ApplicationForm, origin: Origin, answers: Application) -> None:
    """Write answers into a form that has not been sent."""
    form.corrects.data = str(origin.decision.id)
    form[REFERENCE].data = origin.contents.reference or ""
    for field in model.bundle.product.inputs:
        form[field.name].data = typed(answers.get(field.name))
