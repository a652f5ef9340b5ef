"""Find decisions: one, a page of them, how many."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from webapp.decisions.tables import WORDS, Decision, DecisionCount
from webapp.extensions import db

PAGE = 25


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of decisions, newest first, and where to go on from it."""

    decisions: Sequence[Decision]
    newer: int | None
    older: int | None


def find_decision(number: int) -> Decision | None:
    found: Decision | None = db.session.get(Decision, number)
    return found


def list_decisions(*, before: int | None = None, after: int | None = None) -> Page:
    """Return the decisions just older or newer than one, or the newest, at the cost of a page."""
    query = select(Decision).limit(PAGE + 1)
    if after is not None:
        found = list(db.session.scalars(query.where(Decision.id > after).order_by(Decision.id)))
        more, rows = len(found) > PAGE, found[:PAGE][::-1]
        return Page(rows, rows[0].id if more else None, rows[-1].id if rows else None)
    if before is not None:
        query = query.where(Decision.id < before)
    found = list(db.session.scalars(query.order_by(Decision.id.desc())))
    more, rows = len(found) > PAGE, found[:PAGE]
    newer = rows[0].id if before is not None and rows else None
    return Page(rows, newer, rows[-1].id if more else None)


def count_decisions() -> list[tuple[tuple[str, str, str, str], int]]:
    """Return how many decisions there are by product, decision, channel and model.

    The cost does not grow with them.
    """
    c = DecisionCount
    kind = (c.product, c.granted, c.channel, c.model)
    rows = db.session.execute(select(*kind, func.sum(c.count)).group_by(*kind))
    return [
        ((product, WORDS[granted], channel, version), int(count))
        for product, granted, channel, version, count in rows
    ]
