"""The metrics that the processes count, and the answer to a scrape."""

import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from flask import Flask, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_flask_exporter import PrometheusMetrics
from prometheus_flask_exporter.multiprocess import GunicornInternalPrometheusMetrics

from webapp.metrics_files import DIRECTORY, Files
from webapp.metrics_stored import Counted, families

MEASURED = ("GET", "POST")  # every route accepts HEAD and OPTIONS too, but no client needs them
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
SCORING_SECONDS = (0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.02, 0.1)
# What was missing when a request was answered with 503. "outcome": of a commit, which may have been
# made; "slot": too many other requests wait for the database.
Missing = Literal["database", "outcome", "queue", "slot", "model"]
WRITING_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5)


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


class DiskSpace(NamedTuple):
    """The space of a file system, in bytes; `place` says what the service keeps there."""

    place: str
    free: int
    size: int


class CanaryGauges(NamedTuple):
    """What a worker notes of its canary; a scrape has the worst of all workers that run."""

    checked: Gauge
    wrong: Gauge
    workers: Gauge


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
        self._unavailable = Counter(
            "loan_unavailable",
            "Requests that were answered with 503, by what was missing.",
            labelnames=["reason"],
            registry=self.registry,
        )
        for reason in get_args(Missing):  # from 0 on, so that the first one is an increase
            self._unavailable.labels(reason)
        app.wsgi_app = _known_methods(app)  # type: ignore[method-assign]
        # The exporter keeps no reference to its metrics.
        collectors: dict[str, Any] = self.registry._names_to_collectors
        self._durations = collectors["flask_http_request_duration_seconds"]
        self._requests = collectors["flask_http_request_total"]
        self._of_route: dict[tuple[str, str], tuple[Histogram, Counter]] = {}

    def make_canary(self) -> CanaryGauges:
        """Make the gauges of a worker's canary, which every process that makes them must set."""
        checked = Gauge(
            "loan_canary_checked_seconds",
            "When the worker that has waited longest last checked its known answers (Unix time).",
            multiprocess_mode="livemin",
            registry=self.registry,
        )
        wrong = Gauge(
            "loan_canary_wrong_workers",
            "Workers whose model did not give its known answers when they last checked.",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        workers = Gauge(
            "loan_workers",
            "Workers that run, by the model that decides in them.",
            labelnames=["product", "model"],
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        return CanaryGauges(checked, wrong, workers)

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

    def count_unavailable(self, missing: Missing) -> None:
        """Count a request that is answered with 503."""
        self._unavailable.labels(missing).inc()

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
        disks: Iterable[DiskSpace],
    ) -> bytes:
        """Return all metrics as text; counted is None where the database does not answer."""
        registry = CollectorRegistry()
        if os.environ.get(DIRECTORY):
            registry.register(Files(os.environ[DIRECTORY]))
        else:
            registry.register(_Others(self.registry))
        registry.register(_Facts(counted, info, reloads_refused, disks))
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
        disks: Iterable[DiskSpace],
    ) -> None:
        self._counted = counted
        self._info = info
        self._reloads_refused = reloads_refused
        self._disks = disks

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "loan_database_up",
            "1 if the database answered this scrape.",
            value=self._counted is not None,
        )
        if self._counted is not None:
            yield from families(self._counted)
        yield CounterMetricFamily(
            "loan_bundle_reloads_refused",
            "Reloads since the start that were refused because the new bundle was invalid.",
            value=self._reloads_refused,
        )
        yield from _disk_families(self._disks)
        for name, facts in self._info.items():
            family = GaugeMetricFamily(
                f"loan_{name}_info", f"Facts about the {name}; always 1.", labels=list(facts)
            )
            family.add_metric(list(facts.values()), 1)
            yield family


def _disk_families(disks: Iterable[DiskSpace]) -> tuple[Metric, Metric]:
    free, size = (
        GaugeMetricFamily(f"loan_disk_{name}_bytes", text, labels=["place"])
        for name, text in (
            ("free", "Space that the service can still use, where it writes."),
            ("size", "Size of the file system where the service writes."),
        )
    )
    for disk in disks:
        free.add_metric([disk.place], disk.free)
        size.add_metric([disk.place], disk.size)
    return free, size


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
