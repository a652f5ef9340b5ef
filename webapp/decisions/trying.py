"""Trials of other values on the page of a decision: their form, and what came of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ml.bundle.decide import decide
from ml.bundle.reader import Bundle
from ml.product.application import Submission
from ml.product.definition import Product
from ml.product.texts import Text
from webapp.columns import DecisionValue
from webapp.decisions.circumstances import Applicant, Circumstances, read_circumstances
from webapp.decisions.damage import Damaged
from webapp.decisions.forms import TypedForm, trial_form
from webapp.decisions.records import Contents, Decision, StoredCause, Trial
from webapp.decisions.ruling import rule
from webapp.decisions.values import with_unit
from webapp.extensions import db
from webapp.language import words
from webapp.ledger.driver import Driver


@dataclass(frozen=True)
class Tried:
    """A trial: the values in which it differs, by their labels, and what would be decided."""

    trial: Trial | Damaged
    changed: list[tuple[str, str]]
    decision: DecisionValue | None = None
    causes: list[str] = field(default_factory=list)


def form_of(
    bundle: Bundle, contents: Contents, trials: Sequence[Trial | Damaged]
) -> TypedForm | None:
    """Return the form with the values that were tried last, or else with those applied for."""
    last = trials[0] if trials else None
    tried = last.inputs if isinstance(last, Trial) else None
    return trial_form(bundle.product, {**contents.inputs, **(tried or {})})


def applied_now(decision: Decision, reference: str | None, product: Product) -> Circumstances:
    """Return the circumstances in which a correction of a decision would be decided now."""
    reader, applicant = Driver.of(db.session.connection()), Applicant(reference, decision.id)
    [circumstances] = read_circumstances(reader, [applicant], product.referral)
    return circumstances


def tried_of(
    trial: Trial | Damaged,
    contents: Contents,
    bundle: Bundle | None,
    circumstances: Circumstances,
) -> Tried:
    """Return a trial with what would now be decided by the model and rules of its decision."""
    if isinstance(trial, Damaged):
        return Tried(trial, [])
    if bundle is None or trial.inputs is None:
        return Tried(trial, [], trial.model_decision)
    fields = bundle.product.by_name
    changed = [
        (words(fields[name].label), with_unit(fields[name], value))
        for name, value in trial.inputs.items()
        if value != contents.inputs.get(name)
    ]
    verdict = decide(bundle, trial.inputs, explained=False)
    ruling = rule(bundle.product, Submission(trial.inputs), verdict, circumstances)
    return Tried(trial, changed, ruling.decision, [say(cause) for cause in ruling.causes])


def say(cause: StoredCause) -> str:
    return words(Text(**cause["text"]))
