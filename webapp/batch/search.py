"""Queries of batches: one, a page of them, and the decisions of their lines."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import aliased

from webapp.batch.records import Batch, Checked, Decided, Line
from webapp.batch.tables import BatchDecision, BatchRow, CheckedFile
from webapp.decisions.damage import Damaged, read, readable
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.extensions import db
from webapp.failures import NotFound
from webapp.people.operators import Operator
from webapp.people.tables import OperatorRow
from webapp.reviews.search import final_word

PAGE = 25
ROWS_PER_FETCH = 1_000

_b, _c, _l, _d = BatchRow, CheckedFile, BatchDecision, DecisionRow
_operators = OperatorRow.__table__


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


def find_same_file(number: int) -> Batch | Damaged | None:
    """Return the last batch that was decided from the same file, byte for byte, if there is one."""
    waiting = aliased(_c)
    digest = select(waiting.digest).where(waiting.id == number).scalar_subquery()
    query = _batches(None).where(_c.digest == digest).order_by(_b.id.desc()).limit(1)
    row = db.session.execute(query).first()
    return None if row is None else read(Batch, row)


def list_decided(
    number: int, *, after: int, decision: str | None, limit: int | None = None
) -> Iterator[tuple[int, Decided | Damaged]]:
    """Yield the lines of a batch's file with their decisions, from a line on."""
    c = DecisionContents
    query = (
        select(_l.line, _d.id, _d.decision, final_word().label("final"), _d.probability)
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
        yield row.line, read(Decided, row)


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
