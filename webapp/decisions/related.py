"""Finds other decisions on the same customer: with the same reference, or by a correction."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from webapp.decisions.damage import Damaged, read
from webapp.decisions.records import Decision
from webapp.decisions.search import select_decisions, visible_to
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.extensions import db
from webapp.people.operators import Operator

SHOWN = 10  # of the same reference, on the page
MAX_CHAIN = 50

_d, _c = DecisionRow, DecisionContents


class Related(NamedTuple):
    """Another decision, and whether the operator may open it."""

    decision: Decision | Damaged
    visible: bool


class SameReference(NamedTuple):
    """The newest other decisions with a reference, and whether there are more."""

    decisions: Sequence[Related]
    more: bool


def list_same_reference(
    reference: str | None, *, apart_from: Collection[int], operator: Operator
) -> SameReference:
    """Return the newest decisions with a reference, apart from some, newest first."""
    if reference is None:
        return SameReference([], more=False)
    query = (
        select_decisions(visible_to(operator).label("visible"))
        .join(_c, _c.decision_id == _d.id)
        .where(_c.reference == reference, _d.id.not_in(apart_from))
        .order_by(_c.decision_id.desc())
        .limit(SHOWN + 1)
    )
    rows = db.session.execute(query).all()
    found = [Related(read(Decision, row), bool(row.visible)) for row in rows[:SHOWN]]
    return SameReference(found, more=len(rows) > SHOWN)


def list_chain(number: int, *, operator: Operator) -> Sequence[Related]:
    """Return the decisions that a decision corrects or is corrected by, and itself, by number."""
    earlier = select(_d.id, _d.corrects).where(_d.id == number).cte("earlier", recursive=True)
    corrected = aliased(_d)
    earlier = earlier.union(
        select(corrected.id, corrected.corrects).join(earlier, corrected.id == earlier.c.corrects)
    )
    first = select(func.min(earlier.c.id)).scalar_subquery()
    chain = select(_d.id).where(_d.id == first).cte("chain", recursive=True)
    later = aliased(_d)
    chain = chain.union(select(later.id).join(chain, later.corrects == chain.c.id))
    query = (
        select_decisions(visible_to(operator).label("visible"))
        .where(_d.id.in_(select(chain.c.id)))
        .order_by(_d.id)
        .limit(MAX_CHAIN)
    )
    return [Related(read(Decision, row), bool(row.visible)) for row in db.session.execute(query)]


def list_corrections(number: int) -> Sequence[Decision | Damaged]:
    """Return the decisions that correct a decision, oldest first."""
    query = select_decisions().where(_d.corrects == number).order_by(_d.id)
    return [read(Decision, row) for row in db.session.execute(query)]
