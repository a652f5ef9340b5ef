"""Tests of the logistic regression of the watch."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ml.monitoring.logistic import fit_logistic, log_odds, sigmoid


def fitted(matrix, good, *, weights=None, penalty=1.0, start=None, **more):
    columns = matrix.shape[1]
    return fit_logistic(
        matrix,
        good,
        weights=np.ones(len(good)) if weights is None else weights,
        penalty=np.full(columns, penalty),
        start=np.zeros(columns) if start is None else start,
        **more,
    )


def test_coefficients_are_those_of_scikit_learn():
    random = np.random.default_rng(1)
    matrix = random.normal(size=(400, 5))
    good = (random.random(400) < sigmoid(matrix @ [1, -2, 0.5, 0, 0])).astype(float)
    weights = random.uniform(0, 3, size=400)
    model = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=1000)
    model.fit(matrix, good, sample_weight=weights)
    assert fitted(matrix, good, weights=weights) == pytest.approx(model.coef_[0], abs=1e-5)


@pytest.mark.parametrize("start", [np.array([0.0, 1.0]), np.array([-5.0, 9.0])])
def test_fit_from_far_away_ends_at_the_same_place(start):
    """A step of Newton's method from there would lead away."""
    random = np.random.default_rng(2)
    odds = log_odds(random.uniform(0.5, 1, size=2_000))
    good = (random.random(2_000) < 0.6).astype(float)
    matrix = np.column_stack([np.ones(2_000), odds])
    near = fitted(matrix, good, penalty=1e-3)
    assert fitted(matrix, good, penalty=1e-3, start=start) == pytest.approx(near, abs=1e-6)


def test_separated_data_have_finite_coefficients():
    matrix = np.column_stack([np.ones(40), np.linspace(-1, 1, 40)])
    found = fitted(matrix, (matrix[:, 1] > 0).astype(float), penalty=1e-3)
    assert np.isfinite(found).all()
    assert found[1] > 10


def test_constant_columns_are_no_obstacle():
    matrix = np.column_stack([np.ones(30), np.zeros(30), np.ones(30)])
    found = fitted(matrix, np.repeat([0.0, 1.0], 15), penalty=0.0)
    assert found == pytest.approx([0, 0, 0])


def test_log_odds_and_sigmoid_are_inverse_and_do_not_overflow():
    p = np.array([0.1, 0.5, 0.999])
    assert sigmoid(log_odds(p)) == pytest.approx(p)
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid(np.array([-1e4, 0.0, 1e4])) == pytest.approx([0, 0.5, 1])
