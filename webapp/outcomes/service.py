"""Records outcomes in an open transaction, and finds those of decisions."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Select, func, select

from webapp.columns import now
from webapp.decisions.damage import Damaged, read, readable
from webapp.decisions.tables import DecisionRow
from webapp.extensions import db
from webapp.failures import DecisionDamaged, InvalidOutcome, NotFound
from webapp.ledger.audit import take_lane
from webapp.ledger.chain import NewEntry, facts_digest, iso
from webapp.ledger.driver import Driver
from webapp.ledger.idempotency import Claim, write_claim
from webapp.metrics_stored import OutcomesCounted
from webapp.outcomes.records import Loan, NewOutcome, Outcome, check, is_known
from webapp.outcomes.tables import OutcomeCount, OutcomeRow
from webapp.people.operators import Operator
from webapp.people.tables import OperatorRow
from webapp.reviews.closing import lock_outcomes
from webapp.reviews.search import final_word

T = TypeVar("T")

FACTS = (
    *("id", "created_at", "decision_id", "number", "operator_id", "outcome", "known_on", "reason"),
)
ROWS_PER_STATEMENT = 500
LATEST = 25  # on the page
_o, _d, _operators = OutcomeRow, DecisionRow, OperatorRow.__table__


def record_outcome(
    transaction: Connection,
    new: NewOutcome,
    *,
    operator: Operator,
    zone: ZoneInfo,
    claim: Claim | None = None,
) -> Outcome:
    """Record an outcome and return it, or the last one if that is the same.

    The claim's key is stored with it. Raises NotFound, and InvalidOutcome if it breaks a rule.
    """
    lock_outcomes(transaction)
    outcome = _record(transaction, new, operator=operator, zone=zone)
    if claim is not None:
        write_claim(Driver.of(transaction), claim, outcome_id=outcome.id)
    return outcome


def add_outcomes(
    transaction: Connection, new: Sequence[tuple[NewOutcome, Loan]], *, operator: Operator
) -> list[Outcome]:
    """Add outcomes that keep the rules, each with its entry in the audit log."""
    driver, moment = Driver.of(transaction), now()
    first = (transaction.scalar(select(func.max(_o.id))) or 0) + 1
    outcomes = [
        Outcome(
            id=first + i,
            created_at=moment,
            decision_id=n.decision_id,
            number=loan.last.number + 1 if loan.last else 1,
            operator=operator.name,
            outcome=n.outcome,
            known_on=n.known_on,
            reason=n.reason,
        )
        for i, (n, loan) in enumerate(new)
    ]
    lane, _ = take_lane(driver)
    stored, shown = driver.moment(moment), iso(moment)
    facts = [_facts(o, operator.id, shown) for o in outcomes]
    driver.insert("outcomes", FACTS, [(f[0], stored, *f[2:]) for f in facts])
    lane.add([_entry(f, operator.id) for f in facts], moment)
    return outcomes


def find_loans(
    connection: Connection, numbers: Iterable[int], *, zone: ZoneInfo
) -> dict[int, Loan]:
    """Return what matters of decisions, by number; raises DecisionDamaged."""
    loans = {}
    for some in in_blocks(sorted(set(numbers))):
        last: dict[int, Outcome] = {}
        query = _select_outcomes().where(_o.decision_id.in_(some)).order_by(_o.number)
        for row in connection.execute(query):
            last[row.decision_id] = sound(read(Outcome, row), row.decision_id)
        facts = (_d.id, readable(_d.created_at), final_word())
        decided = select(*facts).where(_d.id.in_(some))
        for number, moment, decision in connection.execute(decided):
            if not isinstance(moment, datetime):
                raise DecisionDamaged(number, ("created_at",))
            loans[number] = Loan(moment.astimezone(zone).date(), decision, last.get(number))
    return loans


def list_outcomes(decision_id: int) -> list[Outcome | Damaged]:
    """Return the outcomes of a decision, the one that counts first."""
    query = _select_outcomes().where(_o.decision_id == decision_id).order_by(_o.number.desc())
    return [read(Outcome, row) for row in db.session.execute(query)]


def list_latest() -> list[Outcome | Damaged]:
    """Return the outcomes that were recorded last, newest first."""
    query = _select_outcomes().order_by(_o.id.desc()).limit(LATEST)
    return [read(Outcome, row) for row in db.session.execute(query)]


def find_outcome(number: int) -> Outcome:
    """Return an outcome by its own number; raises NotFound or DecisionDamaged."""
    row = db.session.execute(_select_outcomes().where(_o.id == number)).first()
    if row is None:
        raise NotFound(f"there is no outcome {number}")
    return sound(read(Outcome, row), row.decision_id)


def count_outcomes() -> list[OutcomesCounted]:
    """Return the number of loans by product, model and the outcome that counts."""
    c = OutcomeCount
    kind = (c.product, c.model, c.outcome)
    rows = db.session.execute(select(*kind, func.sum(c.count)).group_by(*kind))
    return [OutcomesCounted(*row[:-1], int(row[-1])) for row in rows]


def today_in(zone: ZoneInfo) -> date:
    return now().astimezone(zone).date()


def in_blocks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Return items in parts, each for one statement."""
    return (items[i : i + ROWS_PER_STATEMENT] for i in range(0, len(items), ROWS_PER_STATEMENT))


def sound(outcome: Outcome | Damaged, decision_id: int) -> Outcome:
    """Return an outcome; raises DecisionDamaged if its row was changed by hand."""
    if isinstance(outcome, Damaged):
        raise DecisionDamaged(decision_id, outcome.columns)
    return outcome


def _record(
    transaction: Connection, new: NewOutcome, *, operator: Operator, zone: ZoneInfo
) -> Outcome:
    loan = find_loans(transaction, [new.decision_id], zone=zone).get(new.decision_id)
    if loan is None:
        raise NotFound(f"there is no decision {new.decision_id}")
    if loan.last is not None and is_known(new, loan):
        return loan.last
    errors = check(new, loan, today=today_in(zone))
    if errors:
        raise InvalidOutcome(errors)
    [outcome] = add_outcomes(transaction, [(new, loan)], operator=operator)
    return outcome


def _select_outcomes() -> Select[Any]:
    facts = (readable(getattr(_o, name)) for name in FACTS if name != "operator_id")
    query = select(*facts, _operators.c.name.label("operator"))
    return query.outerjoin(_operators, _operators.c.id == _o.operator_id)


def _facts(outcome: Outcome, operator_id: int, moment: str) -> tuple[Any, ...]:
    """Return the facts in the order of `FACTS`."""
    o = outcome
    when = (o.id, moment, o.decision_id, o.number, operator_id)
    return (*when, o.outcome, o.known_on.isoformat(), o.reason)


def _entry(facts: tuple[Any, ...], operator_id: int) -> NewEntry:
    return NewEntry(operator_id, "outcome.recorded", f"outcome:{facts[0]}", facts_digest(facts))
