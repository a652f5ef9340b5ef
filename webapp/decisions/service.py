"""What the service does; the only caller of commit()."""

import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from ml.bundle.decide import decide as judge
from ml.explaining.reasons import Reason
from ml.product.application import Application
from webapp.columns import now
from webapp.decisions.tables import Decision
from webapp.extensions import db
from webapp.ledger.transaction import writing
from webapp.metrics import metrics
from webapp.people.operator import Operator
from webapp.serving.served import model

Channel = Literal["desk", "api"]
Stored = list[dict[str, Any]]


def decide(
    application: Application,
    *,
    operator: Operator,
    channel: Channel,
    submission: str | None = None,
) -> Decision:
    """Score an application and store the decision; when this returns, it is on disk.

    The same submission of the same application by the same operator gives the decision that is
    there already.
    """
    bundle = model.bundle
    with metrics.scoring.time():
        verdict = judge(bundle, application)
    decision = Decision(
        created_at=now(),
        channel=channel,
        user_id=operator.id if operator.kind == "user" else None,
        api_key_id=operator.id if operator.kind == "api_key" else None,
        product=bundle.product.name,
        model=bundle.version,
        probability=verdict.probability,
        threshold=bundle.threshold,
        granted=verdict.granted,
        amount=application[bundle.product.amount],
        inputs=application,
        normalised=verdict.normalised,
        reasons=verdict.reasons and as_stored(verdict.reasons),
        out_of_range=verdict.out_of_range,
        submission=submission and _submission(submission, application, operator),
    )
    started = time.perf_counter()
    try:
        with writing():
            db.session.add(decision)
    except IntegrityError:
        first = _submitted(decision.submission)
        if first is None:
            raise
        return first
    metrics.writing.observe(time.perf_counter() - started)
    metrics.probability.labels(bundle.product.name, bundle.version).observe(verdict.probability)
    return decision


def _submission(token: str, application: Application, operator: Operator) -> str:
    # With the values in it, a form gone back to, changed and sent again is a new application.
    said = json.dumps([operator.kind, operator.id, token, application], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _submitted(submission: str | None) -> Decision | None:
    if submission is None:
        return None
    found: Decision | None = db.session.scalar(select(Decision).filter_by(submission=submission))
    return found


def as_stored(reasons: Sequence[Reason]) -> Stored:
    """Return reasons as a decision keeps them: what was told, word for word."""
    return [
        {"field": r.field, "share": r.share, "principal": r.principal, "text": r.text.model_dump()}
        for r in reasons
    ]
