"""Why a decision fell as it did, and what would have changed it."""

from ml.explaining.counterfactual import Changes, nearest_granted
from webapp.decisions.records import Contents, Decision, Stored
from webapp.decisions.service import as_stored
from webapp.serving.served import model


def explain(decision: Decision, contents: Contents) -> Stored | None:
    """Return a decision's reasons: those it was stored with, or else computed by its own model.

    None where that model is no longer here.
    """
    if contents.reasons is not None:
        return contents.reasons
    bundle = model.of(decision.model)
    if bundle is None:
        return None
    explained = bundle.explainer.explain(contents.inputs, granted=decision.granted)
    return as_stored(explained.reasons)


def find_changes(decision: Decision, contents: Contents) -> Changes | None:
    """Return what would have changed a refusal; None where its model is no longer here."""
    bundle = model.of(decision.model)
    if bundle is None:
        return None
    return nearest_granted(
        bundle.product,
        bundle.scorer,
        contents.inputs,
        threshold=decision.threshold,
        ranges=bundle.ranges,
    )
