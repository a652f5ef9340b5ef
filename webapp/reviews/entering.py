"""Who entered an application, and so does not review it."""

from sqlalchemy import ColumnElement, Connection, select
from sqlalchemy.orm import aliased

from webapp.decisions.tables import DecisionRow
from webapp.people.persons import same_person

_d = DecisionRow


def own_of(connection: Connection, operator_id: int, *which: ColumnElement[bool]) -> set[int]:
    """Return those of some decisions that a person entered, so that somebody else reviews them.

    Or the person entered one that the decision corrects: both are about one application.
    """
    entered = select(_d.id.label("number"), _d.corrects, _d.operator_id).where(*which)
    chain = entered.cte("entered", recursive=True)
    earlier = aliased(_d)
    corrected = select(chain.c.number, earlier.corrects, earlier.operator_id)
    chain = chain.union_all(corrected.join(earlier, earlier.id == chain.c.corrects))
    is_own: dict[int, bool] = {}
    own = set()
    for number, by in connection.execute(select(chain.c.number, chain.c.operator_id)):
        if by not in is_own:
            is_own[by] = same_person(connection, by, operator_id)
        if is_own[by]:
            own.add(number)
    return own
