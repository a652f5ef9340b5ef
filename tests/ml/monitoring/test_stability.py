"""Tests of the population stability index and of the bound of what chance explains."""

import numpy as np
import pytest
from scipy.stats import chi2, entropy

from ml.monitoring.stability import (
    BOUND_LEVEL,
    LARGE,
    SLIGHT,
    Stability,
    stability,
    stability_bound,
)


def test_index_of_equal_distributions_is_zero():
    found = stability([1_000, 2_000, 3_000], [100, 200, 300])
    assert found.index == pytest.approx(0, abs=1e-15)
    assert (found.rows, found.size) == (600, "none")


def test_index_is_the_symmetric_divergence():
    """Kullback and Leibler's divergences in both directions, summed, computed by SciPy."""
    random = np.random.default_rng(5)
    for _ in range(50):
        old, new = random.integers(1, 500, size=(2, random.integers(2, 15)))
        p, q = old / old.sum(), new / new.sum()
        expected = entropy(p, q) + entropy(q, p)
        assert stability(old, new).index == pytest.approx(expected, rel=1e-12)


def test_known_value():
    # 0.1 * ln(0.6 / 0.5) + -0.1 * ln(0.4 / 0.5)
    assert stability([500, 500], [600, 400]).index == pytest.approx(0.04054651, abs=1e-8)


def test_empty_bins():
    alone = stability([50, 50, 0], [50, 50, 0])
    assert alone == stability([50, 50], [50, 50])
    new = stability([500, 500, 0], [400, 400, 200])
    assert np.isfinite(new.index)
    assert new.size == "large"
    assert stability([0, 0], [1, 2]) is None
    assert stability([1, 2], [0, 0]) is None
    one = stability([5, 0], [7, 0])
    assert (one.index, one.bound) == (0, 0)


@pytest.mark.parametrize("bins", [2, 3, 4, 6, 10, 20, 40])
def test_bound_is_that_of_chi_squared(bins):
    expected = (1 / 3554 + 1 / 200) * chi2.ppf(BOUND_LEVEL, bins - 1)
    assert stability_bound(3554, 200, bins=bins) == pytest.approx(expected, rel=0.006)


@pytest.mark.parametrize("rows", [100, 1000])
def test_chance_exceeds_the_bound_in_one_of_twenty_cases(rows):
    random = np.random.default_rng(1)
    shares = random.dirichlet(np.full(10, 20.0))
    cases = [
        stability(random.multinomial(5_000, shares), random.multinomial(rows, shares))
        for _ in range(4_000)
    ]
    beyond = np.mean([case.index > case.bound for case in cases])
    assert 0.03 < beyond < 0.08


def test_size_has_the_customary_limits_where_there_are_enough_rows():
    assert Stability(SLIGHT, 0.01, 100).size == "none"
    assert Stability(SLIGHT + 1e-9, 0.01, 100).size == "slight"
    assert Stability(LARGE, SLIGHT, 100).size == "slight"
    assert Stability(LARGE + 1e-9, SLIGHT, 100).size == "large"
    assert Stability(9.0, SLIGHT + 1e-9, 10).size == "unknown"


@pytest.mark.parametrize("rows", [20, 50, 100, 200, 1000])
def test_nothing_is_called_large_by_chance(rows):
    random = np.random.default_rng(2)
    shares = random.dirichlet(np.full(10, 20.0))
    sizes = [
        stability(random.multinomial(3_500, shares), random.multinomial(rows, shares)).size
        for _ in range(2_000)
    ]
    assert "large" not in sizes
