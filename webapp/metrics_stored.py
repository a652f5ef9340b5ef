"""The metrics that are read from the database at each scrape: their names and labels."""

from collections import Counter as Counts
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from ml.monitoring.bins import SCORE_BINS
from webapp.metrics_compared import Compared, GrantRatio, compared_families, ratio_families
from webapp.metrics_reviews import ReviewsCounted, review_families

DECISION = ("product", "decision", "model_decision", "basis", "correction")
WHICH = ("value", "low", "high", "training")  # of an estimate


class DecisionsCounted(NamedTuple):
    """How many decisions of a kind are in the database."""

    product: str
    model: str
    channel: str
    decision: str
    model_decision: str
    basis: str
    correction: bool
    score_bin: int
    total: int


class TrialsCounted(NamedTuple):
    """How many trials of a kind are in the database."""

    product: str
    model: str
    decision: str
    total: int


class ScoresCounted(NamedTuple):
    """How many challengers' scores of a kind are in the database."""

    product: str
    model: str
    challenger: str
    decision: str
    challenger_decision: str
    total: int


class OutcomesCounted(NamedTuple):
    """How many loans with an outcome of a kind are in the database."""

    product: str
    model: str
    outcome: str
    total: int


class MovedField(NamedTuple):
    """How far a field, or the score, has moved from the training rows in a number of days."""

    field: str
    days: int
    stability: float
    bound: float


class LastDay(NamedTuple):
    """The last day of a model that the watch has compared with its training rows."""

    until: float  # its end, as a Unix time
    evidence: float
    fields: list[MovedField]


class EstimatedValue(NamedTuple):
    """What a figure should be, with its interval, and what it was in the training data."""

    figure: str
    value: float
    low: float
    high: float
    in_training: float


class Watched(NamedTuple):
    """The results of the watch over the model in service."""

    product: str
    model: str
    last: LastDay
    calibration: float | None  # the evidence against the probabilities, if outcomes are known
    worse_ranking: float | None  # than in the training data, in standard errors
    estimates: list[EstimatedValue]  # of the newest month
    challengers: list[Compared]
    grant_ratios: list[GrantRatio]


class Checked(NamedTuple):
    """Whether what is stored is as it was written, as far as the watch has looked."""

    miscounted: int  # hours that hold other decisions than were counted
    uncounted: int = 0  # decisions of all hours; below 0: counted and missing
    verified_at: float | None = None  # when the audit log was last verified, as a Unix time
    entries: int = 0
    valid: bool = True


class Counted(NamedTuple):
    """All counts that are read from the database."""

    decisions: list[DecisionsCounted]
    trials: list[TrialsCounted]
    scores: list[ScoresCounted]
    outcomes: list[OutcomesCounted]
    reviews: ReviewsCounted
    watched: Watched | None
    checked: Checked
    referring: bool


def families(counted: Counted) -> Iterator[Metric]:
    """Yield the metrics of what has been counted."""
    yield _decisions(counted.decisions)
    yield _probabilities(counted.decisions)
    yield _trials(counted.trials)
    yield from _challengers(counted.scores)
    yield _outcomes(counted.outcomes)
    yield from review_families(counted.reviews, referring=counted.referring)
    yield from _watched(counted.watched)
    yield from _checked(counted.checked)
    yield from compared_families(counted.watched.challengers if counted.watched else [])
    yield from ratio_families(counted.watched.grant_ratios if counted.watched else [])


def _decisions(rows: list[DecisionsCounted]) -> Metric:
    family = CounterMetricFamily(
        "loan_decisions",
        "Decisions in the database.",
        labels=[*DECISION, "channel", "model"],
    )
    totals: Counts[tuple[str, ...]] = Counts()
    for row in rows:
        correction = "yes" if row.correction else "no"
        kind = (row.product, row.decision, row.model_decision, row.basis, correction)
        totals[*kind, row.channel, row.model] += row.total
    for labels, count in sorted(totals.items()):
        family.add_metric(labels, count)
    return family


def _probabilities(rows: list[DecisionsCounted]) -> Metric:
    family = HistogramMetricFamily(
        "loan_decision_probability",
        "Probability of a good loan, for the decisions in the database.",
        labels=["product", "model"],
    )
    bins: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        bins.setdefault((row.product, row.model), [0] * SCORE_BINS)[row.score_bin] += row.total
    limits = [*(str((i + 1) / SCORE_BINS) for i in range(SCORE_BINS - 1)), "+Inf"]
    for labels, counts in sorted(bins.items()):
        family.add_metric(labels, list(zip(limits, accumulate(counts), strict=True)), None)
    return family


