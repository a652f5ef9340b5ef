"""What pages show of reviews: the part of a decision's page, its history, the queue's rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask import g
from flask_babel import gettext as _

from ml.product.definition import Product
from webapp.columns import now
from webapp.decisions.history import HistoryEvent
from webapp.decisions.records import Decision
from webapp.decisions.tables import DecisionRow
from webapp.extensions import db, settings
from webapp.people.access import may
from webapp.people.operators import Operator
from webapp.reviews import queue, search
from webapp.reviews.entering import own_of
from webapp.reviews.forms import AssignForm, CloseForm, DayForm, NoteForm, OpenForm, assign_form
from webapp.reviews.queue import Counts, Waiting
from webapp.reviews.records import Clock, Note, Person, Review, ReviewedDecision, ReviewRefused
from webapp.reviews.reviewers import list_reviewers
from webapp.reviews.wording import (
    CAUSES,
    GROUPS,
    NOTES,
    RESULTS,
    likely_closing,
    reason_text,
    refusal_text,
)
from webapp.serving.served import model


@dataclass(frozen=True)
class Forms:
    """The forms on the page; the one that was sent last holds what was entered."""

    open: OpenForm
    note: NoteForm
    snooze: DayForm
    due: DayForm
    close: CloseForm
    assign: AssignForm


@dataclass(frozen=True)
class Part:
    """What the page of a decision shows of its reviews."""

    decision: ReviewedDecision
    reviews: list[Review]  # the newest first
    notes: dict[int, list[Note]]
    forms: Forms
    clock: Clock
    free: bool  # a review is open that nobody has, or somebody who no longer reviews
    own: bool  # a review is open, and the operator who looks at it entered the application
    reviews_it: bool  # whether the operator may review at all
    refused: str  # why the last step was refused
    lost: str  # what was entered and cannot be stored any more

    @property
    def open(self) -> Review | None:
        return next((r for r in self.reviews if r.is_open), None)

    @property
    def waits_for_a_word(self) -> bool:
        """Whether a reviewer is going to say whether the loan is granted."""
        referred = self.decision.decision == "referred" and self.last is None
        return referred and self.open is not None and self.decision.can_have_a_word

    @property
    def closed(self) -> list[Review]:
        return [r for r in self.reviews if not r.is_open]

    @property
    def last(self) -> Review | None:
        """The review that has the final word."""
        return next((r for r in self.closed if r.final is not None), None)

    @property
    def lapsed(self) -> Review | None:
        """The review that left a referred decision without a final word."""
        ended = self.decision.decision == "referred" and not (self.last or self.open)
        return self.closed[0] if ended and self.closed else None

    @property
    def mine(self) -> bool:
        return self.open is not None and self.open.claimed_by_id == g.operator.id

    @property
    def due(self) -> date | None:
        return self.open.due(self.clock) if self.open else None

    @property
    def overdue(self) -> bool:
        return self.due is not None and self.due < self.clock.today


@dataclass(frozen=True)
class Row:
    """A row of the queue."""

    waiting: Waiting
    product: Product | None
    own: bool
    free: bool
    age: int  # in days


def in_templates() -> dict[str, object]:
    return {
        "reviews_of": part_of,
        "review_counts": counts,
        "review_causes": CAUSES,
        "review_results": RESULTS,
        "review_groups": GROUPS,
        "review_reason": reason_text,
    }


def clock() -> Clock:
    config = settings()
    zone = config.timezone
    return Clock(now().astimezone(zone).date(), config.review_days, zone)


def counts() -> Counts | None:
    """Return how many reviews wait, for someone who reviews."""
    if not may("reviews.index"):
        return None
    if "review_counts" not in g:
        g.review_counts = queue.count_reviews(clock(), reviewer=g.operator.id)
    found: Counts = g.review_counts
    return found


def part_of(decision: Decision) -> Part:
    """Return the part of a decision's page; it is found once for a request."""
    if "review_part" not in g:
        g.review_part = _part(decision)
    found: Part = g.review_part
    return found


