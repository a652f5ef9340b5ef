"""How reviews change the number of granted loans, of which the counts of decisions know nothing."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, or_, select
from sqlalchemy.orm import aliased

from webapp.decisions.tables import DecisionRow
from webapp.extensions import db
from webapp.reviews.tables import ReviewRow

_d, _r = DecisionRow, ReviewRow


def net_granted(*conditions: Any) -> list[tuple[datetime, int]]:  # noqa: ANN401 - on decisions
    """Return the moment of each decision whose loan reviews have granted or taken back.

    With it stands 1 for a loan that was not granted by the decision itself, and is now; -1 for one
    that was, and is no more.
    """
    one = case((_r.final == "granted", 1), else_=-1)
    changed = or_(_r.final == "granted", _d.decision == "granted") & (_r.final != _d.decision)
    query = select(_d.created_at, one).select_from(_r).join(_d, _d.id == _r.decision_id)
    rows = db.session.execute(having_the_word(query).where(changed, *conditions))
    return [(moment, number) for moment, number in rows]


def having_the_word(query: Select[Any]) -> Select[Any]:
    """Keep only the last review of each decision that left a word."""
    later = aliased(ReviewRow)
    exists = select(later.id).where(
        later.decision_id == _r.decision_id, later.id > _r.id, later.final.is_not(None)
    )
    return query.where(_r.final.is_not(None), ~exists.exists())
