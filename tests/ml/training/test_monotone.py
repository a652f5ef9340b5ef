"""Tests of ml/training/monotone.py."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import SplineTransformer

from ml.training.monotone import MonotoneLinear

LOSSES = ("log", "squared_hinge")


@pytest.fixture(scope="module")
def data():
    """Two numbers and a flag; rows at the middle of the first number are good most often."""
    rng = np.random.default_rng(0)
    numbers, flag = rng.normal(size=(400, 2)), rng.integers(0, 2, 400)
    chance = 1 / (1 + np.exp(2 * numbers[:, 0] ** 2 - 2 + numbers[:, 1] - flag))
    return numbers, flag, (rng.random(400) < chance).astype(int)


def columns(numbers, flag, *, degree=3):
    spline = SplineTransformer(n_knots=5, degree=degree, knots="quantile", include_bias=False)
    return np.column_stack([spline.fit_transform(numbers), flag]), spline


def test_fit_without_numbers_is_logistic_regression(data):
    seen, _ = columns(*data[:2])
    ours = MonotoneLinear("log", C=0.5, others=seen.shape[1]).fit(seen, data[2])
    theirs = LogisticRegression(C=0.5, tol=1e-10, max_iter=10_000).fit(seen, data[2])
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-6)
    assert np.array_equal(ours.predict(seen), theirs.predict(seen))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("degree", [2, 3])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_fit_keeps_to_a_direction_that_the_data_turn_against(data, loss, degree, direction):
    seen, spline = columns(*data[:2], degree=degree)
    grid = np.linspace(data[0][:, 0].min(), data[0][:, 0].max(), 500)
    line = np.column_stack([spline.transform(np.column_stack([grid, grid * 0])), grid * 0])
    rises = {}
    for stated in (direction, None):
        model = MonotoneLinear(loss, C=1.0, directions=(stated, None), others=1).fit(seen, data[2])
        rises[stated] = np.diff(model.decision_function(line))
    side = 1 if direction == "up" else -1
    assert (side * rises[direction]).min() > -1e-12
    assert (side * rises[direction]).max() > 1e-3
    assert (side * rises[None]).min() < -1e-3


@pytest.mark.parametrize("loss", LOSSES)
def test_fit_finds_the_minimum_within_the_bounds(data, loss):
    """A general solver finds no lower value of the objective."""
    seen, _ = columns(*data[:2])
    sides = np.where(data[2] == 1, 1.0, -1.0)
    count = (seen.shape[1] - 1) // 2

    def objective(coefficients, intercept):
        margins = sides * (seen @ coefficients + intercept)
        short = np.maximum(1 - margins, 0)
        lost = np.logaddexp(0, -margins).sum() if loss == "log" else short @ short
        # Shifting a curve changes only the penalty, which is lowest if its mean is 0.
        whole = (np.append(coefficients[i : i + count], 0) for i in (0, count))
        penalty = sum(((part - part.mean()) ** 2).sum() for part in whole)
        return lost + (penalty + coefficients[-1] ** 2) / 2

    def split(steps):
        """Return coefficients: the first number's curve rises by the steps, the second's falls."""
        rising = -np.cumsum(steps[:count][::-1])[::-1]
        falling = np.cumsum(steps[count : 2 * count][::-1])[::-1]
        return np.concatenate([rising, falling, steps[-2:-1]]), steps[-1]

    bounds = [(0, None)] * (2 * count) + [(None, None)] * 2
    options = {"maxfun": 10**6, "ftol": 1e-14, "gtol": 1e-8}
    start = np.zeros(2 * count + 2)
    best = minimize(lambda s: objective(*split(s)), start, bounds=bounds, options=options)
    model = MonotoneLinear(loss, C=1.0, directions=("up", "down"), others=1).fit(seen, data[2])
    found = objective(model.coef_[0], model.intercept_[0])
    assert best.fun - 1e-3 < found <= best.fun + 1e-9


@pytest.mark.parametrize("loss", LOSSES)
def test_fit_is_the_same_to_the_last_digits_for_rows_in_another_order(data, loss):
    seen, _ = columns(*data[:2])
    order = np.random.default_rng(1).permutation(len(seen))
    fits = [
        MonotoneLinear(loss, C=0.3, directions=("up", "down"), others=1).fit(seen[o], data[2][o])
        for o in (np.arange(len(seen)), order)
    ]
    np.testing.assert_allclose(fits[0].coef_, fits[1].coef_, rtol=0, atol=1e-10)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_fit_lets_no_missing_value_count_more_than_the_worst(data, loss, direction):
    """A missing value contributes no more than the worst value, although rows with it are good."""
    numbers, flag, good = data
    gone = np.random.default_rng(2).random(400) < 0.5 * good
    filled = numbers.copy()
    filled[gone, 0] = np.median(numbers[~gone, 0])
    seen, spline = columns(filled, flag)
    seen = np.column_stack([seen, gone])
    grid = np.linspace(filled[:, 0].min(), filled[:, 0].max(), 100)
    line = spline.transform(np.column_stack([grid, grid * 0]))
    known = np.column_stack([line, grid * 0, grid * 0])
    stand_in = spline.transform([[np.median(numbers[~gone, 0]), 0.0]])
    silent = np.column_stack([stand_in, [[0.0, 1.0]]])
    gains = {}
    for absent in ((), ((0, 1),)):
        model = MonotoneLinear(loss, directions=(direction, None), others=2, absent=absent)
        model.fit(seen, good)
        worst = model.decision_function(known).min()
        gains[absent] = model.decision_function(silent)[0] - worst
    assert gains[()] > 0.5
    assert gains[(0, 1),] <= 1e-9
