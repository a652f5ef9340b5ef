"""Tests of ml/scoring/features.py."""

import numpy as np
import pytest

from ml.scoring.features import ratio, transform_one, transformed, untransformed


def test_transformed_logarithm_is_odd_and_keeps_missing_values():
    values = np.array([-np.expm1(2), -0.0, 0.0, np.expm1(2), np.nan])
    np.testing.assert_allclose(transformed(values, "log"), [-2, 0, 0, 2, np.nan])


def test_transformed_square_root_and_none():
    values = np.array([0.0, 4.0, np.nan])
    np.testing.assert_allclose(transformed(values, "sqrt"), [0, 2, np.nan])
    np.testing.assert_allclose(transformed(values, None), values)


@pytest.mark.parametrize("transform", ["log", "sqrt", None])
def test_untransformed_gives_the_value_back(transform):
    for value in (0.0, 1.0, 1_234.5, *(() if transform == "sqrt" else (-7.0,))):
        assert untransformed(transform_one(value, transform), transform) == pytest.approx(value)


@pytest.mark.parametrize(
    ("a", "b", "c", "expected"),
    [
        (1, 2, 4, 2 * (1 + 0.5 * 2) / 4),
        (1, 2, 0, np.nan),
        (np.nan, 2, 4, np.nan),
        (1, np.nan, 4, np.nan),
        (1, 2, np.nan, np.nan),
        (1000, 2, 4, 10),
        (-1000, 2, 4, -10),
    ],
)
def test_ratio(a, b, c, expected):
    fields = {"a": np.array([a], float), "b": np.array([b], float), "c": np.array([c], float)}
    found = ratio(fields, terms=[("a", 1.0), ("b", 0.5)], times=["b"], over=["c"], bounds=(-10, 10))
    np.testing.assert_allclose(found, [expected])
