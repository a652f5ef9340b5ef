"""Explanations of a decision: its reasons, and the changes that would have granted it."""

import hashlib

from pydantic_core import to_json

from ml.bundle import changes
from ml.explaining.counterfactual import Changes
from webapp.decisions.kept_changes import KeptChanges
from webapp.decisions.records import Contents, Decision, StoredReasons
from webapp.decisions.writing import as_stored
from webapp.serving.served import model

MAX_KEPT_CHANGES = 256  # in each worker


def explain(decision: Decision, contents: Contents) -> StoredReasons | None:
    """Return the stored reasons of the model, or compute them; None if the model is missing."""
    if contents.reasons is not None:
        return contents.reasons
    bundle = model.of(decision.model)
    if bundle is None:
        return None
    granted = decision.model_decision == "granted"
    explained = bundle.explainer.explain(contents.inputs, granted=granted)
    reasons = as_stored(explained.reasons)
    if decision.by_policy:  # none of them is a reason of the refusal
        return [{**reason, "principal": False} for reason in reasons]
    return reasons


def find_changes(decision: Decision, contents: Contents) -> Changes | None:
    """Return the changes with which nothing in the application would stand against a grant.

    None if the model is missing.
    """
    bundle = model.of(decision.model)
    if bundle is None:
        return None
    asked = to_json([bundle.digest, decision.threshold, contents.inputs])
    return _kept_changes.find(
        hashlib.sha256(asked).digest(),
        lambda: changes.find_changes(bundle, contents.inputs, threshold=decision.threshold),
    )


_kept_changes = KeptChanges(limit=MAX_KEPT_CHANGES)
