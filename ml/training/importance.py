"""Measures the importance of each field by shuffling its values."""

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline

from ml.bundle.facts import Settings
from ml.evaluation.reports import Importance
from ml.product.definition import Product
from ml.training.columns import columns_of

SHUFFLES = 5  # of each field in each fold: the default of sklearn's permutation_importance


def importance(
    estimator: Pipeline,
    product: Product,
    data: tuple[pd.DataFrame, np.ndarray],
    *,
    settings: Sequence[Settings],
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    seed: int,
) -> tuple[Importance, ...]:
    """Measure the loss of ROC-AUC when the values of a field are shuffled among held-out rows.

    Parameters
    ----------
    estimator : Pipeline
        The unfitted estimator of a candidate.
    product : Product
    data : (DataFrame of shape (n_samples, n_fields), ndarray of shape (n_samples,))
        Raw fields, and 1 for good or 0 for bad.
    settings : sequence of dict of str to object
        The settings of the estimator for each fold, chosen on its training rows alone.
    splits : sequence of (ndarray of shape (n_train,), ndarray of shape (n_test,))
        For each fold, the positions of the rows to fit on and of the rows to measure on.
    seed : int
        The seed of the shuffles.

    Returns
    -------
    tuple of Importance
        One for each field, with the mean and standard deviation over folds and shuffles, in
        descending order of the mean.
    """
    tasks = []
    for chosen, split in zip(settings, splits, strict=True):
        # Calibration is omitted because a sigmoid does not change the order of rows, nor ROC-AUC.
        fitted = clone(estimator).set_params(**chosen)
        model = Pipeline([("columns", columns_of(product)), ("estimator", fitted)])
        tasks.append(delayed(_losses)(model, data, split, seed))
    losses = np.hstack(Parallel(n_jobs=os.cpu_count())(tasks))
    rows = [
        Importance(
            field=name,
            label=product.by_name[name].label,
            mean=float(lost.mean()),
            sd=float(lost.std(ddof=1)),
        )
        for name, lost in zip(data[0].columns.astype(str), losses, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: row.mean, reverse=True))


def _losses(
    model: Pipeline,
    data: tuple[pd.DataFrame, np.ndarray],
    split: tuple[np.ndarray, np.ndarray],
    seed: int,
) -> np.ndarray:
    fields, good = data
    train, test = split
    fitted = clone(model).fit(fields.iloc[train], good[train])
    rows, truth = fields.iloc[test].reset_index(drop=True), good[test]
    area = roc_auc_score(truth, _ranking(fitted, rows))
    # All shuffles of a field are scored in one call, because a call has a fixed cost.
    repeated = pd.concat([rows] * SHUFFLES, ignore_index=True)
    rng = np.random.default_rng(seed)
    losses = np.empty((rows.shape[1], SHUFFLES))
    for lost, name in zip(losses, rows, strict=True):
        order = np.concatenate([rng.permutation(len(rows)) for _ in range(SHUFFLES)])
        shuffled = repeated.copy(deep=False)
        shuffled[name] = rows[name].array.take(order)
        rankings = _ranking(fitted, shuffled).reshape(SHUFFLES, -1)
        lost[:] = [area - roc_auc_score(truth, ranking) for ranking in rankings]
    return losses


def _ranking(model: Pipeline, rows: pd.DataFrame) -> np.ndarray:
    """Return a score of each row that is higher for rows more likely to be good."""
    ranking: np.ndarray = (
        model.decision_function(rows)
        if hasattr(model, "decision_function")
        else model.predict_proba(rows)[:, 1]
    )
    return ranking
