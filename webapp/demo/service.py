"""Stores an invented history: decisions, outcomes, scores of a challenger, results of the watch."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby

import numpy as np
from sqlalchemy import Connection, exists, select

from ml.product.application import Submission
from webapp.challenger.worker import Challenger
from webapp.columns import now
from webapp.decisions.circumstances import Circumstances
from webapp.decisions.deciding import verdicts
from webapp.decisions.records import Decision
from webapp.decisions.ruling import rule
from webapp.decisions.tables import DecisionRow
from webapp.decisions.writing import NewDecision, contents_of, write_decisions
from webapp.demo.history import History, Moment, Row, read_rows
from webapp.demo.reviewing import DAYS, Referred, add_reviewers, close_reviews
from webapp.extensions import db
from webapp.ledger.audit import record_activation
from webapp.ledger.driver import Driver
from webapp.ledger.transaction import unit_of_work
from webapp.monitoring.watch import watch
from webapp.outcomes.records import Loan, NewOutcome
from webapp.outcomes.service import add_outcomes
from webapp.people.operators import Operator, add_operator
from webapp.protected.service import NewAnswer, write_answers
from webapp.serving.served import model

BY_API = 0.7  # the share of decisions that other systems ask for
ANSWERS = 0.6  # the share of applicants who say something of the protected fields
LATER = timedelta(days=DAYS)
CLOSING_TIME = time(18)  # in UTC, after the last decision of a day
NAMES = {"api": ("api_key", "demo-branches"), "desk": ("user", "demo-clerk")}


def is_empty() -> bool:
    """Return whether the database holds no decisions."""
    return not db.session.scalar(select(exists(select(DecisionRow.id))))


def store_history(history: History, report: Callable[[str], None]) -> None:
    """Store a history in an empty database; raises NameTaken if it holds one already."""
    bundle = model.bundle
    random = np.random.default_rng(history.seed + 1)
    with unit_of_work() as transaction:
        operators = _operators(transaction)
        reviewers = add_reviewers(transaction)
        record_activation(Driver.of(transaction), bundle.version, digest=bundle.digest)
    loans: list[tuple[date, int, Row]] = []  # the day of the decision, its number
    waiting: list[Referred] = []
    moments = history.moments(bundle.product, read_rows(bundle.product))
    for day, of_day in groupby(moments, key=lambda m: m.moment.date()):
        with unit_of_work() as transaction:
            for decision, row in _decide(transaction, of_day, operators, random):
                if decision.granted:
                    loans.append((day, decision.id, row))
                elif decision.referred:
                    waiting.append(Referred(decision, row))
            due = [w for w in waiting if w.decision.created_at.date() + LATER <= day]
            waiting = waiting[len(due) :]
            evening = datetime.combine(day, CLOSING_TIME, UTC)
            granted = close_reviews(transaction, due, reviewers, moment=evening, random=random)
            loans += [(w.decision.created_at.date(), w.decision.id, w.row) for w in granted]
    report(f"{history.decisions:,} decisions")
    outcomes = [*_outcomes(history, loans, random)]
    with unit_of_work() as transaction:
        add_outcomes(transaction, outcomes, operator=operators["api"])
    report(f"{len(outcomes):,} outcomes")
    if bundle.challengers:
        scored = Challenger(bundle.challengers[0], pauses=False).score_pending()
        report(f"{scored:,} scores of the challenger {bundle.challengers[0]}")
    watch()
    report("all days compared")


def _outcomes(
    history: History, loans: Iterable[tuple[date, int, Row]], random: np.random.Generator
) -> Iterator[tuple[NewOutcome, Loan]]:
    """Yield what has come of loans until today."""
    for day, number, row in loans:
        good, known = history.outcome(day, good=row.good, random=random)
        if known <= now().date():
            new = NewOutcome(number, "good" if good else "bad", known)
            yield new, Loan(day, "granted", None)


def _operators(transaction: Connection) -> dict[str, Operator]:
    found = {}
    for channel, (kind, name) in NAMES.items():
        number = add_operator(transaction, kind, name)  # type: ignore[arg-type]  # of two kinds
        found[channel] = Operator(kind, number, name)  # type: ignore[arg-type]
    return found


def _decide(
    transaction: Connection,
    moments: Iterable[Moment],
    operators: dict[str, Operator],
    random: np.random.Generator,
) -> Iterator[tuple[Decision, Row]]:
    """Decide and write what is asked for; yield each decision with its row."""
    driver = Driver.of(transaction)
    for moment, rows in moments:
        new = []
        for row, verdict in zip(
            rows, verdicts(model.bundle, [row.application for row in rows]), strict=True
        ):
            submission = Submission(row.application)
            ruling = rule(model.bundle.product, submission, verdict, Circumstances())
            channel = "api" if random.random() < BY_API else "desk"
            contents = contents_of(submission, verdict, ruling)
            new.append(NewDecision(operators[channel], channel, verdict, ruling, contents))  # type: ignore[arg-type]
        numbered = list(zip(write_decisions(driver, new, moment=moment), rows, strict=True))
        answers = [
            NewAnswer(stored.decision.id, stored.new.operator.id, row.protected)
            for stored, row in numbered
            if random.random() < ANSWERS
        ]
        write_answers(driver, answers, moment=moment)
        for stored, row in numbered:
            yield stored.decision, row
