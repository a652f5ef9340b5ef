"""Metrics of the watch that compare: models with each other, and groups of applicants."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric


class GrantRatio(NamedTuple):
    """The grant rate of a protected group, relative to the reference group, with its interval."""

    product: str
    model: str
    field: str
    group: str
    value: float
    low: float | None
    high: float | None


class Compared(NamedTuple):
    """The evidence for a difference of a challenger's probabilities from the model's."""

    product: str
    model: str
    challenger: str
    better: float
    worse: float


def compared_families(compared: Iterable[Compared]) -> Iterator[Metric]:
    better, worse = (
        GaugeMetricFamily(
            f"loan_challenger_{how}_evidence",
            f"Highest evidence that the challenger's probabilities are {how} than the model's.",
            labels=["product", "model", "challenger"],
        )
        for how in ("better", "worse")
    )
    for one in compared:
        labels = [one.product, one.model, one.challenger]
        better.add_metric(labels, one.better)
        worse.add_metric(labels, one.worse)
    yield from (better, worse)


def ratio_families(ratios: Iterable[GrantRatio]) -> Iterator[Metric]:
    value, low, high = (
        GaugeMetricFamily(name, text, labels=["product", "model", "field", "group"])
        for name, text in (
            ("loan_grant_rate_ratio", "Grant rate of a group relative to the reference group's."),
            ("loan_grant_rate_ratio_low", "The lower end of its 95 % interval."),
            ("loan_grant_rate_ratio_high", "The upper end of its 95 % interval."),
        )
    )
    for one in ratios:
        labels = [one.product, one.model, one.field, one.group]
        for family, number in ((value, one.value), (low, one.low), (high, one.high)):
            if number is not None:
                family.add_metric(labels, number)
    yield from (value, low, high)
