"""The queue of reviews, and the steps in a review that are taken on the page of its decision."""

import logging
from collections.abc import Callable
from typing import Any

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from webapp.decisions import history, pages as decisions, search as decisions_search
from webapp.extensions import db
from webapp.failures import NotFound
from webapp.ledger.transaction import unit_of_work
from webapp.people.operators import Operator
from webapp.reviews import closing, parts, queue, search, service
from webapp.reviews.closing import NewClosing
from webapp.reviews.forms import CloseForm, DayForm, NoteForm, OpenForm, assign_form
from webapp.reviews.records import Cause, Review, ReviewRefused
from webapp.reviews.reviewers import list_reviewers

log = logging.getLogger(__name__)

blueprint = Blueprint("reviews", __name__)
blueprint.app_context_processor(parts.in_templates)
history.register(blueprint, parts.events)
Answer = Response | tuple[str, int]


@blueprint.get("/reviews")
def index() -> str:
    return _queue()


@blueprint.route("/reviews/next", methods=["GET", "POST"])
def take_next() -> Answer:
    """Claim the most urgent free review, once for a double click; a reload sends a GET."""
    if request.method == "GET":
        return redirect(url_for("reviews.index"))
    held = request.form.get("held", "").split()
    with unit_of_work() as transaction:
        number = queue.take_next(
            transaction,
            reviewer=g.operator,
            clock=parts.clock(),
            held={int(number) for number in held if _is_number(number)},
        )
    if number is None:
        return redirect(url_for("reviews.index", none="yes"), 303)
    return _to_review(number)


@blueprint.route("/decisions/<id:number>/reviews", methods=["GET", "POST"])
def open_one(number: int) -> Answer:
    if request.method == "GET":
        return _to_decision(number)
    decisions_search.find_decision(number)
    form = OpenForm(prefix="open")
    cause = form.read()
    if cause is None:
        return _again(number, form)
    text = form.text.data or ""
    try:
        with unit_of_work() as transaction:
            service.open_review(transaction, number, cause=cause, operator=g.operator, text=text)
    except ReviewRefused as refused:
        if refused.reason != "open" or not _is_open_so(number, cause, text):
            return _again(number, form, refused)
    return _to_decision(number)


@blueprint.route("/decisions/<id:number>/reviews/notes", methods=["GET", "POST"])
def note(number: int) -> Answer:
    """Add a note to the open review of a decision."""
    if request.method == "GET":
        return _to_decision(number)
    review = next((r for r in search.list_reviews(number)), None)
    if review is None:
        raise NotFound(f"decision {number} has no review")
    form = NoteForm(prefix="note")
    if not form.validate_on_submit():
        return _again(number, form)
    kept = {"text": form.text.data or "", "kind": form.kind, "operator": g.operator}
    return _step(number, lambda t: service.add_note(t, review.id, **kept), form)


@blueprint.route("/reviews/<id:number>/claim", methods=["GET", "POST"])
def claim(number: int) -> Answer:
    return _simple(number, lambda t: service.claim(t, number, reviewer=g.operator))


@blueprint.route("/reviews/<id:number>/release", methods=["GET", "POST"])
def release(number: int) -> Answer:
    return _simple(number, lambda t: service.release(t, number, reviewer=g.operator))


@blueprint.route("/reviews/<id:number>/wake", methods=["GET", "POST"])
def wake(number: int) -> Answer:
    return _simple(number, lambda t: service.snooze(t, number, until=None, reviewer=g.operator))


@blueprint.route("/reviews/<id:number>/assign", methods=["GET", "POST"])
def assign(number: int) -> Answer:
    review = search.find_review(number)
    people = list_reviewers(db.session.connection())
    form = assign_form(people)
    chosen = next((p for p in people if p.id == form.to.data), None)
    if request.method == "GET":
        return _to_review(number)
    if chosen is None:
        form.to.errors = [_("Choose a reviewer.")]
        return _again(review.decision_id, form)
    to = Operator("user", chosen.id, chosen.name)

    def hand_over(transaction: Connection) -> None:
        service.assign(transaction, number, to=to, operator=g.operator)

    return _step(review.decision_id, hand_over, form)


