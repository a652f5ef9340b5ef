"""Tests of ml/scoring/margins.py."""

import numpy as np
import pytest
from scipy.interpolate import PPoly

from ml.scoring.margins import (
    CHUNK_ROWS,
    KernelMargin,
    LinearMargin,
    read_margin,
)


def linear(*, curves=2, plain=3, seed=0):
    """Curves of degree 2 between -1, 0, 0.5 and 2, then plain weights."""
    rng = np.random.default_rng(seed)
    arrays = {"weights": rng.normal(size=plain), "intercept": np.float64(0.25)}
    for i in range(curves):
        arrays |= {
            f"breaks_{i}": np.array([-1.0, 0.0, 0.5, 2.0]),
            f"pieces_{i}": rng.normal(size=(3, 3)),
        }
    return arrays


def kernel(*, vectors=30, columns=4, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "vectors": rng.normal(size=(vectors, columns)),
        "dual": rng.normal(size=vectors),
        "intercept": np.float64(-0.5),
        "gamma": np.float64(0.3),
    }


def rows(count, columns, *, seed=1):
    return np.random.default_rng(seed).normal(scale=1.5, size=(count, columns))


def expected_terms(arrays, matrix):
    curved = [
        PPoly(arrays[f"pieces_{i}"], arrays[f"breaks_{i}"])(np.clip(matrix[:, i], -1, 2))
        for i in (0, 1)
    ]
    return np.column_stack([*curved, matrix[:, 2:] * arrays["weights"]])


def test_linear_terms_are_curves_and_weighted_columns():
    arrays, matrix = linear(), rows(500, 5)
    margin = LinearMargin(arrays, curves=2)
    expected = expected_terms(arrays, matrix)
    np.testing.assert_allclose(margin.terms(matrix), expected, rtol=0, atol=1e-12)
    for row, terms in zip(matrix, expected, strict=True):
        found = margin.terms_of_one(row.tolist())
        np.testing.assert_allclose(found, terms, rtol=0, atol=1e-12)
        assert margin.one(row.tolist()) == pytest.approx(0.25 + terms.sum(), abs=1e-12)


@pytest.mark.parametrize("value", [-1.0, 0.0, 0.5, 2.0, -7.0, 9.0, 1e300])
def test_linear_curve_at_its_breaks_and_beyond(value):
    arrays = linear()
    margin = LinearMargin(arrays, curves=2)
    row = [value, value, 0.0, 0.0, 0.0]
    expected = expected_terms(arrays, np.array([row]))[0]
    np.testing.assert_allclose(margin.terms_of_one(row), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(margin.terms(np.array([row]))[0], expected, rtol=0, atol=1e-12)


def test_linear_many_takes_choices_by_index():
    arrays = linear(plain=6)
    margin = LinearMargin(arrays, curves=2)
    matrix = rows(50, 4)
    first, second = np.arange(50) % 4 - 1, np.arange(50) % 2 - 1  # -1 is an unseen value
    words = np.column_stack([first == 0, first == 1, first == 2, second == 0]).astype(float)
    whole = np.column_stack([matrix, words])
    found = margin.many(
        [matrix[:, 0], matrix[:, 1], matrix[:, 2]], [matrix[:, 3]], [(first, 3), (second, 1)]
    )
    np.testing.assert_allclose(found, [margin.one(r) for r in whole.tolist()], rtol=0, atol=1e-12)


def test_linear_many_of_choices_alone():
    margin = LinearMargin({"weights": np.array([1.0, 2.0]), "intercept": np.float64(3)}, curves=0)
    assert margin.many([], [], [(np.array([0, 1, -1]), 2)]).tolist() == [4.0, 5.0, 3.0]


def test_kernel_margin_is_the_weighted_sum_of_kernels():
    arrays, matrix = kernel(), rows(200, 4)
    margin = KernelMargin(arrays)
    distances = ((matrix[:, None] - arrays["vectors"]) ** 2).sum(axis=2)
    expected = np.exp(-0.3 * distances) @ arrays["dual"] - 0.5
    np.testing.assert_allclose(margin.many(matrix), expected, rtol=0, atol=1e-12)
    one_by_one = [margin.one(row) for row in matrix.tolist()]
    np.testing.assert_allclose(one_by_one, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("place", [50.0, 1e4, -1e8, 1e150])
def test_kernel_margin_far_from_every_vector_is_the_intercept(place):
    assert KernelMargin(kernel()).one([place] * 4) == -0.5


@pytest.mark.parametrize(
    "count", [0, 1, CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 1, 2 * CHUNK_ROWS + 5]
)
def test_kernel_margin_of_any_number_of_rows(count):
    margin, matrix = KernelMargin(kernel()), rows(2 * CHUNK_ROWS + 5, 4)
    found = margin.many(matrix[:count])
    assert found.shape == (count,)
    np.testing.assert_allclose(found, margin.many(matrix)[:count], rtol=0, atol=1e-12)


def test_read_margin_of_each_kind():
    found = read_margin(linear(), {"kind": "linear", "curves": 2})
    assert isinstance(found, LinearMargin)
    assert len(found.curves) == 2
    assert isinstance(read_margin(kernel(), {"kind": "rbf"}), KernelMargin)
    assert read_margin({}, {"kind": "pipeline"}) is None
