"""The queue of open reviews: the next one, all of them by urgency, and how many there are."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Engine,
    Select,
    case,
    cast,
    func,
    or_,
    select,
)

from webapp.decisions.damage import readable
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.extensions import db
from webapp.people.operators import Operator
from webapp.people.persons import same_person
from webapp.reviews.entering import own_of
from webapp.reviews.records import Clock, Review
from webapp.reviews.reviewers import without_reviewer
from webapp.reviews.search import corrected_by, select_reviews
from webapp.reviews.service import give
from webapp.reviews.tables import ReviewRow

Group = Literal["overdue", "soon", "later", "snoozed"]
GROUPS: tuple[Group, ...] = ("overdue", "soon", "later", "snoozed")
SOON_DAYS = 2  # today and so many days more
SHOWN = 200  # reviews on the page
# So that the second click of one reviewer sees what the first one has claimed.
LOCK = "SELECT pg_advisory_xact_lock(hashtext('loan_desk next review'), CAST(%s AS integer))"

_r, _d = ReviewRow, DecisionRow


class Subject(NamedTuple):
    """What the decision of a review is about."""

    product: str
    model: str
    amount: int
    decision: str
    model_decision: str
    corrected_by: int | None
    causes: Any  # why it was referred, as stored; None once it is erased

    @property
    def cause_texts(self) -> list[dict[str, str]]:
        """The text of each cause by language; none of what somebody has damaged."""
        stored = self.causes if isinstance(self.causes, list) else []
        return [one["text"] for one in stored if isinstance(one, dict) and "text" in one]


class Waiting(NamedTuple):
    """An open review in the queue."""

    review: Review
    subject: Subject
    due: date
    group: Group


@dataclass(frozen=True)
class Counts:
    """How many open reviews there are, for the navigation and the metrics."""

    free: int
    mine: int
    overdue: int
    open: int


def take_next(
    transaction: Connection, *, reviewer: Operator, clock: Clock, held: Container[int]
) -> int | None:
    """Claim the next review as `claim_next` does, but only one for a double click.

    `held` has the reviewer's reviews that the page with the button knew of. If there is another by
    now, that is the one which the first click has claimed.
    """
    if transaction.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        transaction.exec_driver_sql(LOCK, (reviewer.id,))
    claimed = (n for n in held_by(transaction, reviewer.id) if n not in held)
    return next(claimed, None) or claim_next(transaction, reviewer=reviewer, clock=clock)


def held_by(transaction: Connection, reviewer: int) -> Sequence[int]:
    """Return the open reviews of a reviewer, the newest first."""
    query = select(_r.id).where(_r.closed_at.is_(None), _r.claimed_by == reviewer)
    return transaction.scalars(query.order_by(_r.claimed_at.desc(), _r.id.desc())).all()


def claim_next(transaction: Connection, *, reviewer: Operator, clock: Clock) -> int | None:
    """Claim the most urgent free review that the reviewer may decide; None if there is none.

    On PostgreSQL one that another transaction is claiming is passed over; on SQLite there is only
    one such transaction at a time.
    """
    own = [n for n in _entering(transaction) if same_person(transaction, n, reviewer.id)]
    in_review = select(_r.decision_id).where(_r.closed_at.is_(None))
    is_correction = (_d.corrects.is_not(None), _d.id.in_(in_review))
    corrections = own_of(transaction, reviewer.id, *is_correction)
    free = (
        select(_r.id)
        .join(_d, _d.id == _r.decision_id)
        .where(_r.closed_at.is_(None), without_reviewer(), _awake(clock))
        .where(_d.operator_id.not_in(own), _d.id.not_in(corrections))
        .order_by(_due_date(transaction.engine, clock), _r.id)
        .limit(1)
        .with_for_update(of=_r, skip_locked=True)
    )
    number: int | None = transaction.scalar(free)
    if number is not None:
        give(transaction, number, to=reviewer.id, operator=reviewer, event="review.claimed")
    return number


def list_queue(clock: Clock, *, reviewer: int) -> list[Waiting]:
    """Return open reviews: the reviewer's own, then the most urgent ones, then snoozed ones."""
    due, awake = _due_date(db.engine, clock), _awake(clock)
    rank = case((awake & (_r.claimed_by == reviewer), 0), (awake, 1), else_=2)
    query = (
        select_reviews()
        .join(_d, _d.id == _r.decision_id)
        .add_columns(_d.product, _d.model, _d.amount, _d.decision, _d.model_decision)
        .add_columns(corrected_by(), readable(DecisionContents.causes))
        .outerjoin(DecisionContents, DecisionContents.decision_id == _d.id)
        .where(_r.closed_at.is_(None))
        .order_by(rank, due, _r.id)
        .limit(SHOWN)
    )
    return list(_with_groups(query, clock))


def count_reviews(clock: Clock, *, reviewer: int = 0) -> Counts:
    """Return how many open reviews there are, and how many of them are a reviewer's."""
    awake = _awake(clock)
    by_itself = _r.due_on.is_(None) & (_r.opened_at < clock.overdue_before)
    kinds = (
        without_reviewer() & awake,
        (_r.claimed_by == reviewer) & awake,
        or_(_r.due_on < clock.today, by_itself),
    )
    columns = (func.count().filter(kind) for kind in kinds)
    query = select(*columns, func.count()).where(_r.closed_at.is_(None))
    free, mine, overdue, total = (int(n) for n in db.session.execute(query).one())
    return Counts(free, mine, overdue, total)


def group_of(review: Review, clock: Clock) -> Group:
    if review.is_snoozed(clock.today):
        return "snoozed"
    due = review.due(clock)
    if due < clock.today:
        return "overdue"
    return "soon" if due <= clock.today + timedelta(days=SOON_DAYS) else "later"


def _due_date(engine: Engine, clock: Clock) -> ColumnElement[date]:
    """Return the column of the day on which a review is due, to order by.

    It is `Review.due`, but for an hour around midnight where SQLite takes the present offset for
    one of the other half of the year.
    """
    if engine.dialect.name == "postgresql":
        opened = cast(func.timezone(clock.zone.key, _r.opened_at), Date) + clock.days
    else:
        offset = datetime.combine(clock.today, time.min, clock.zone).utcoffset() or timedelta()
        seconds = f"{offset.total_seconds():+.0f} seconds"
        opened = func.date(_r.opened_at, seconds, f"+{clock.days} days", type_=Date)
    return func.coalesce(_r.due_on, opened, type_=Date)


def _awake(clock: Clock) -> ColumnElement[bool]:
    return or_(_r.snoozed_until.is_(None), _r.snoozed_until <= clock.today)


def _entering(connection: Connection) -> list[int]:
    """Return who entered the decisions of open reviews."""
    query = select(_d.operator_id).join(_r, _r.decision_id == _d.id).where(_r.closed_at.is_(None))
    return list(connection.scalars(query.distinct()))


def _with_groups(query: Select[Any], clock: Clock) -> Iterator[Waiting]:
    columns = len(Review._fields)
    for row in db.session.execute(query):
        review = Review(*row[:columns])
        due, group = review.due(clock), group_of(review, clock)
        yield Waiting(review, Subject(*row[columns:]), due, group)