def events(decision: Decision) -> Iterator[HistoryEvent]:
    """Tell of the reviews of a decision, for its history."""
    reviews = search.list_reviews(decision.id)
    for review in reviews:
        cause = str(CAUSES[review.cause])
        yield HistoryEvent(review.opened_at, review.opened_by, str(_("Sent for review")), cause)
        if review.is_open and review.claimed_at and review.claimed_by:
            yield HistoryEvent(review.claimed_at, review.claimed_by, str(_("Review claimed")))
        if review.closed_at and review.closed_by and review.result:
            what = str(_("Review closed: %(result)s", result=RESULTS[review.result]))
            yield HistoryEvent(review.closed_at, review.closed_by, what, reason_text(review))
    for notes in search.list_notes(reviews).values():
        for note in notes:
            if note.kind != "closing":
                yield HistoryEvent(note.created_at, note.operator, str(NOTES[note.kind]))


def in_groups(waiting: Iterable[Waiting], *, operator: Operator) -> dict[str, list[Row]]:
    """Return the rows of the queue by group; the operator's own ones come first."""
    groups: dict[str, list[Row]] = {name: [] for name in GROUPS}
    connection, at = db.session.connection(), clock()
    reviewers = {person.id for person in list_reviewers(connection)}
    shown = list(waiting)
    numbers = [one.review.decision_id for one in shown]
    own = own_of(connection, operator.id, DecisionRow.id.in_(numbers))
    for one in shown:
        mine = one.review.claimed_by_id == operator.id and one.group != "snoozed"
        age = (at.today - one.review.opened_on(at)).days
        free = one.review.claimed_by_id not in reviewers
        row = Row(one, model.product(one.subject.product), one.review.decision_id in own, free, age)
        groups["mine" if mine else one.group].append(row)
    return {name: rows for name, rows in groups.items() if rows}


def _part(decision: Decision) -> Part:
    reviews, at = search.list_reviews(decision.id), clock()
    connection = db.session.connection()
    held_by = next((r.claimed_by_id for r in reviews if r.is_open), None)
    is_open, reviews_it = any(r.is_open for r in reviews), may("reviews.claim")
    people = list_reviewers(connection) if is_open else []
    reviewed = search.find_reviewed(connection, decision.id)
    refused: ReviewRefused | None = g.get("review_refused")
    return Part(
        decision=reviewed,
        reviews=reviews,
        notes=search.list_notes(reviews),
        forms=_forms(reviewed, at, people if reviews_it else []),
        clock=at,
        free=is_open and all(person.id != held_by for person in people),
        own=is_open and bool(own_of(connection, g.operator.id, DecisionRow.id == decision.id)),
        reviews_it=reviews_it,
        refused=refusal_text(refused) if refused else "",
        lost=_lost(reviews, reviewed) if refused else "",
    )


def _forms(decision: ReviewedDecision, at: Clock, people: Iterable[Person]) -> Forms:
    sent: Any = g.get("review_form")

    def kept(form: Any) -> Any:  # noqa: ANN401 - a form of the same kind
        same = sent is not None and sent._prefix == form._prefix
        return sent if same else form

    close = kept(CloseForm(prefix="close", formdata=None, data=likely_closing(decision)))
    close.offer(decision)
    tomorrow = at.today + timedelta(days=1)
    return Forms(
        open=kept(OpenForm(prefix="open", formdata=None)),
        note=kept(NoteForm(prefix="note", formdata=None)),
        snooze=kept(DayForm(prefix="snooze", formdata=None, data={"day": tomorrow})),
        due=kept(DayForm(prefix="due", formdata=None)),
        close=close,
        assign=kept(assign_form(people, formdata=None)),
    )


def _lost(reviews: Iterable[Review], decision: ReviewedDecision) -> str:
    """Return the text that was sent with a form that the page no longer has."""
    sent: Any = g.get("review_form")
    is_open = next((r for r in reviews if r.is_open), None)
    mine = is_open is not None and is_open.claimed_by_id == g.operator.id
    shown = {
        "open-": is_open is None and decision.can_have_a_word,
        "note-": is_open is not None and not decision.erased,
        "close-": mine and not decision.erased,
    }
    if sent is None or shown.get(sent._prefix, True):
        return ""
    texts = (getattr(sent, name, None) for name in ("note", "text"))
    return next((entry.data for entry in texts if entry is not None and entry.data), "")
