"""Trials of other values on the page of a decision: their form, and what came of each."""

from collections.abc import Sequence
from dataclasses import dataclass

from ml.bundle.reader import Bundle
from webapp.decisions.damage import Damaged
from webapp.decisions.forms import ApplicationForm, trial_form
from webapp.decisions.records import Contents, Trial
from webapp.decisions.values import with_unit
from webapp.language import words


@dataclass(frozen=True)
class Tried:
    """A trial, and the values in which it differs from the application, by their labels."""

    trial: Trial | Damaged
    changed: list[tuple[str, str]]


def form_of(
    bundle: Bundle, contents: Contents, trials: Sequence[Trial | Damaged]
) -> ApplicationForm | None:
    """Return the form with the values that were tried last, or else with those applied for."""
    last = trials[0] if trials else None
    tried = last.inputs if isinstance(last, Trial) else None
    return trial_form(bundle.product, {**contents.inputs, **(tried or {})})


def tried_of(trial: Trial | Damaged, contents: Contents, bundle: Bundle | None) -> Tried:
    if isinstance(trial, Damaged) or bundle is None:
        return Tried(trial, [])
    fields = bundle.product.by_name
    changed = [
        (words(fields[name].label), with_unit(fields[name], value))
        for name, value in (trial.inputs or {}).items()
        if value != contents.inputs.get(name)
    ]
    return Tried(trial, changed)
