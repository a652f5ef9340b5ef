"""Comparisons of the champion's decisions with those of its challengers."""

from collections import defaultdict
from dataclasses import dataclass

from pydantic.dataclasses import dataclass as strict_dataclass
from sqlalchemy import func, select, text

from ml.evaluation.intervals import wilson
from webapp.challenger.tables import ChallengerCount, ChallengerScore
from webapp.columns import DecisionValue, decision_value
from webapp.decisions.damage import Damaged, read, readable
from webapp.decisions.records import STRICT, Moment, Share
from webapp.decisions.tables import DecisionRow
from webapp.extensions import db
from webapp.metrics_stored import ScoresCounted

MAX_DISAGREEMENTS = 25  # on the page


def count_scores() -> list[ScoresCounted]:
    """Count the scores by product, model, challenger and both decisions."""
    c = ChallengerCount
    kind = (c.product, c.model, c.challenger, c.model_decision, c.challenger_decision)
    rows = db.session.execute(select(*kind, func.sum(c.count)).group_by(*kind))
    return [ScoresCounted(*row[:-1], int(row[-1])) for row in rows]


@dataclass(frozen=True)
class Comparison:
    """How often a model and a challenger granted and refused the same applications."""

    product: str
    model: str
    challenger: str
    both_granted: int
    only_champion: int
    only_challenger: int
    both_refused: int

    @property
    def decisions(self) -> int:
        return self.both_granted + self.both_refused + self.disagreements

    @property
    def disagreements(self) -> int:
        return self.only_champion + self.only_challenger

    @property
    def rate(self) -> float:
        return self.disagreements / self.decisions

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.disagreements, total=self.decisions)


def compare() -> list[Comparison]:
    """Compare each model with each of its challengers, those with the most decisions first."""
    counts: dict[tuple[str, str, str], dict[tuple[str, str], int]] = defaultdict(dict)
    for row in count_scores():
        counts[row[:3]][row.decision, row.challenger_decision] = row.total
    granted, refused = decision_value(True), decision_value(False)
    pairs = ((granted, granted), (granted, refused), (refused, granted), (refused, refused))
    comparisons = [
        Comparison(*models, *(totals.get(pair, 0) for pair in pairs))
        for models, totals in counts.items()
    ]
    return sorted(comparisons, key=lambda c: (-c.decisions, c.model, c.challenger))


@strict_dataclass(config=STRICT, frozen=True, slots=True)
class Disagreement:
    """A decision that a challenger would have made differently."""

    id: int
    created_at: Moment
    model_decision: DecisionValue
    probability: Share
    challenger: str
    challenger_probability: Share


def latest_disagreements() -> list[Disagreement | Damaged]:
    """Return the last decisions that a challenger would have made differently, newest first."""
    s, d = ChallengerScore, DecisionRow
    facts = (d.id, readable(d.created_at), d.model_decision, d.probability)
    query = (
        select(*facts, s.challenger, s.probability.label("challenger_probability"))
        .select_from(s)
        .join(d, d.id == s.decision_id)
        .where(text("NOT challenger_scores.agrees"))  # as in the partial index, so that it is used
        .order_by(s.decision_id.desc())
        .limit(MAX_DISAGREEMENTS)
    )
    names = db.session.scalars(select(ChallengerCount.challenger).distinct())
    rows = [
        row for name in names.all() for row in db.session.execute(query.where(s.challenger == name))
    ]
    rows.sort(key=lambda row: (-row.id, row.challenger))
    return [read(Disagreement, row) for row in rows[:MAX_DISAGREEMENTS]]
