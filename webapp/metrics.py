"""Every metric's name and labels.

Counts of stored rows are read from the database at each scrape; the processes count the rest.
"""

import os
import time
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_flask_exporter import PrometheusMetrics
from prometheus_flask_exporter.multiprocess import GunicornInternalPrometheusMetrics

from ml.monitoring.bins import SCORE_BINS
from webapp.metrics_files import DIRECTORY, Files

MEASURED = ("GET", "POST")  # every route accepts HEAD and OPTIONS too, but no client needs them
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
SCORING_SECONDS = (0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.02, 0.1)
WRITING_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5)


class DecisionsCounted(NamedTuple):
    """How many decisions of a kind are in the database."""

    product: str
    model: str
    channel: str
    decision: str
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
    """The last day of a model that the watch has compared."""

    product: str
    model: str
    until: float  # the end of the day, as a Unix time
    evidence: float
    fields: list[MovedField]
    calibration: float | None  # the evidence against the probabilities, if outcomes are known


class Counted(NamedTuple):
    """All counts that are read from the database."""

    decisions: list[DecisionsCounted]
    trials: list[TrialsCounted]
    scores: list[ScoresCounted]
    outcomes: list[OutcomesCounted]
    watched: LastDay | None = None


class _Exporter(PrometheusMetrics):  # type: ignore[misc]
    """Counts every request, but measures durations only for the methods and routes in use."""

    def _not_yet_handled(self, key: str) -> bool:
        if key == "duration_reported" and (
            request.url_rule is None or request.method not in MEASURED
        ):
            return False
        handled: bool = super()._not_yet_handled(key)
        return handled


class _ExporterOfFiles(_Exporter, GunicornInternalPrometheusMetrics):  # type: ignore[misc]
    """The same for one of several processes, which write their metrics to files."""


class Metrics:
    """The service's metrics: one object per process, with a registry for each application."""

    def init_app(self, app: Flask) -> None:
        self.registry = CollectorRegistry()
        kind = _Exporter
        if os.environ.get(DIRECTORY):
            Path(os.environ[DIRECTORY]).mkdir(parents=True, exist_ok=True)  # commands may run first
            kind = _ExporterOfFiles
        # Without the exporter's own /metrics, which would omit every collector except the files.
        exporter = kind.for_app_factory(
            path=None, group_by="url_rule", buckets=REQUEST_SECONDS, registry=self.registry
        )
        exporter.init_app(app)
        self.scoring = Histogram(
            "loan_scoring_seconds",
            "Time taken to score one application, and to find the reasons for a refusal.",
            buckets=SCORING_SECONDS,
            registry=self.registry,
        )
        self.writing = Histogram(
            "loan_decision_write_seconds",
            "Time of the transaction that wrote a decision, the same for all decisions in it.",
            buckets=WRITING_SECONDS,
            registry=self.registry,
        )
        app.wsgi_app = _known_methods(app)  # type: ignore[method-assign]
        # The exporter keeps no reference to its metrics.
        collectors: dict[str, Any] = self.registry._names_to_collectors
        self._durations = collectors["flask_http_request_duration_seconds"]
        self._requests = collectors["flask_http_request_total"]
        self._of_route: dict[tuple[str, str], tuple[Histogram, Counter]] = {}

    @contextmanager
    def timing_each(self, histogram: Histogram, count: int) -> Iterator[None]:
        """Observe the time of a block that does a number of things as a share for each."""
        started = time.perf_counter()
        yield
        self.observe_each(histogram, (time.perf_counter() - started) / (count or 1), count)

    def observe_each(self, histogram: Histogram, seconds: float, count: int) -> None:
        """Observe the same time for a number of things, at the cost of one."""
        bucket = bisect_left(histogram._upper_bounds, seconds)
        histogram._buckets[bucket].inc(count)
        histogram._sum.inc(count * seconds)

    def observe_request(self, route: str, status: str, seconds: float) -> None:
        """Count a POST that was answered before the exporter saw it."""
        labelled = self._of_route.get((route, status))
        if labelled is None:  # to find the labels takes as long as to count
            duration = self._durations.labels("POST", route, status)
            labelled = duration, self._requests.labels("POST", status)
            self._of_route[route, status] = labelled
        labelled[0].observe(seconds)
        labelled[1].inc()

    def render(
        self,
        *,
        counted: Counted | None,
        info: dict[str, dict[str, str]],
        reloads_refused: int,
    ) -> bytes:
        """Return all metrics as text; counted is None where the database does not answer."""
        registry = CollectorRegistry()
        if os.environ.get(DIRECTORY):
            registry.register(Files(os.environ[DIRECTORY]))
        else:
            registry.register(_Others(self.registry))
        registry.register(_Facts(counted, info, reloads_refused))
        return generate_latest(registry)


