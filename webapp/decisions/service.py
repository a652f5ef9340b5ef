"""Decide applications, score trials, and add both to a unit of work."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from ml.bundle.decide import Verdict, decide as judge
from ml.explaining.reasons import Reason
from ml.product.application import Application
from webapp.columns import decision_value, now
from webapp.database import insert_once
from webapp.decisions.records import Channel, Contents, Decision, StoredReasons
from webapp.decisions.tables import (
    DecisionContents,
    DecisionRow,
    IdempotencyKey,
    TrialContents,
    TrialRow,
)
from webapp.failures import ModelUnavailable
from webapp.ledger.transaction import add_row
from webapp.metrics import metrics
from webapp.people.operators import Operator
from webapp.serving.served import model


class SubmittedBefore(Exception):
    """The same operator has already sent the same application from the same form."""

    def __init__(self, decision_id: int) -> None:
        super().__init__(f"decision {decision_id} is of the same submission")
        self.decision_id = decision_id


def decide(application: Application) -> Verdict:
    """Decide an application with the bundle in service."""
    with metrics.scoring.time():
        return judge(model.bundle, application)


def add_decision(
    transaction: Connection,
    verdict: Verdict,
    contents: Contents,
    *,
    operator: Operator,
    channel: Channel,
    submission: str | None = None,
) -> Decision:
    """Add a decision, which is stored when the unit of work commits.

    Raises SubmittedBefore if the same submission has a decision already.
    """
    facts: dict[str, Any] = {
        "created_at": now(),
        "channel": channel,
        "product": verdict.product,
        "model": verdict.model,
        "probability": verdict.probability,
        "threshold": verdict.threshold,
        "model_decision": decision_value(verdict.granted),
        "decision": decision_value(verdict.granted),
        "amount": verdict.amount,
        "novelty": verdict.novelty,
    }
    number = add_row(transaction, DecisionRow, operator_id=operator.id, **facts)
    add_row(
        transaction,
        DecisionContents,
        decision_id=number,
        inputs=contents.inputs,
        normalised=contents.normalised,
        reasons=contents.reasons,
    )
    if submission:
        _claim(transaction, _submission(submission, contents.inputs, operator), number)
    return Decision(id=number, operator=operator.name, **facts)


def contents_of(application: Application, verdict: Verdict) -> Contents:
    """Return the contents to store with a decision."""
    reasons = None if verdict.reasons is None else as_stored(verdict.reasons)
    return Contents(application, verdict.normalised, reasons)


def add_trial(
    transaction: Connection,
    decision_id: int,
    application: Application,
    verdict: Verdict,
    *,
    operator: Operator,
) -> int:
    """Add a trial of other values on a decided application, and return its number."""
    number = add_row(
        transaction,
        TrialRow,
        created_at=now(),
        decision_id=decision_id,
        operator_id=operator.id,
        probability=verdict.probability,
        model_decision=decision_value(verdict.granted),
    )
    add_row(transaction, TrialContents, trial_id=number, inputs=application)
    return number


def judge_trial(decision: Decision, application: Application) -> Verdict:
    """Score other values of a decided application with the model that decided it."""
    bundle = model.of(decision.model)
    if bundle is None:
        raise ModelUnavailable(f"the model of decision {decision.id} is missing")
    return judge(bundle, application)


def as_stored(reasons: Sequence[Reason]) -> StoredReasons:
    """Return reasons in the form in which a decision stores them, with their texts."""
    return [
        {"field": r.field, "share": r.share, "principal": r.principal, "text": r.text.model_dump()}
        for r in reasons
    ]


def _claim(transaction: Connection, digest: str, number: int) -> None:
    """Store a submission's digest with its decision; wait for another transaction that does."""
    insert = insert_once(IdempotencyKey.__table__, dialect=transaction.dialect.name)
    if transaction.execute(insert.values(digest=digest, decision_id=number)).rowcount:
        return
    first = select(IdempotencyKey.decision_id).where(IdempotencyKey.digest == digest)
    raise SubmittedBefore(transaction.execute(first).scalar_one())


def _submission(token: str, application: Application, operator: Operator) -> str:
    # The digest includes the values: the same form with changed values is a new application.
    submission = json.dumps([operator.id, token, application], sort_keys=True)
    return hashlib.sha256(submission.encode()).hexdigest()
