"""Invents what reviewers decide on the referred decisions of a history."""

from datetime import datetime
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from webapp.decisions.records import Decision
from webapp.demo.history import Row
from webapp.ledger.audit import take_lane
from webapp.ledger.chain import NewEntry, facts_digest, iso
from webapp.ledger.driver import Driver
from webapp.people.operators import Operator, add_operator
from webapp.reviews.records import Closing, ReviewedDecision

NAMES = ("demo-reviewer", "demo-senior-reviewer")
DAYS = 3  # after which a review is closed
# How often a reviewer disagrees with the model, by what the model says and whether the loan would
# be good: people know something that the model does not.
AGAINST = {
    ("granted", True): 0.05,
    ("granted", False): 0.25,
    ("refused", True): 0.3,
    ("refused", False): 0.08,
}
CODES: dict[Closing, tuple[str, ...]] = {
    "granted": ("documents_seen", "income_verified", "existing_customer", "confirmed"),
    "refused": ("affordability", "documents_doubtful", "documents_missing", "confirmed"),
}
CLOSE = (
    "UPDATE reviews SET claimed_by = ?, claimed_at = ?, closed_at = ?, closed_by = ?, result = ?, "
    "final = ?, code = ? WHERE decision_id = ? AND closed_at IS NULL RETURNING id"
)


class Referred(NamedTuple):
    """A referred decision, with the row that it is about."""

    decision: Decision
    row: Row


def add_reviewers(transaction: Connection) -> list[Operator]:
    return [Operator("user", add_operator(transaction, "user", n), n) for n in NAMES]


def close_reviews(
    transaction: Connection,
    referred: list[Referred],
    reviewers: list[Operator],
    *,
    moment: datetime,
    random: np.random.Generator,
) -> list[Referred]:
    """Close the reviews of referred decisions at a moment; return those that are granted."""
    driver, granted = Driver.of(transaction), []
    entries = []
    stored = driver.moment(moment)
    for one in referred:
        decision = one.decision
        reviewer = reviewers[int(random.integers(len(reviewers)))]
        final = _word(one, random)
        code = str(random.choice(CODES[final]))
        reviewed = ReviewedDecision(
            decision.id, decision.decision, decision.model_decision, False, None
        )
        result = reviewed.result(final)
        values = (reviewer.id, stored, stored, reviewer.id, result, final, code, decision.id)
        [(number,)] = driver.fetch(CLOSE, values)
        facts = [number, iso(moment), decision.id, reviewer.id, result, final, code]
        subject = f"review:{number}"
        entries.append(NewEntry(reviewer.id, "review.closed", subject, facts_digest(facts)))
        if final == "granted":
            granted.append(one)
    if entries:
        lane, _ = take_lane(driver)
        lane.add(entries, moment)
    return granted


def _word(one: Referred, random: np.random.Generator) -> Closing:
    says = one.decision.model_decision
    if random.random() >= AGAINST[says, one.row.good]:
        return says
    return "refused" if says == "granted" else "granted"
