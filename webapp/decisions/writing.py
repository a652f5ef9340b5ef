"""Writes new decisions, many in one transaction: facts, contents, keys and audit entries."""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic_core import to_json

from ml.bundle.decide import Verdict
from ml.explaining.reasons import Reason
from ml.product.application import Application
from ml.scoring.columns import Normalised
from webapp.columns import decision_value, now
from webapp.decisions.records import Channel, Decision, StoredReasons
from webapp.ledger.audit import take_lane
from webapp.ledger.chain import NewEntry, commitment_to, facts_digest, iso
from webapp.ledger.driver import Driver
from webapp.ledger.idempotency import Claim, fingerprint
from webapp.ledger.tables import SALT_BYTES
from webapp.people.operators import Operator

FACTS = (
    *("id", "created_at", "operator_id", "channel", "product", "model", "probability", "threshold"),
    *("model_decision", "decision", "amount", "novelty"),
)
CONTENTS = ("decision_id", "inputs", "normalised", "reasons", "reference", "salt")
CLAIMS = ("operator_id", "digest", "fingerprint", "language", "decision_id")


class NewContents(NamedTuple):
    """The contents of a decision to write; those that are read are `records.Contents`."""

    inputs: Application
    normalised: Normalised
    reasons: StoredReasons | None
    reference: str | None


class NewDecision(NamedTuple):
    """A decision to write."""

    operator: Operator
    channel: Channel
    verdict: Verdict
    contents: NewContents
    claim: Claim | None = None
    language: str = ""  # of an answer in JSON; empty if there is to be none


class Stored(NamedTuple):
    """A decision that has been written, with its answer in JSON if there is to be one."""

    new: NewDecision
    decision: Decision
    json: bytes = b""


def contents_of(
    application: Application, verdict: Verdict, reference: str | None = None
) -> NewContents:
    """Return the contents to store with a decision."""
    reasons = None if verdict.reasons is None else as_stored(verdict.reasons)
    return NewContents(application, verdict.normalised, reasons, reference)


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
        # In an order in which two processes cannot wait for each other.
        driver.insert("idempotency_keys", CLAIMS, sorted(claims))
        lane.add([_entry(f, c) for f, c in zip(facts, contents, strict=True)], moment)
    return [
        Stored(d, Decision(f[0], moment, d.operator.name, *f[3:]))
        for d, f in zip(decisions, facts, strict=True)
    ]


def _facts(decision: NewDecision, number: int, moment: str) -> tuple[Any, ...]:
    """Return the facts in the order of `FACTS`."""
    v, granted = decision.verdict, decision_value(decision.verdict.granted)
    return (
        *(number, moment, decision.operator.id, decision.channel, v.product, v.model),
        *(v.probability, v.threshold, granted, granted, v.amount, v.novelty),
    )


def _contents(contents: NewContents) -> tuple[str, str, str | None, str | None, bytes]:
    """Return the contents in the order of their columns, and a new salt."""
    inputs, normalised = to_json(contents.inputs).decode(), to_json(contents.normalised).decode()
    reasons = None if contents.reasons is None else to_json(contents.reasons).decode()
    return inputs, normalised, reasons, contents.reference, os.urandom(SALT_BYTES)


def _claim(claim: Claim, number: int, *, salt: bytes) -> tuple[int, bytes, bytes, str, int]:
    """Return the row of an idempotency key, in the order of `CLAIMS`."""
    mark = fingerprint(claim.sent, salt)
    return claim.operator_id, claim.digest, mark, claim.language, number


def _entry(
    facts: tuple[Any, ...], contents: tuple[str, str, str | None, str | None, bytes]
) -> NewEntry:
    *texts, reference, salt = contents
    texts.append(None if reference is None else f'"{reference}"')  # as JSON
    number, _, operator_id = facts[:3]
    digests = facts_digest(facts), commitment_to(texts, salt)
    return NewEntry(operator_id, "decision.made", f"decision:{number}", *digests)
