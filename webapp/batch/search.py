"""Queries of batches: one, a page of them, and the decisions of their lines."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, select

from webapp.batch.records import Batch, Checked, Line
from webapp.batch.tables import BatchDecision, BatchRow, CheckedFile
from webapp.decisions.damage import Damaged, read, readable
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.extensions import db
from webapp.failures import NotFound
from webapp.people.operators import Operator
from webapp.people.tables import OperatorRow

PAGE = 25
ROWS_PER_FETCH = 1_000

_b, _c, _l, _d = BatchRow, CheckedFile, BatchDecision, DecisionRow
_operators = OperatorRow.__table__


class Decided(NamedTuple):
    """The decision on a line of a file, with what is not erased of it."""

    line: int
    id: int
    decision: str
    probability: float
    reference: str | None
    reasons: list[dict[str, Any]] | None
    causes: list[dict[str, Any]] | None

    def texts(self, language: str) -> list[str]:
        """Return why it was refused or referred, the principal reasons of a refusal only."""
        if self.decision == "granted":
            return []
        if self.decision == "refused" and self.reasons is not None:
            return [r["text"][language] for r in self.reasons if r["principal"]]
        return [cause["text"][language] for cause in self.causes or ()]


def find_batch(number: int, *, owner: Operator | None) -> Batch | Damaged:
    """Return a batch; raises NotFound, also if there is an owner and it is not his or hers."""
    row = db.session.execute(_batches(owner).where(_b.id == number)).first()
    if row is None:
        raise NotFound(f"there is no batch {number}")
    return read(Batch, row)


def list_batches(*, owner: Operator | None, before: int | None) -> list[Batch | Damaged]:
    """Return batches, newest first, with one more than a page if there are older ones."""
    query = _batches(owner).order_by(_b.id.desc()).limit(PAGE + 1)
    if before is not None:
        query = query.where(_b.id < before)
    return [read(Batch, row) for row in db.session.execute(query)]


def find_checked(number: int, *, owner: Operator) -> Checked | Damaged | None:
    """Return a file that waits to be decided, or None."""
    row = db.session.execute(_checked(owner).where(_c.id == number)).first()
    return None if row is None else read(Checked, row)


def list_checked(*, owner: Operator) -> list[Checked | Damaged]:
    """Return the files of an operator that wait to be decided, newest first."""
    query = _checked(owner).order_by(_c.id.desc()).limit(PAGE)
    return [read(Checked, row) for row in db.session.execute(query)]


def list_decided(
    number: int, *, after: int, decision: str | None, limit: int | None = None
) -> Iterator[Decided]:
    """Yield the decisions of a batch in the order of its file, from a line on."""
    c = DecisionContents
    query = (
        select(_l.line, _d.id, _d.decision, _d.probability)
        .add_columns(readable(c.reference), readable(c.reasons), readable(c.causes))
        .join(_d, _d.id == _l.decision_id)
        .outerjoin(c, c.decision_id == _l.decision_id)
        .where(_l.batch_id == number, _l.line > after)
        .order_by(_l.line)
        .limit(limit)
    )
    if decision is not None:
        query = query.where(_d.decision == decision)
    options = {"yield_per": ROWS_PER_FETCH}
    for row in db.session.execute(query, execution_options=options):
        yield Decided(*row)


def line_of(decision_id: int) -> Line | None:
    """Return the line of a batch that a decision was made on, if any."""
    query = select(_l.batch_id, _l.line).where(_l.decision_id == decision_id)
    row = db.session.execute(query).first()
    return None if row is None else Line(row.batch_id, row.line)


def _batches(owner: Operator | None) -> Select[Any]:
    facts: tuple[ColumnElement[Any], ...] = (
        *(readable(column) for column in (_b.id, _b.created_at, _b.product, _b.model)),
        *(readable(column) for column in (_b.rows, _b.granted, _b.refused, _b.referred)),
    )
    query = (
        select(*facts, _operators.c.name.label("operator"), _c.name)
        .outerjoin(_operators, _operators.c.id == _b.operator_id)
        .outerjoin(_c, _c.id == _b.id)
    )
    return query if owner is None else query.where(_b.operator_id == owner.id)


def _checked(owner: Operator) -> Select[Any]:
    columns = (_c.id, _c.created_at, _c.name, _c.rows, _c.run, _c.seen_at, _c.decided)
    query = select(*(readable(column) for column in columns))
    return query.where(_c.operator_id == owner.id, _c.applications.is_not(None))
