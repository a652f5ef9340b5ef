"""Decide applications, score trials, and store both."""

import os
from collections.abc import Callable

from pydantic_core import to_json
from sqlalchemy import Connection, select

from ml.bundle.decide import Verdict, decide as score
from ml.product.application import Application, Submission
from webapp.columns import decision_value, now
from webapp.decisions.deciding import Judged, verdicts
from webapp.decisions.records import Channel, Decision
from webapp.decisions.store import store
from webapp.decisions.tables import DecisionContents, TrialRow
from webapp.decisions.writing import Stored
from webapp.failures import ModelUnavailable, NotFound, OutcomeUnknown
from webapp.ledger import idempotency
from webapp.ledger.audit import record
from webapp.ledger.chain import commitment_to, facts_digest, iso
from webapp.ledger.driver import Driver
from webapp.ledger.idempotency import Claim, Used
from webapp.ledger.tables import SALT_BYTES
from webapp.ledger.transaction import add_row, mark_commit
from webapp.people.operators import Operator
from webapp.serving.served import model


def judge(
    submission: Submission,
    *,
    operator: Operator,
    channel: Channel,
    claim: Claim | None = None,
    corrects: int | None = None,
) -> Judged:
    """Judge an application with the bundle in service; it is decided when it is stored."""
    bundle = model.bundle
    [verdict] = verdicts(bundle, [submission.application])
    return Judged(operator, channel, bundle, submission, verdict, claim=claim, corrects=corrects)


def store_once(claim: Claim | None, judge: Callable[[], Judged]) -> Stored | Used:
    """Judge, decide and store, or return what the claim's key was used for before.

    Raises as `idempotency.store_once`, and what `judge` and `store_decision` raise.
    """
    return idempotency.store_once(store().find_use, claim, lambda: store_decision(judge()))


def store_decision(judged: Judged) -> Stored:
    """Decide and store; return the decision once it is on disk. Raises as `DecisionStore.add`."""
    try:
        stored = store().add(judged)
    except OutcomeUnknown:
        mark_commit()
        raise
    mark_commit()
    return stored


def add_trial(
    transaction: Connection,
    decision_id: int,
    application: Application,
    verdict: Verdict,
    *,
    operator: Operator,
) -> int:
    """Add a trial of other values on a decided application, and return its number.

    Raises NotFound if the contents of the decision have been erased meanwhile.
    """
    moment, decided = now(), decision_value(verdict.granted)
    number = add_row(
        transaction,
        TrialRow,
        created_at=moment,
        decision_id=decision_id,
        operator_id=operator.id,
        probability=verdict.probability,
        model_decision=decided,
    )
    # Only now: an erasure waits for transactions that refer to the decision.
    if not _has_contents(transaction, decision_id):
        raise NotFound(f"the contents of decision {decision_id} have been erased")
    salt, inputs = os.urandom(SALT_BYTES), to_json(application).decode()
    driver = Driver.of(transaction)
    driver.insert("trial_contents", ("trial_id", "inputs", "salt"), [(number, inputs, salt)])
    record(
        transaction,
        "trial.made",
        f"trial:{number}",
        operator_id=operator.id,
        moment=moment,
        facts=facts_digest(
            [number, iso(moment), decision_id, operator.id, verdict.probability, decided]
        ),
        commitment=commitment_to([inputs], salt),
    )
    return number


def _has_contents(transaction: Connection, decision_id: int) -> bool:
    """Return whether a decision has contents that are not erased."""
    found = select(DecisionContents.decision_id).where(DecisionContents.decision_id == decision_id)
    return transaction.scalar(found) is not None


def judge_trial(decision: Decision, application: Application) -> Verdict:
    """Score other values of a decided application with the model that decided it."""
    bundle = model.of(decision.model)
    if bundle is None:
        raise ModelUnavailable(f"the model of decision {decision.id} is missing")
    return score(bundle, application, explained=False)
