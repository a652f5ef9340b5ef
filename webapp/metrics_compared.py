"""Metrics of the watch that compare: models with each other."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric


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