class _Others(Collector):
    """The metrics of another registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()


class _Facts(Collector):
    """Metrics that are computed at each scrape."""

    def __init__(
        self,
        counted: Counted | None,
        info: dict[str, dict[str, str]],
        reloads_refused: int,
    ) -> None:
        self._counted = counted
        self._info = info
        self._reloads_refused = reloads_refused

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "loan_database_up",
            "1 if the database answered this scrape.",
            value=self._counted is not None,
        )
        if self._counted is not None:
            yield _decisions(self._counted.decisions)
            yield _probabilities(self._counted.decisions)
            yield _trials(self._counted.trials)
            yield from _challengers(self._counted.scores)
            yield _outcomes(self._counted.outcomes)
            yield from _watched(self._counted.watched)
        yield CounterMetricFamily(
            "loan_bundle_reloads_refused",
            "Reloads since the start that were refused because the new bundle was invalid.",
            value=self._reloads_refused,
        )
        for name, facts in self._info.items():
            family = GaugeMetricFamily(
                f"loan_{name}_info", f"Facts about the {name}; always 1.", labels=list(facts)
            )
            family.add_metric(list(facts.values()), 1)
            yield family


def _decisions(rows: list[DecisionsCounted]) -> Metric:
    family = CounterMetricFamily(
        "loan_decisions",
        "Decisions in the database.",
        labels=["product", "decision", "channel", "model"],
    )
    totals: Counts[tuple[str, ...]] = Counts()
    for row in rows:
        totals[row.product, row.decision, row.channel, row.model] += row.total
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


def _watched(last: LastDay | None) -> Iterator[Metric]:
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
            ("loan_score_evidence", "Highest evidence of this quarter that the score has changed."),
            ("loan_watched_until_seconds", "End of the last day that was compared, as Unix time."),
        )
    )
    calibration = GaugeMetricFamily(
        "loan_calibration_evidence",
        "Highest evidence against the probabilities, of the last quarter with outcomes.",
        labels=["product", "model"],
    )
    if last is not None:
        models = [last.product, last.model]
        if last.calibration is not None:
            calibration.add_metric(models, last.calibration)
        for field in last.fields:
            labels = [*models, field.field or "score", str(field.days)]
            moved.add_metric(labels, field.stability)
            bound.add_metric(labels, field.bound)
        evidence.add_metric(models, last.evidence)
        until.add_metric(models, last.until)
    yield from (moved, bound, evidence, until, calibration)


def _known_methods(app: Flask) -> Callable[..., Iterable[bytes]]:
    """Replace a method that no route accepts by OTHER, because the method becomes a label."""
    application: Callable[..., Iterable[bytes]] = app.wsgi_app
    methods: set[str] = set()

    def with_known_method(environ: dict[str, object], start_response: object) -> Iterable[bytes]:
        if not methods:  # filled at the first request, when every route is registered
            methods.update(*(rule.methods or () for rule in app.url_map.iter_rules()))
        if environ["REQUEST_METHOD"] not in methods:
            environ["REQUEST_METHOD"] = "OTHER"
        return application(environ, start_response)

    return with_known_method


metrics = Metrics()
