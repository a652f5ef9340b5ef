"""Queries of many decisions, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select

from webapp.decisions.damage import Damaged, read
from webapp.decisions.records import Decision
from webapp.decisions.search import PAGE, select_decisions, visible_to
from webapp.decisions.tables import DecisionRow
from webapp.extensions import db
from webapp.people.operators import Operator


@dataclass(frozen=True, slots=True)
class Page:
    """A page of decisions, newest first, and the ids from which newer and older pages begin."""

    decisions: Sequence[Decision | Damaged]
    newer: int | None
    older: int | None


def list_decisions(
    *, operator: Operator, before: int | None = None, after: int | None = None
) -> Page:
    """Return the page of decisions before or after an id, or the newest, of those to see."""
    query = select_decisions().where(visible_to(operator)).limit(PAGE + 1)
    if after is not None:
        decisions = _decisions(query.where(DecisionRow.id > after).order_by(DecisionRow.id))
        more, rows = len(decisions) > PAGE, decisions[:PAGE][::-1]
        return Page(rows, rows[0].id if more else None, rows[-1].id if rows else None)
    if before is not None:
        query = query.where(DecisionRow.id < before)
    decisions = _decisions(query.order_by(DecisionRow.id.desc()))
    more, rows = len(decisions) > PAGE, decisions[:PAGE]
    newer = rows[0].id if before is not None and rows else None
    return Page(rows, newer, rows[-1].id if more else None)


def _decisions(query: Select[Any]) -> list[Decision | Damaged]:
    return [read(Decision, row) for row in db.session.execute(query)]
