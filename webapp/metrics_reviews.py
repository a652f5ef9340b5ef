"""Metrics of what people decide: open reviews, and whether every application is referred."""

from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric


class ReviewsCounted(NamedTuple):
    """How many reviews are open, and how many of them are overdue."""

    open: int
    overdue: int


def review_families(counted: ReviewsCounted, *, referring: bool) -> Iterator[Metric]:
    yield GaugeMetricFamily("loan_reviews_open", "Open reviews of decisions.", value=counted.open)
    yield GaugeMetricFamily(
        "loan_reviews_overdue", "Open reviews whose due date has passed.", value=counted.overdue
    )
    yield GaugeMetricFamily(
        "loan_desk_referring",
        "1 while the desk refers every application to a person.",
        value=float(referring),
    )