@blueprint.route("/reviews/<id:number>/snooze", methods=["GET", "POST"])
def snooze(number: int) -> Answer:
    def act(transaction: Connection, day: Any) -> None:  # noqa: ANN401
        service.snooze(transaction, number, until=day, reviewer=g.operator)

    return _on_a_day(number, DayForm(prefix="snooze"), act)


@blueprint.route("/reviews/<id:number>/due", methods=["GET", "POST"])
def due(number: int) -> Answer:
    def act(transaction: Connection, day: Any) -> None:  # noqa: ANN401
        service.set_due(transaction, number, due_on=day, reviewer=g.operator)

    return _on_a_day(number, DayForm(prefix="due"), act)


@blueprint.route("/reviews/<id:number>/close", methods=["GET", "POST"])
def close(number: int) -> Answer:
    review = search.find_review(number)
    if request.method == "GET":
        return _to_decision(review.decision_id)
    form = CloseForm(prefix="close")
    decision = search.find_reviewed(db.session.connection(), review.decision_id)
    form.offer(decision)
    new = form.read(decision)
    if new is None:
        return _again(review.decision_id, form)
    try:
        with unit_of_work() as transaction:
            result = closing.close_review(transaction, number, new, reviewer=g.operator)
    except ReviewRefused as refused:
        if not _is_closed_so(search.find_review(number), new):
            return _again(review.decision_id, form, refused)
    else:
        log.info("review %s of decision %s: %s", number, review.decision_id, result)
    return redirect(url_for("reviews.index", closed=number), 303)


def _is_closed_so(review: Review, new: NewClosing) -> bool:
    """Return whether the operator has closed a review so, by the same form sent before."""
    said = (review.closed_by, review.final or "lapsed", review.code)
    return said == (g.operator.name, new.closing, new.code)


def _is_open_so(number: int, cause: Cause, text: str) -> bool:
    """Return whether the operator has opened the review so, by the same form sent before."""
    review, *_ = search.list_reviews(number)
    texts = [note.text for note in search.list_notes([review])[review.id]]
    said = (review.opened_by, review.cause) == (g.operator.name, cause)
    return said and (not text or text in texts)


def _simple(number: int, act: Callable[[Connection], object]) -> Answer:
    """Take a step that has no form of its own."""
    review = search.find_review(number)
    if request.method == "GET":
        return _to_decision(review.decision_id)
    return _step(review.decision_id, act, None)


def _on_a_day(number: int, form: DayForm, act: Callable[[Connection, Any], object]) -> Answer:
    review = search.find_review(number)
    if request.method == "GET":
        return _to_decision(review.decision_id)
    day = form.read(first=parts.clock().today)
    if day is None:
        return _again(review.decision_id, form)
    return _step(review.decision_id, lambda transaction: act(transaction, day), form)


def _step(decision_id: int, act: Callable[[Connection], object], form: FlaskForm | None) -> Answer:
    """Take a step in a transaction, and show the decision, also when the step is refused."""
    try:
        with unit_of_work() as transaction:
            act(transaction)
    except ReviewRefused as refused:
        return _again(decision_id, form, refused)
    return _to_decision(decision_id)


def _again(
    decision_id: int, form: FlaskForm | None, refused: ReviewRefused | None = None
) -> tuple[str, int]:
    """Show the decision with what was entered, and why the step was refused."""
    g.review_form, g.review_refused = form, refused
    return decisions.show(decision_id), 409 if refused else 422


def _to_decision(decision_id: int) -> Response:
    code = 302 if request.method == "GET" else 303
    return redirect(url_for("decisions.show", number=decision_id, _anchor="review"), code)


def _to_review(number: int) -> Response:
    return _to_decision(search.find_review(number).decision_id)


def _is_number(text: str) -> bool:
    """Return whether a text of a form or an address can be the number of a review."""
    return text.isascii() and text.isdigit() and len(text) < len(str(2**63))


def _queue() -> str:
    at = parts.clock()
    waiting = queue.list_queue(at, reviewer=g.operator.id)
    number = request.args.get("closed", "")
    closed: Review | None = search.find_closed(int(number)) if _is_number(number) else None
    return render_template(
        "reviews/index.html",
        groups=parts.in_groups(waiting, operator=g.operator),
        counts=queue.count_reviews(at, reviewer=g.operator.id),
        closed=closed,
        held=queue.held_by(db.session.connection(), g.operator.id),
        shown=queue.SHOWN,
        none="none" in request.args,
    )
