"""Tests of the figures of loans with a known outcome."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from ml.monitoring.realised import realised


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
