"""Finds other decisions on the same customer: those with the same reference."""

from collections.abc import Sequence
from typing import NamedTuple

from webapp.decisions.damage import Damaged, read
from webapp.decisions.records import Decision
from webapp.decisions.search import select_decisions, visible_to
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.extensions import db
from webapp.people.operators import Operator

SHOWN = 10  # on the page

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
    reference: str | None, *, apart_from: int, operator: Operator
) -> SameReference:
    """Return the newest decisions with a reference, apart from one, newest first."""
    if reference is None:
        return SameReference([], more=False)
    query = (
        select_decisions(visible_to(operator).label("visible"))
        .join(_c, _c.decision_id == _d.id)
        .where(_c.reference == reference, _d.id != apart_from)
        .order_by(_c.decision_id.desc())
        .limit(SHOWN + 1)
    )
    rows = db.session.execute(query).all()
    found = [Related(read(Decision, row), bool(row.visible)) for row in rows[:SHOWN]]
    return SameReference(found, more=len(rows) > SHOWN)
