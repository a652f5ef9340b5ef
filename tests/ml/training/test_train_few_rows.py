"""Tests of ml/training/train.py on as few rows as it takes."""

import numpy as np
import pytest

from ml.training.candidates import N_NEIGHBOURS, candidates
from ml.training.dataset import read_rows
from ml.training.train import DEFAULT, FOLDS, SEED, THOROUGH, fit


@pytest.mark.parametrize(
    ("effort", "most"), [(DEFAULT, 15), (THOROUGH, 31)], ids=["default", "thorough"]
)
def test_fit_on_the_fewest_rows_tries_no_more_neighbours_than_rows(product, effort, most):
    """The rows are those of an outer fold of 25 good and 25 bad rows."""
    fields, good = read_rows(product, product.data_file).data
    one_class = FOLDS * (FOLDS - 1)
    some = np.concatenate([np.flatnonzero(good == label)[:one_class] for label in (0, 1)])
    neighbours = next(c for c in candidates(product, seed=SEED) if c.name == "neighbours")
    part = (fields.iloc[some], good[some])
    model, settings = fit(neighbours, product, part, effort=effort, seed=SEED)
    assert settings[N_NEIGHBOURS] <= most
    assert np.isfinite(model.predict_proba(fields)).all()
