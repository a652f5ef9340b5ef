"""Tests of ml/training/splines.py."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.preprocessing import SplineTransformer

from ml.training.splines import Splines

SETTINGS = {"n_knots": 5, "knots": "quantile", "extrapolation": "constant", "include_bias": False}


@pytest.fixture(scope="module")
def numbers():
    return np.random.default_rng(0).normal(size=(300, 2))


@pytest.mark.parametrize("degree", [2, 3])
def test_transform_is_that_of_scikit_learn_where_no_knots_coincide(numbers, degree):
    ours = Splines(degree=degree, **SETTINGS).fit(numbers)
    theirs = SplineTransformer(degree=degree, **SETTINGS).fit(numbers)
    seen = np.vstack([numbers, 2 * numbers, numbers.min(axis=0), numbers.max(axis=0)])
    assert np.array_equal(ours.transform(seen), theirs.transform(seen))


@pytest.mark.parametrize("degree", [2, 3])
@pytest.mark.parametrize("quantiles", [(0, 0.7), (0, 0.4), (0.3, 1), (0.6, 1), (0.4, 0.6)])
def test_transform_is_continuous_and_constant_beyond_the_ends(numbers, degree, quantiles):
    low, high = np.quantile(numbers[:, 0], quantiles)
    cut = np.clip(numbers[:, :1], low, high)
    splines = Splines(degree=degree, **SETTINGS).fit(cut)
    ends = np.array([low - 1, low, low + 1e-9, high - 1e-9, high, high + 1])[:, None]
    below, at_low, above, before, at_high, beyond = splines.transform(ends)
    for one, other in ((below, at_low), (at_low, above), (before, at_high), (at_high, beyond)):
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_transform_of_a_constant_number_is_zero(numbers):
    constant = np.column_stack([numbers[:, 0], np.full(300, 7.0)])
    splines = Splines(degree=3, **SETTINGS).fit(constant)
    found = splines.transform([[0.0, 7.0], [0.0, 6.0], [0.0, 8.0]])
    assert not found[:, found.shape[1] // 2 :].any()
    assert found[:, : found.shape[1] // 2].any()


def test_clone_keeps_the_settings():
    assert clone(Splines(degree=2, **SETTINGS)).get_params()["degree"] == 2
