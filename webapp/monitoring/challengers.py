"""Compares a challenger with the champion on the loans whose outcome is known."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, delete, func, insert, select

from ml.monitoring.comparison import PairTest
from webapp.challenger.tables import ChallengerCount, ChallengerEvidence, ChallengerScore
from webapp.decisions.damage import readable
from webapp.decisions.tables import DecisionRow
from webapp.extensions import db
from webapp.monitoring.days import ROWS_PER_FETCH, midnight, period_of
from webapp.monitoring.realised import day_of, days_with_outcomes, end_of
from webapp.outcomes.tables import OutcomeRow, that_counts

_o, _d, _s, _e = OutcomeRow, DecisionRow, ChallengerScore, ChallengerEvidence


class Pair(NamedTuple):
    """A model and a challenger that scored its decisions of a quarter."""

    product: str
    model: str
    challenger: str
    period: date  # the first day of the quarter


class Changed(NamedTuple):
    """A pair to compare again. Outcomes up to `last` are compared."""

    pair: Pair
    scores: int
    last: int


class _Loan(NamedTuple):
    day: date  # of the decision
    champion: float
    challenger: float
    good: bool


def changed_pairs(*, ripe: date) -> list[Changed]:
    """Return the pairs with new outcomes, with new scores of ripe loans, or with more ripe loans.

    A loan is ripe if it was decided before a day: its outcome should be known by now.
    """
    last = db.session.scalar(select(func.max(_o.id))) or 0
    compared = db.session.scalar(select(func.max(_e.last_outcome))) or 0
    new = {(*m, period_of(day)) for m, day in days_with_outcomes(after=compared, last=last)}
    key = (_e.product, _e.model, _e.challenger, _e.period)
    rows = db.session.execute(select(*key, _e.scores, _e.ripe))
    known = {Pair(*row[:4]): tuple(row[4:]) for row in rows}
    return [
        Changed(pair, scores, last)
        for pair, scores in sorted(_scores(ripe).items())
        if known.get(pair) != (scores, min(ripe, end_of(pair.period)))
        or (pair.product, pair.model, pair.period) in new
    ]


def compare_pair(changed: Changed, *, ripe: date) -> dict[str, Any]:
    """Test the ripe loans of a quarter; return the row of `challenger_evidence`."""
    test, pair = PairTest(), changed.pair
    for _, of_day in groupby(_loans(changed, ripe), key=lambda loan: loan.day):
        loans = list(of_day)
        test.add(
            np.array([loan.champion for loan in loans]),
            np.array([loan.challenger for loan in loans]),
            np.array([loan.good for loan in loans], dtype=bool),
        )
    return {
        **pair._asdict(),
        "scores": changed.scores,
        "outcomes": test.better.seen,
        "ripe": min(ripe, end_of(pair.period)),
        "last_outcome": changed.last,
        "champion_brier": test.champion,
        "challenger_brier": test.challenger,
        "better": test.better.evidence,
        "better_highest": test.better.highest,
        "worse": test.worse.evidence,
        "worse_highest": test.worse.highest,
    }


def store_pairs(transaction: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Replace the results of pairs."""
    for row in rows:
        same = [getattr(_e, name) == row[name] for name in Pair._fields]
        transaction.execute(delete(_e).where(*same))
    transaction.execute(insert(_e), list(rows))


def _scores(ripe: date) -> Counter[Pair]:
    """Count the scores of decisions before a day."""
    c = ChallengerCount
    kind = (c.product, c.model, c.challenger, c.hour)
    query = select(*kind, func.sum(c.count)).where(c.hour < midnight(ripe)).group_by(*kind)
    counts: Counter[Pair] = Counter()
    for product, version, challenger, hour, count in db.session.execute(query):
        counts[Pair(product, version, challenger, period_of(hour.date()))] += int(count)
    return counts


def _loans(changed: Changed, ripe: date) -> list[_Loan]:
    """Return the ripe loans of a quarter whose outcome is known, in the order of decisions."""
    product, model, challenger, period = changed.pair
    until = min(ripe, end_of(period))
    query = (
        select(
            readable(_d.created_at), readable(_d.probability), readable(_s.probability), _o.outcome
        )
        .join(_o, _o.decision_id == _d.id)
        .join(_s, _s.decision_id == _d.id)
        .where(_d.created_at >= midnight(period), _d.created_at < midnight(until))
        .where(_d.product == product, _d.model == model, _s.challenger == challenger)
        .where(_d.model_decision == "granted", that_counts(last=changed.last))
        .order_by(_d.created_at, _d.id)
        .execution_options(yield_per=ROWS_PER_FETCH)
    )
    return [
        _Loan(day_of(moment), champion, theirs, outcome == "good")
        for moment, champion, theirs, outcome in db.session.execute(query)
        # Not a row that was changed by hand, which `audit verify --contents` finds.
        if isinstance(moment, datetime) and _is_share(champion) and _is_share(theirs)
    ]


def _is_share(value: object) -> bool:
    return isinstance(value, float) and 0 <= value <= 1
