"""What people disagree with the model on: the final words of reviews, and what came of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Literal, NamedTuple

from sqlalchemy import and_, exists, func, select
from sqlalchemy.orm import aliased

from ml.evaluation.intervals import wilson
from webapp.decisions.tables import DecisionRow
from webapp.extensions import db
from webapp.monitoring.days import Model, midnight
from webapp.outcomes.tables import OutcomeRow, that_counts
from webapp.people.tables import OperatorRow
from webapp.reviews.counting import having_the_word
from webapp.reviews.tables import ReviewRow

FEW = 30  # below so many, a share is shown with a warning; our own choice
Right = Literal["people", "model", "unknown"]

_r, _d, _o, _operators = ReviewRow, DecisionRow, OutcomeRow, OperatorRow.__table__


class Word(NamedTuple):
    """The final word of a review, beside that of the model, and what came of the loan."""

    cause: str
    code: str
    final: str
    reviewer: str
    model_decision: str
    against_policy: bool  # a review has overturned the refusal by a policy rule
    probability: float
    threshold: float
    ripe: bool  # whether the decision is so old that the outcome should be known
    outcome: str | None

    @property
    def against(self) -> bool:
        return self.final != self.model_decision


@dataclass(frozen=True)
class Share:
    """How many of some reviews went against the model, with Wilson's 95 % interval."""

    name: str
    count: int
    total: int

    @property
    def value(self) -> float:
        return self.count / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.count, total=self.total) if self.total else (0.0, 1.0)

    @property
    def few(self) -> bool:
        return self.total < FEW


@dataclass(frozen=True)
class Loans:
    """The loans of some reviews, and what came of those that are old enough.

    Of younger ones, mostly the bad outcomes are known. `expected` is the share of good ones by the
    model's probabilities, and `threshold` the share from which granting pays.
    """

    granted: int
    ripe: int
    good: Share
    expected: float
    threshold: float

    @property
    def right(self) -> Right:
        """Whether granting them was right, as far as the interval says."""
        low, high = self.good.interval
        if low > self.threshold:
            return "people"
        return "model" if high < self.threshold else "unknown"


@dataclass(frozen=True)
class Overrides:
    """The final words of reviews that were closed from a day on and before another."""

    first: date
    before: date
    words: Sequence[Word]
    lapsed: int

    @cached_property
    def against(self) -> Share:
        return _share("", self.words)

    @cached_property
    def table(self) -> Counter[tuple[str, str]]:
        """The number of words by that of the model and the final one."""
        return Counter((word.model_decision, word.final) for word in self.words)

    @property
    def policy(self) -> int:
        """The refusals by a policy rule that were overturned."""
        return sum(word.against_policy and word.final == "granted" for word in self.words)

    def by(self, key: Callable[[Word], str]) -> list[Share]:
        """Return the share that went against the model by cause or by reviewer."""
        names = sorted({key(word) for word in self.words})
        return [_share(name, [w for w in self.words if key(w) == name]) for name in names]

    def codes(self, final: str) -> list[tuple[str, int]]:
        """Return how often each reason was given for a word against the model, most often first."""
        against = (w.code for w in self.words if w.against and w.final == final)
        return Counter(against).most_common()

    def loans(self, *, against: bool) -> Loans:
        """Return what came of the loans that people granted, against the model or as it says."""
        granted = [w for w in self.words if w.final == "granted" and w.against is against]
        ripe = [w for w in granted if w.ripe]
        known = [w for w in ripe if w.outcome is not None]
        return Loans(
            len(granted),
            len(ripe),
            Share("", sum(w.outcome == "good" for w in known), len(known)),
            _mean([w.probability for w in known]),
            _mean([w.threshold for w in known]),
        )

    def summary(self) -> dict[str, Any]:
        """Return the figures for the report in JSON."""
        low, high = self.against.interval
        return {
            "reviews": self.against.total,
            "against_the_model": self.against.count,
            "low": low,
            "high": high,
            "granted_against": self.table["refused", "granted"],
            "refused_against": self.table["granted", "refused"],
            "policy_overturned": self.policy,
            "lapsed": self.lapsed,
        }


def overrides(
    *, first: date, before: date, ripe: date, product: str | None = None, model: str | None = None
) -> Overrides:
    """Return the words of the reviews that were closed in a period, of all models or of one.

    A loan is ripe if it was decided before a day: its outcome should be known by now.
    """
    within = [_r.closed_at >= midnight(first), _r.closed_at < midnight(before)]
    within += [] if product is None else [_d.product == product]
    within += [] if model is None else [_d.model == model]
    any_review = aliased(_r)
    of_policy = exists().where(
        any_review.decision_id == _d.id, any_review.result == "overturned_policy"
    )
    query = (
        select(
            *(_r.cause, _r.code, _r.final, _operators.c.name, _d.model_decision, of_policy),
            *(_d.probability, _d.threshold, _d.created_at < midnight(ripe), _o.outcome),
        )
        .select_from(_r)
        .join(_d, _d.id == _r.decision_id)
        .join(_operators, _operators.c.id == _r.closed_by)
        .outerjoin(_o, and_(_o.decision_id == _d.id, that_counts()))
        .where(*within)
        .order_by(_r.id)
    )
    rows = db.session.execute(having_the_word(query))
    lapsed = select(func.count()).select_from(_r).join(_d, _d.id == _r.decision_id)
    count = db.session.scalar(lapsed.where(_r.result == "lapsed", *within)) or 0
    return Overrides(first, before, [Word(*row) for row in rows], count)


def overrides_of(of: Model, *, first: date, today: date) -> Overrides:
    """Return those of a model from a day on."""
    before = today + timedelta(days=1)
    return overrides(first=first, before=before, ripe=today, product=of.product, model=of.version)


def overrides_line(found: Overrides) -> str:
    """Return the line of the report."""
    share, table = found.against, found.table
    if not share.total:
        return "no review has been closed with a final word"
    low, high = share.interval
    return (
        f"{share.total:,} review{'' if share.total == 1 else 's'} closed, {share.count:,} against "
        f"the model ({share.value:.1%}; {low:.1%} to {high:.1%}): "
        f"{table['refused', 'granted']:,} granted, {table['granted', 'refused']:,} refused"
    )


def _share(name: str, words: Iterable[Word]) -> Share:
    some = list(words)
    return Share(name, sum(word.against for word in some), len(some))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
