"""Tests of ml/evaluation/intervals.py."""

import pytest
from scipy.stats import binomtest
from scipy.stats.contingency import relative_risk

from ml.evaluation.intervals import ratio, wilson


@pytest.mark.parametrize(
    ("count", "total"), [(0, 1), (1, 1), (0, 10), (5, 10), (10, 10), (1, 1000), (37, 90_000)]
)
def test_wilson_equals_scipy_s(count, total):
    expected = binomtest(count, total).proportion_ci(confidence_level=0.95, method="wilson")
    low, high = wilson(count, total=total)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= count / total <= high <= 1


def test_wilson_of_a_printed_example():
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I: 81 of 263.
    assert wilson(81, total=263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, total=20) == pytest.approx((0.0, 0.1611), abs=5e-5)


@pytest.mark.parametrize(
    ("own", "own_total", "base", "base_total"),
    [(30, 100, 450, 900), (1, 40, 39, 40), (40, 40, 30, 60), (7, 9, 9, 9)],
)
def test_ratio_has_the_interval_of_scipy(own, own_total, base, base_total):
    expected = relative_risk(own, own_total, base, base_total)
    found = ratio(own, own_total, base, base_total)
    assert found.value == pytest.approx(expected.relative_risk)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval())


@pytest.mark.parametrize("counts", [(0, 50, 20, 50), (50, 50, 30, 30)])
def test_ratio_without_an_interval(counts):
    found = ratio(*counts)
    assert (found.low, found.high) == (None, None)
    assert found.value == (0 if counts[0] == 0 else 1)
