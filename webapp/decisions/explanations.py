"""Why a decision fell as it did, what would have changed it, and trials of other values."""

import logging
from collections.abc import Sequence

from sqlalchemy import select

from ml.bundle.decide import decide as judge
from ml.explaining.counterfactual import Counterfactual, nearest_granted
from ml.product.application import Application
from webapp.columns import now
from webapp.decisions.search import PAGE
from webapp.decisions.service import Stored, as_stored
from webapp.decisions.tables import WORDS, Decision, Trial
from webapp.extensions import db
from webapp.failures import ModelUnavailable
from webapp.ledger.transaction import writing
from webapp.metrics import metrics
from webapp.people.operator import Operator
from webapp.serving.served import model

log = logging.getLogger(__name__)


def explain(decision: Decision) -> Stored | None:
    """Return a decision's reasons: those it was stored with, or else computed by its own model.

    None where that model is no longer here.
    """
    if decision.reasons is not None:
        told: Stored = decision.reasons
        return told
    bundle = model.of(decision.model)
    if bundle is None:
        return None
    explained = bundle.explainer.explain(decision.inputs, granted=decision.granted)
    return as_stored(explained.reasons)


def find_counterfactuals(decision: Decision) -> list[Counterfactual] | None:
    """Return what would have changed a refusal; None where its model is no longer here."""
    bundle = model.of(decision.model)
    if bundle is None:
        return None
    return nearest_granted(
        bundle.product,
        bundle.scorer,
        decision.inputs,
        threshold=decision.threshold,
        ranges=bundle.ranges,
    )


def try_values(decision: Decision, application: Application, *, operator: Operator) -> Trial:
    """Judge a decided application with other values; the trial is kept, and is no decision."""
    bundle = model.of(decision.model)
    if bundle is None:
        raise ModelUnavailable(f"the model of decision {decision.id} is not here")
    verdict = judge(bundle, application)
    trial = Trial(
        created_at=now(),
        decision_id=decision.id,
        user_id=operator.id,
        inputs=application,
        probability=verdict.probability,
        granted=verdict.granted,
    )
    with writing():
        db.session.add(trial)
    log.info("trial %s on decision %s by user %s", trial.id, trial.decision_id, operator.id)
    metrics.trials.labels(bundle.product.name, WORDS[verdict.granted], bundle.version).inc()
    return trial


def list_trials(decision: Decision) -> Sequence[Trial]:
    """Return the last trials on a decision, newest first."""
    query = select(Trial).filter_by(decision_id=decision.id).order_by(Trial.id.desc())
    return list(db.session.scalars(query.limit(PAGE)))
