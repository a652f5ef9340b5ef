"""Makes letters in an open transaction, and finds those of a decision."""

import os
from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, Select, func, select

from webapp.columns import now
from webapp.decisions.damage import Damaged, read, readable
from webapp.decisions.tables import DecisionContents
from webapp.extensions import db
from webapp.failures import DecisionDamaged, LetterMeanwhile, NotFound
from webapp.ledger.audit import record
from webapp.ledger.chain import commitment_to, facts_digest, iso
from webapp.ledger.driver import Driver
from webapp.ledger.tables import SALT_BYTES
from webapp.ledger.transaction import add_row
from webapp.letters.records import Draft, Letter, Rendered
from webapp.letters.tables import LetterContents, LetterRow
from webapp.people.operators import Operator
from webapp.people.tables import OperatorRow

FACTS = (
    *("id", "created_at", "decision_id", "number", "operator_id"),
    *("kind", "language", "regime", "template", "digest"),
)
# So that two transactions do not give two letters the same number. SQLite has one writer anyway.
LOCK = "SELECT pg_advisory_xact_lock(hashtext('loan_desk'), hashtext('letters'))"

_l, _operators = LetterRow, OperatorRow.__table__


def make_letter(
    transaction: Connection,
    draft: Draft,
    rendered: Rendered,
    *,
    decision_id: int,
    number: int,
    operator: Operator,
) -> int:
    """Store a letter, with its number among those of the decision, and return that number.

    The number is one more than that of the last letter which the operator had seen. If it is taken
    by a letter of the same operator with the same text, the form was sent twice: nothing is stored
    again. Raises LetterMeanwhile if it is taken by another letter, and NotFound if the contents of
    the decision have been erased.
    """
    if transaction.dialect.name == "postgresql":
        transaction.exec_driver_sql(LOCK)
    if _is_made(
        transaction, rendered.text, decision_id=decision_id, number=number, operator=operator
    ):
        return number
    facts = {
        "created_at": now(),
        "decision_id": decision_id,
        "number": number,
        "operator_id": operator.id,
        "kind": draft.kind,
        "language": draft.language,
        "regime": draft.regime,
        "template": rendered.template,
        "digest": rendered.digest,
    }
    _add(transaction, facts, rendered.text)
    return number


def list_letters(decision_id: int) -> Sequence[Letter | Damaged]:
    """Return the letters on a decision, the first one first."""
    query = _select_letters().where(_l.decision_id == decision_id).order_by(_l.number)
    return [read(Letter, row) for row in db.session.execute(query)]


def find_letter(decision_id: int, number: int) -> tuple[Letter, str | None]:
    """Return a letter and its text, which is None once it is erased.

    Raises NotFound, or DecisionDamaged for a letter that the service cannot have written.
    """
    contents = LetterContents
    query = _select_letters(contents.letter_id, readable(contents.text)).outerjoin(
        contents, contents.letter_id == _l.id
    )
    row = db.session.execute(
        query.where(_l.decision_id == decision_id, _l.number == number)
    ).first()
    if row is None:
        raise NotFound(f"decision {decision_id} has no letter {number}")
    letter = read(Letter, row)
    if isinstance(letter, Damaged):
        raise DecisionDamaged(decision_id, letter.columns)
    if row.letter_id is None:
        return letter, None
    if not isinstance(row.text, str):
        raise DecisionDamaged(decision_id, ("text",))
    return letter, row.text


def _is_made(
    transaction: Connection, text: str, *, decision_id: int, number: int, operator: Operator
) -> bool:
    """Return whether this letter is stored already; raises LetterMeanwhile for another one."""
    of_decision = _l.decision_id == decision_id
    last = transaction.scalar(select(func.max(_l.number)).where(of_decision)) or 0
    if number == last + 1:
        return False
    query = select(_l.operator_id, LetterContents.text).outerjoin(
        LetterContents, LetterContents.letter_id == _l.id
    )
    made = transaction.execute(query.where(of_decision, _l.number == number)).first()
    if made is None:
        raise NotFound(f"letter {number} of decision {decision_id} cannot be the next one")
    if tuple(made) != (operator.id, text):
        raise LetterMeanwhile(f"letter {number} of decision {decision_id} has been made")
    return True


def _add(transaction: Connection, facts: dict[str, Any], text: str) -> None:
    letter = add_row(transaction, LetterRow, **facts)
    # Only now: an erasure waits for transactions that refer to the decision.
    kept = select(DecisionContents.decision_id).where(
        DecisionContents.decision_id == facts["decision_id"]
    )
    if transaction.scalar(kept) is None:
        raise NotFound(f"the contents of decision {facts['decision_id']} have been erased")
    salt, as_json = os.urandom(SALT_BYTES), to_json(text).decode()
    driver = Driver.of(transaction)
    driver.insert("letter_contents", ("letter_id", "text", "salt"), [(letter, as_json, salt)])
    moment = facts["created_at"]
    record(
        transaction,
        "letter.made",
        f"letter:{letter}",
        operator_id=facts["operator_id"],
        moment=moment,
        facts=facts_digest([letter, iso(moment), *list(facts.values())[1:]]),
        commitment=commitment_to([as_json], salt),
    )


def _select_letters(*more: Any) -> Select[Any]:  # noqa: ANN401 - columns of any kind
    facts = (readable(getattr(_l, name)) for name in FACTS if name != "operator_id")
    query = select(*facts, _operators.c.name.label("operator"), *more)
    return query.outerjoin(_operators, _operators.c.id == _l.operator_id)
