"""Store what an applicant said of the protected fields: once for each decision, and in time."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from pydantic_core import to_json
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from webapp.columns import now
from webapp.decisions.records import Decision
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.extensions import db
from webapp.failures import AlreadyAnswered, NotFound
from webapp.ledger.audit import take_lane
from webapp.ledger.chain import NewEntry, commitment_to, facts_digest, iso
from webapp.ledger.driver import Driver
from webapp.ledger.tables import SALT_BYTES
from webapp.people.operators import Operator
from webapp.protected.tables import ProtectedAnswer

# Long enough for the customer at the desk. The watch counts a month only once all answers are in.
ANSWER_WITHIN = timedelta(days=1)
FACTS = ("id", "created_at", "operator_id")
State = Literal["open", "answered", "closed", "not_asked"]


class NewAnswer(NamedTuple):
    """What an applicant said of the protected fields: the values that were given, by field."""

    decision_id: int
    operator_id: int
    values: Mapping[str, str]


def state_of(decision: Decision, operator: Operator) -> State:
    """Return whether an operator may ask the applicant of a decision, and has not asked yet.

    Only who entered it at the desk may: the applicant of a row in a batch is not there.
    """
    if decision.channel != "desk":
        return "not_asked"
    d, a = DecisionRow, ProtectedAnswer
    query = select(d.operator_id, a.id.label("answer")).outerjoin(a, a.id == d.id)
    row = db.session.execute(query.where(d.id == decision.id)).one()._mapping
    if row[d.operator_id] != operator.id:
        return "not_asked"
    if row["answer"] is not None:
        return "answered"
    return "open" if now() - decision.created_at < ANSWER_WITHIN else "closed"


def give_answer(transaction: Connection, answer: NewAnswer) -> None:
    """Store an answer.

    Raises AlreadyAnswered, and NotFound if the contents of the decision have been erased.
    """
    driver = Driver.of(transaction)
    given = select(ProtectedAnswer.id).where(ProtectedAnswer.id == answer.decision_id)
    if transaction.scalar(given) is not None:
        raise AlreadyAnswered
    try:
        write_answers(driver, [answer])
    except IntegrityError:  # another request has answered meanwhile
        raise AlreadyAnswered from None
    # Only now: an erasure waits for transactions that refer to the decision.
    c = DecisionContents.decision_id
    if transaction.scalar(select(c).where(c == answer.decision_id)) is None:
        raise NotFound(f"the contents of decision {answer.decision_id} have been erased")


def write_answers(
    driver: Driver, answers: Sequence[NewAnswer], *, moment: datetime | None = None
) -> None:
    """Write answers in an open transaction; only invented ones are of another moment than now."""
    if not answers:
        return
    moment = moment or now()
    lane, _ = take_lane(driver)
    stored, salts = driver.moment(moment), [os.urandom(SALT_BYTES) for _ in answers]
    driver.insert(
        "protected_answers", FACTS, [(a.decision_id, stored, a.operator_id) for a in answers]
    )
    driver.insert(
        "protected_answer_contents",
        ("decision_id", "salt"),
        [(a.decision_id, salt) for a, salt in zip(answers, salts, strict=True)],
    )
    driver.insert(
        "protected_attributes",
        ("decision_id", "field", "value"),
        [(a.decision_id, *value) for a in answers for value in a.values.items()],
    )
    entries = [_entry(a, s, moment) for a, s in zip(answers, salts, strict=True)]
    lane.add(entries, moment)


def _entry(answer: NewAnswer, salt: bytes, moment: datetime) -> NewEntry:
    number, operator_id, values = answer
    said = to_json(dict(sorted(values.items()))).decode()
    digests = facts_digest([number, iso(moment), operator_id]), commitment_to([said], salt)
    return NewEntry(operator_id, "protected.given", f"protected_answer:{number}", *digests)
