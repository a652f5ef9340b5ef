"""Writes new decisions, many in one transaction: facts, contents, keys and audit entries."""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic_core import to_json

from ml.bundle.decide import Verdict
from ml.explaining.reasons import Reason
from ml.product.application import Application, Submission
from ml.scoring.columns import Normalised
from webapp.columns import decision_value, now
from webapp.decisions.records import Channel, Decision, StoredCauses, StoredReasons
from webapp.decisions.ruling import Ruling
from webapp.ledger.audit import take_lane
from webapp.ledger.chain import NewEntry, commitment_to, facts_digest, iso
from webapp.ledger.driver import Driver
from webapp.ledger.idempotency import Claim, fingerprint
from webapp.ledger.tables import SALT_BYTES
from webapp.people.operators import Operator

FACTS = (
    *("id", "created_at", "operator_id", "channel", "product", "model", "probability", "threshold"),
    *("model_decision", "decision", "basis", "policy", "corrects", "amount", "novelty"),
)
CONTENTS = ("decision_id", "inputs", "normalised", "reasons", "causes", "reference", "salt")
CLAIMS = ("operator_id", "digest", "fingerprint", "language", "decision_id")
REVIEWS = ("decision_id", "opened_at", "opened_by", "cause")
ContentsRow = tuple[str, str, str | None, str, str | None, bytes]  # in the order of CONTENTS


class NewContents(NamedTuple):
    """The contents of a decision to write; those that are read are `records.Contents`."""

    inputs: Application
    normalised: Normalised
    reasons: StoredReasons | None
    causes: StoredCauses
    reference: str | None


class NewDecision(NamedTuple):
    """A decision to write."""

    operator: Operator
    channel: Channel
    verdict: Verdict
    ruling: Ruling
    contents: NewContents
    claim: Claim | None = None
    language: str = ""  # of an answer in JSON; empty if there is to be none
    corrects: int | None = None  # the decision that it corrects


class Stored(NamedTuple):
    """A decision that has been written, with its answer in JSON if there is to be one."""

    new: NewDecision
    decision: Decision
    json: bytes = b""


def contents_of(submission: Submission, verdict: Verdict, ruling: Ruling) -> NewContents:
    """Return the contents to store with a decision."""
    application, reference = submission
    reasons = stored_reasons(verdict, ruling)
    return NewContents(application, verdict.normalised, reasons, ruling.causes, reference)


def stored_reasons(verdict: Verdict, ruling: Ruling) -> StoredReasons | None:
    """Return the reasons of the model's refusal, unless it is a policy rule that refuses."""
    return None if verdict.reasons is None or ruling.by_policy else as_stored(verdict.reasons)


def as_stored(reasons: Sequence[Reason]) -> StoredReasons:
    """Return reasons in the form in which a decision stores them, with their texts."""
    return [
        {
            "field": r.field,
            "share": r.share,
            "principal": r.principal,
            "text": {"en": r.text.en, "fr": r.text.fr},
        }
        for r in reasons
    ]


def write_decisions(
    driver: Driver, decisions: Sequence[NewDecision], *, moment: datetime | None = None
) -> list[Stored]:
    """Write decisions in an open transaction, by one statement for each table.

    Only invented ones are of another moment than now.
    """
    lane, numbers = take_lane(driver, decisions=len(decisions))
    moment = moment or now()
    stored, shown = driver.moment(moment), iso(moment)
    facts = [_facts(d, n, shown) for d, n in zip(decisions, numbers, strict=True)]
    contents = [_contents(d.contents) for d in decisions]
    claims = [
        _claim(d.claim, number, salt=texts[-1])
        for d, number, texts in zip(decisions, numbers, contents, strict=True)
        if d.claim
    ]
    with driver.pipeline():
        driver.insert("decisions", FACTS, [(f[0], stored, *f[2:]) for f in facts])
        driver.insert(
            "decision_contents", CONTENTS, [(n, *c) for n, c in zip(numbers, contents, strict=True)]
        )
        driver.insert("reviews", REVIEWS, _reviews(decisions, numbers, stored))
        # In an order in which two processes cannot wait for each other.
        driver.insert("idempotency_keys", CLAIMS, sorted(claims))
        lane.add([_entry(f, c) for f, c in zip(facts, contents, strict=True)], moment)
    return [
        Stored(d, Decision(f[0], moment, d.operator.name, *f[3:]))
        for d, f in zip(decisions, facts, strict=True)
    ]


def _facts(decision: NewDecision, number: int, moment: str) -> tuple[Any, ...]:
    """Return the facts in the order of `FACTS`."""
    v, r = decision.verdict, decision.ruling
    return (
        *(number, moment, decision.operator.id, decision.channel, v.product, v.model),
        *(v.probability, v.threshold, decision_value(v.granted), r.decision, r.basis, r.policy),
        *(decision.corrects, v.amount, v.novelty),
    )


def _contents(contents: NewContents) -> ContentsRow:
    """Return the contents in the order of their columns, and a new salt."""
    inputs, normalised = to_json(contents.inputs).decode(), to_json(contents.normalised).decode()
    reasons = None if contents.reasons is None else to_json(contents.reasons).decode()
    causes = to_json(contents.causes).decode()
    return inputs, normalised, reasons, causes, contents.reference, os.urandom(SALT_BYTES)


def _reviews(
    decisions: Sequence[NewDecision], numbers: Sequence[int], moment: str | datetime
) -> list[tuple[int, str | datetime, int, str]]:
    """Return the open reviews of what is referred, in the order of `REVIEWS`."""
    return [
        (number, moment, decision.operator.id, "referred")
        for decision, number in zip(decisions, numbers, strict=True)
        if decision.ruling.decision == "referred"
    ]


def _claim(claim: Claim, number: int, *, salt: bytes) -> tuple[int, bytes, bytes, str, int]:
    """Return the row of an idempotency key, in the order of `CLAIMS`."""
    mark = fingerprint(claim.sent, salt)
    return claim.operator_id, claim.digest, mark, claim.language, number


def _entry(facts: tuple[Any, ...], contents: ContentsRow) -> NewEntry:
    *texts, reference, salt = contents
    texts.append(None if reference is None else f'"{reference}"')  # as JSON
    number, _, operator_id = facts[:3]
    digests = facts_digest(facts), commitment_to(texts, salt)
    return NewEntry(operator_id, "decision.made", f"decision:{number}", *digests)
