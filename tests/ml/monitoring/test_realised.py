"""Tests of the figures of loans with a known outcome."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score

from ml.monitoring.realised import ranking, realised


@pytest.mark.parametrize("decimals", [1, 8])  # with and without equal probabilities
def test_figures_are_those_of_scikit_learn(decimals):
    random = np.random.default_rng(3)
    probability = random.uniform(0.5, 1, size=500).round(decimals)
    good = random.random(500) < probability
    found = realised(probability, good)
    assert (found.outcomes, found.good) == (500, good.sum())
    assert found.expected == pytest.approx(probability.sum())
    assert found.brier == pytest.approx(brier_score_loss(good, probability))
    assert found.roc_auc == pytest.approx(roc_auc_score(good, probability))


def test_one_kind_of_outcome_has_no_area():
    for good in (True, False):
        found = realised(np.array([0.5, 0.9]), np.array([good, good]))
        assert found.roc_auc is None
        assert found.good == 2 * good
    assert realised(np.array([0.7, 0.7]), np.array([True, False])).roc_auc == 0.5


def test_slope_is_that_of_a_logistic_regression():
    random = np.random.default_rng(5)
    probability = random.uniform(0.4, 0.99, size=3_000)
    odds = np.log(probability / (1 - probability))
    good = random.random(3_000) < 1 / (1 + np.exp(-(0.2 + 0.5 * odds)))  # too extreme
    model = LogisticRegression(C=1e6, tol=1e-10).fit(odds[:, None], good)
    assert realised(probability, good).slope == pytest.approx(model.coef_[0, 0], abs=1e-3)


def loans(count, *, noise, seed):
    """Return probabilities, and outcomes that they rank well, or less so with some noise."""
    random = np.random.default_rng(seed)
    probability = random.uniform(0.5, 1, size=count)
    true = (1 - noise) * probability + noise * probability.mean()
    return probability, random.random(count) < true


def test_ranking_compares_areas_in_standard_errors():
    training = loans(4_000, noise=0, seed=1)
    same = ranking(*loans(2_000, noise=0, seed=2), reference=training)
    worse = ranking(*loans(2_000, noise=0.8, seed=3), reference=training)
    assert abs(same.worse) < 3
    assert worse.worse > 3
    assert worse.roc_auc == pytest.approx(roc_auc_score(*loans(2_000, noise=0.8, seed=3)[::-1]))
    assert worse.in_training == pytest.approx(roc_auc_score(*training[::-1]))


def test_chance_alone_rarely_looks_like_a_worse_ranking():
    """Three standard errors are exceeded in about one of 700 cases."""
    found = [
        ranking(
            *loans(300, noise=0, seed=2 * i), reference=loans(900, noise=0, seed=2 * i + 1)
        ).worse
        for i in range(400)
    ]
    assert sum(worse > 3 for worse in found) <= 3
    assert np.std(found) == pytest.approx(1, abs=0.15)


def test_loans_of_one_kind_have_no_ranking():
    training = loans(100, noise=0, seed=1)
    assert ranking(np.array([0.7, 0.8]), np.array([True, True]), reference=training) is None


def test_few_loans_have_no_ranking():
    """Two loans in the wrong order prove nothing."""
    training = loans(1_000, noise=0, seed=1)
    assert ranking(np.array([0.7, 0.8]), np.array([True, False]), reference=training) is None
    probability = np.linspace(0.5, 1, 100)
    bad = np.arange(100) >= 71  # 29 of them
    assert ranking(probability, ~bad, reference=training) is None
    assert ranking(probability, np.arange(100) < 70, reference=training).worse > 3
