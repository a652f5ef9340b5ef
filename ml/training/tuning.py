"""Chooses the settings of a candidate by cross-validation; fits each preparation once a fold."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import get_scorer
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline

from ml.bundle.facts import Setting, Settings

PREPARATION = "prepare__"  # the prefix in the names of settings of the preparation


def best_settings(
    estimator: Pipeline,
    grid: Mapping[str, Sequence[Setting]],
    data: tuple[pd.DataFrame, np.ndarray],
    folds: Iterable[tuple[np.ndarray, np.ndarray]],
) -> Settings:
    """Return the settings with the highest mean ROC-AUC over the folds.

    The choice is that of `sklearn.model_selection.GridSearchCV`, but the preparation is not fitted
    again for every setting of the classifier.

    Parameters
    ----------
    estimator : Pipeline
        With the steps ``prepare`` and ``classify``; not changed.
    grid : dict of str to list
        The values tried for each setting.
    data : (DataFrame of shape (n_samples, n_columns), ndarray of shape (n_samples,))
        The columns that the preparation takes, and 1 for good or 0 for bad.
    folds : iterable of (ndarray of shape (n_train,), ndarray of shape (n_test,))
        The positions of the rows to fit on and of the rows to score.

    Returns
    -------
    dict of str to object
        Among equally good settings, the first in the order of `ParameterGrid`. If the grid has only
        one combination, it is returned without fitting anything.
    """
    columns, good = data
    tried = list(ParameterGrid(grid))
    if len(tried) == 1:
        return dict(tried[0])
    score = get_scorer("roc_auc")
    by_preparation = defaultdict(list)
    for number, settings in enumerate(tried):
        prepared_by = tuple(s for s in settings.items() if s[0].startswith(PREPARATION))
        by_preparation[prepared_by].append(number)
    scores: list[list[float]] = [[] for _ in tried]
    for train, test in folds:
        for numbers in by_preparation.values():
            first = clone(estimator).set_params(**tried[numbers[0]])
            prepare = first["prepare"]
            fitted_on = prepare.fit_transform(columns.iloc[train], good[train])
            scored_on = prepare.transform(columns.iloc[test])
            for number in numbers:
                classify = clone(estimator).set_params(**tried[number])["classify"]
                classify.fit(fitted_on, good[train])
                scores[number].append(score(classify, scored_on, good[test]))
    return dict(tried[int(np.argmax(np.mean(scores, axis=1)))])
