"""Choice of a candidate's settings by cross-validation, each preparation fitted once a fold."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import get_scorer
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline

from ml.bundle.facts import Setting, Settings

PREPARATION = "prepare__"  # how the name of a setting of the preparation begins


def best_settings(
    estimator: Pipeline,
    grid: Mapping[str, Sequence[Setting]],
    data: tuple[pd.DataFrame, np.ndarray],
    folds: Iterable[tuple[np.ndarray, np.ndarray]],
) -> Settings:
    """Return the settings with the highest mean ROC-AUC over the folds.

    The same choice as `sklearn.model_selection.GridSearchCV`, which fits the preparation again
    for every setting of the classifier.

    Parameters
    ----------
    estimator : Pipeline
        With the steps ``prepare`` and ``classify``; not changed.
    grid : dict of str to list
        The values tried for each setting.
    data : (DataFrame of shape (n_samples, n_columns), ndarray of shape (n_samples,))
        Columns that the preparation takes, and 1 for good or 0 for bad.
    folds : iterable of (ndarray, ndarray)
        Positions of the rows to fit on and of the rows to score.

    Returns
    -------
    dict of str to object
        Of equally good ones, the first in the order of `ParameterGrid`. A single setting is
        returned without fitting anything.
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
