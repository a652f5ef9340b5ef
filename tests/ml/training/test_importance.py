"""Tests of ml/training/importance.py."""

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.model_selection import StratifiedKFold

from ml.product.samples import examples
from ml.training.candidates import candidates
from ml.training.importance import SHUFFLES, importance

PLANTED = {"loan_term_months", "home_status"}


@pytest.fixture(scope="module")
def planted(product):
    """Random applications whose outcome depends on two fields and on chance."""
    fields = pd.DataFrame(examples(product, count=600, seed=3))
    rng = np.random.default_rng(3)
    score = (fields["loan_term_months"] - 39) / 10 + 4 * (fields["home_status"] == "owner")
    return fields, (score + rng.normal(size=600) > 0).astype(int)


def measure(product, data, *, folds=slice(2), seed=0, strengths=(0.1, 0.1)):
    logistic = next(c for c in candidates(product, seed=0) if c.name == "logistic")
    splits = list(StratifiedKFold(2, shuffle=True, random_state=0).split(*data))[folds]
    with parallel_config(backend="sequential"):
        return importance(
            logistic.estimator,
            product,
            data,
            settings=[{"classify__C": c} for c in strengths[folds]],
            splits=splits,
            seed=seed,
        )


def test_importance_finds_what_was_planted_and_nothing_else(product, planted):
    found = measure(product, planted)
    assert [row.field for row in found[:2]] == ["loan_term_months", "home_status"]
    assert {row.field for row in found} == set(product.by_name)
    means = [row.mean for row in found]
    assert means == sorted(means, reverse=True)
    assert means[0] > 0.15
    assert means[1] > 0.02
    for row in found[2:]:
        assert abs(row.mean) < 0.015
        assert 0 <= row.sd < 0.015


def test_importance_depends_on_the_seed_alone(product, planted):
    found = measure(product, planted, folds=slice(1))
    assert measure(product, planted, folds=slice(1)) == found
    assert measure(product, planted, folds=slice(1), seed=2**32 - 1) != found


def test_importance_has_settings_of_their_own_in_each_fold(product, planted):
    """Settings chosen on all rows would depend on the held-out rows."""
    strengths = (1e-6, 0.1)
    both = {r.field: r.mean for r in measure(product, planted, strengths=strengths)}
    each = [
        {r.field: r.mean for r in measure(product, planted, folds=one, strengths=strengths)}
        for one in (slice(0, 1), slice(1, 2))
    ]
    assert each[0]["home_status"] != pytest.approx(each[1]["home_status"])
    for field, mean in both.items():
        assert mean == pytest.approx((each[0][field] + each[1][field]) / 2)


def test_importance_is_of_rows_held_out(product, planted):
    """Debts that tell of the rows fitted on, and of no others, have no importance."""
    fields, good = planted
    fitted_on, held_out = np.arange(300), np.arange(300, 600)
    debt = np.random.default_rng(1).integers(0, 250_000, size=600)
    debt[fitted_on] = (1 - good[fitted_on]) * 200_000  # more of it goes with bad rows, as stated
    leaking = (fields.assign(outstanding_debt=debt), good)
    logistic = next(c for c in candidates(product, seed=0) if c.name == "logistic")
    found = {}
    for name, measured_on in (("fitted on", fitted_on), ("held out", held_out)):
        splits = [(fitted_on, measured_on)]
        with parallel_config(backend="sequential"):
            rows = importance(
                logistic.estimator, product, leaking, settings=[{}], splits=splits, seed=0
            )
        found[name] = next(row.mean for row in rows if row.field == "outstanding_debt")
    assert found["fitted on"] > 0.2
    assert found["held out"] < 0.05
    assert SHUFFLES > 1
