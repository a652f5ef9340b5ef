"""Corrections: the form of an application that corrects a decided one."""

from typing import NamedTuple

from flask import request

from ml.product.application import Application
from ml.product.definition import REFERENCE
from webapp.columns import MAX_ID
from webapp.decisions import search
from webapp.decisions.forms import ApplicationForm, typed
from webapp.decisions.records import Decision, Trial
from webapp.failures import NotFound
from webapp.people.operators import Operator
from webapp.serving.served import model


class Origin(NamedTuple):
    """The decision that an application corrects, and the answers to begin with."""

    number: int
    inputs: Application
    reference: str | None


def origin_of(form: ApplicationForm, *, operator: Operator) -> Origin | None:
    """Return the decision that a form corrects, if any, and fill in a form that is opened.

    Raises NotFound if the operator cannot correct it.
    """
    sent = form.is_submitted()
    text = str(form.corrects.data or "") if sent else request.args.get("corrects", "")
    if not text:
        return None
    origin = _find_origin(_number(text), operator=operator)
    if not sent:
        trial = request.args.get("trial", "")
        inputs = _tried(origin.number, _number(trial)) if trial else origin.inputs
        _fill(form, origin._replace(inputs=inputs))
    return origin


def is_correctable(decision: Decision) -> bool:
    """Return whether the product of a decision is the one in service, whose form is shown."""
    return decision.product == model.bundle.product.name


def _find_origin(number: int, *, operator: Operator) -> Origin:
    search.require_visible(number, operator=operator)
    decision, contents = search.find_decision(number)
    if contents is None or not is_correctable(decision):
        raise NotFound(f"decision {number} cannot be corrected")
    return Origin(number, contents.inputs, contents.reference)


def _tried(number: int, trial_id: int) -> Application:
    for trial in search.list_trials(number):
        if trial.id == trial_id and isinstance(trial, Trial) and trial.inputs is not None:
            return trial.inputs
    raise NotFound(f"decision {number} has no trial {trial_id}")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(MAX_ID)):
        raise NotFound("this is not a number of a decision or a trial")
    return min(int(text), MAX_ID)


def _fill(form: ApplicationForm, origin: Origin) -> None:
    """Write the answers into a form that has not been sent."""
    form.corrects.data = str(origin.number)
    form[REFERENCE].data = origin.reference or ""
    for field in model.bundle.product.inputs:
        form[field.name].data = typed(origin.inputs.get(field.name))