def _trials(rows: list[TrialsCounted]) -> Metric:
    family = CounterMetricFamily(
        "loan_trials",
        "Trials in the database: other values tried on a decided application.",
        labels=["product", "decision", "model"],
    )
    for row in rows:
        family.add_metric([row.product, row.decision, row.model], row.total)
    return family


def _challengers(rows: list[ScoresCounted]) -> Iterator[Metric]:
    models = ["product", "model", "challenger"]
    scored = CounterMetricFamily(
        "loan_challenger_decisions",
        "Decisions that a challenger has scored, by the model's decision and the challenger's.",
        labels=[*models, "decision", "challenger_decision"],
    )
    ratio = GaugeMetricFamily(
        "loan_challenger_disagreement_ratio",
        "Share of the scored decisions that the challenger would have made differently.",
        labels=models,
    )
    totals: Counts[tuple[str, ...]] = Counts()
    disagreements: Counts[tuple[str, ...]] = Counts()
    for row in rows:
        scored.add_metric(row[:-1], row.total)
        totals[row[:3]] += row.total
        disagreements[row[:3]] += row.total if row.decision != row.challenger_decision else 0
    for labels, total in totals.items():
        ratio.add_metric(labels, disagreements[labels] / total)
    yield scored
    yield ratio


def _outcomes(rows: list[OutcomesCounted]) -> Metric:
    family = GaugeMetricFamily(
        "loan_outcomes",
        "Granted loans whose outcome is known; after a correction, by the last outcome.",
        labels=["product", "outcome", "model"],
    )
    for row in rows:
        family.add_metric([row.product, row.outcome, row.model], row.total)
    return family


def _watched(watched: Watched | None) -> Iterator[Metric]:
    moved, bound = (
        GaugeMetricFamily(name, text, labels=["product", "model", "field", "days"])
        for name, text in (
            ("loan_field_stability", "Population stability index of the last days compared."),
            ("loan_field_stability_bound", "The index that chance exceeds in one of 20 cases."),
        )
    )
    evidence, until = (
        GaugeMetricFamily(name, text, labels=["product", "model"])
        for name, text in (
            (
                "loan_score_evidence",
                "Highest evidence of two quarters that the score has changed.",
            ),
            ("loan_watched_until_seconds", "End of the last day that was compared, as Unix time."),
        )
    )
    calibration = GaugeMetricFamily(
        "loan_calibration_evidence",
        "Highest evidence against the probabilities, of the last two quarters with outcomes.",
        labels=["product", "model"],
    )
    ranking = GaugeMetricFamily(
        "loan_ranking_worse",
        "How much worse loans are ranked than training rows, in standard errors; the worse of two "
        "quarters.",
        labels=["product", "model"],
    )
    estimated = GaugeMetricFamily(
        "loan_estimated",
        "Figure of the newest month's decisions by their probabilities: estimate, ends of its "
        "interval, and the figure of the training rows.",
        labels=["product", "model", "figure", "which"],
    )
    if watched is not None:
        models, last = [watched.product, watched.model], watched.last
        if watched.calibration is not None:
            calibration.add_metric(models, watched.calibration)
        if watched.worse_ranking is not None:
            ranking.add_metric(models, watched.worse_ranking)
        for figure, *values in watched.estimates:
            for which, value in zip(WHICH, values, strict=True):
                estimated.add_metric([*models, figure, which], value)
        for field in last.fields:
            labels = [*models, field.field or "score", str(field.days)]
            moved.add_metric(labels, field.stability)
            bound.add_metric(labels, field.bound)
        evidence.add_metric(models, last.evidence)
        until.add_metric(models, last.until)
    yield from (moved, bound, evidence, until, calibration, ranking, estimated)


def _checked(checked: Checked) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "loan_miscounted_hours",
        "Hours in which the database holds other decisions than were counted.",
        value=checked.miscounted,
    )
    yield GaugeMetricFamily(
        "loan_uncounted_decisions",
        "Decisions in the database that it has not counted; below 0: counted ones that are gone.",
        value=checked.uncounted,
    )
    figures = (
        ("verified_seconds", "When the audit log was last verified, as Unix time."),
        ("verified_entries", "Entries of the audit log that were verified then."),
        ("valid", "1 if every entry of the audit log was as it was written."),
    )
    values = (checked.verified_at, checked.entries, checked.valid)
    for (name, text), value in zip(figures, values, strict=True):
        family = GaugeMetricFamily(f"loan_audit_{name}", text, labels=[])
        if checked.verified_at is not None:
            family.add_metric([], float(value or 0))
        yield family
