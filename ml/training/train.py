"""Training: compare the candidates, choose one by a stated rule, calibrate and fit it."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold
from sklearn.pipeline import Pipeline

from ml.bundle.facts import CandidateRow, Effort, Settings, Spread
from ml.evaluation.performance import METRICS, figures
from ml.evaluation.reports import Figures, Importance
from ml.product.application import InvalidData
from ml.product.definition import Product
from ml.product.texts import Text
from ml.training.candidates import Candidate, candidates
from ml.training.columns import columns_of
from ml.training.importance import importance
from ml.training.selection import choose, explainable
from ml.training.tuning import best_settings

FOLDS = 5  # enough to choose among models (Breiman and Spector 1992)
SEED = 0


DEFAULT = Effort()
THOROUGH = Effort(repeats=5, inner_folds=5, thorough=True)


@dataclass(frozen=True)
class Trained:
    """All that a training found out.

    Attributes
    ----------
    table : tuple of CandidateRow
        One row for each candidate.
    champion : str
        The name of the candidate that decides.
    reason : Text
        How the rule led to it.
    models : dict of str to Pipeline
        Every candidate, calibrated and fitted on every row.
    settings : dict of str to dict
        The settings that the search chose for each.
    out_of_fold : ndarray of shape (n_samples,)
        Each row's probability of being good, by the champion's candidate fitted on the outer folds
        that the row is not in; of the first repeat.
    importance : tuple of Importance
        Of each field of an application, the most important first.
    """

    table: tuple[CandidateRow, ...]
    champion: str
    reason: Text
    models: dict[str, Pipeline]
    settings: dict[str, Settings]
    out_of_fold: np.ndarray
    importance: tuple[Importance, ...]


def fit(
    candidate: Candidate,
    product: Product,
    data: tuple[pd.DataFrame, np.ndarray],
    *,
    effort: Effort,
    seed: int,
) -> tuple[Pipeline, Settings]:
    """Search a candidate's settings, calibrate it and fit it, all on the rows given and no others.

    Parameters
    ----------
    candidate : Candidate
    product : Product
    data : (DataFrame of shape (n_samples, n_fields), ndarray of shape (n_samples,))
        Raw fields, and 1 for good or 0 for bad.
    effort : Effort
    seed : int

    Returns
    -------
    model : Pipeline
        From raw fields to the calibrated probability of being good.
    settings : dict of str to object
        What the search chose.
    """
    fields, good = data
    columns = columns_of(product)
    inner = StratifiedKFold(effort.inner_folds, shuffle=True, random_state=seed)
    settings = best_settings(
        candidate.estimator,
        candidate.fine_grid if effort.thorough else candidate.grid,
        (columns.transform(fields), good),
        inner.split(fields, good),
    )
    best = clone(candidate.estimator).set_params(**settings)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    calibrated = CalibratedClassifierCV(best, method="sigmoid", cv=folds, ensemble=False)
    model = Pipeline([("columns", columns), ("calibrated", calibrated)])
    return model.fit(fields, good), settings


def train(
    product: Product,
    data: tuple[pd.DataFrame, np.ndarray],
    *,
    threshold: float,
    cost_ratio: float,
    effort: Effort = DEFAULT,
    seed: int = SEED,
    competing: Sequence[Candidate] = (),
    progress: Callable[[Iterable[Any], int], Iterable[Any]] = lambda tasks, _: tasks,
) -> Trained:
    """Compare the candidates by nested cross-validation, choose one, fit all on every row.

    Parameters
    ----------
    product : Product
    data : (DataFrame of shape (n_samples, n_fields), ndarray of shape (n_samples,))
        Raw fields, and 1 for good or 0 for bad.
    threshold : float
        From which probability of being good on a loan is granted.
    cost_ratio : float
        What a bad loan granted costs, over what a good loan refused costs.
    effort : Effort
    seed : int
        Of the folds and of every model.
    competing : sequence of Candidate
        Both SVCs and any others; empty for all of `ml.training.candidates.candidates`.
    progress : callable
        Is given the finished tasks as they come and their total; shows them and hands them on.

    Returns
    -------
    Trained

    Raises
    ------
    InvalidData
        One of the two classes has fewer rows than the folds need, or a field has no value at all.
    """
    _refuse_unusable(data)
    competing = competing or candidates(product, seed=seed)
    outer = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=effort.repeats, random_state=seed)
    splits = list(outer.split(*data))
    options = {"effort": effort, "seed": seed}
    answers, models, settings = _compete(competing, product, data, splits, options, progress)
    folds = {
        name: [
            figures(data[1][test], probability, threshold=threshold, cost_ratio=cost_ratio)
            for (_, test), probability in zip(splits, probabilities, strict=True)
        ]
        for name, probabilities in answers.items()
    }
    champion, reason = choose(folds, may_decide=explainable(product, folds), k=FOLDS)
    out_of_fold = np.empty(len(data[1]))
    for (_, test), probability in zip(splits[:FOLDS], answers[champion][:FOLDS], strict=True):
        out_of_fold[test] = probability
    return Trained(
        table=_table(competing, folds),
        champion=champion,
        reason=reason,
        models=models,
        settings=settings,
        out_of_fold=out_of_fold,
        importance=importance(
            next(c for c in competing if c.name == champion).estimator,
            product,
            data,
            settings=settings[champion],
            splits=splits[:FOLDS],
            seed=seed,
        ),
    )


def _refuse_unusable(data: tuple[pd.DataFrame, np.ndarray]) -> None:
    fields, good = data
    if np.bincount(good, minlength=2).min() < FOLDS**2:
        raise InvalidData(f"at least {FOLDS**2} good and {FOLDS**2} bad rows are needed")
    empty = [str(name) for name in fields if fields[name].isna().all()]
    if empty:
        raise InvalidData(f"no row has a value for {', '.join(empty)}")


def _compete(
    competing: Sequence[Candidate],
    product: Product,
    data: tuple[pd.DataFrame, np.ndarray],
    splits: list[tuple[np.ndarray, np.ndarray]],
    options: dict[str, Any],
    progress: Callable[[Iterable[Any], int], Iterable[Any]],
) -> tuple[dict[str, list[np.ndarray]], dict[str, Pipeline], dict[str, Settings]]:
    """Return the candidates' answers in each outer fold, and their models and settings for good."""
    plan = [(c, split) for split in [*splits, None] for c in competing]
    tasks = [delayed(_task)(c, product, data, split, options) for c, split in plan]
    answers: dict[str, list[np.ndarray]] = {c.name: [] for c in competing}
    models, settings = {}, {}
    results = Parallel(n_jobs=os.cpu_count(), return_as="generator")(tasks)
    for (c, split), result in zip(plan, progress(results, len(tasks)), strict=True):
        if split is None:
            models[c.name], settings[c.name] = result
        else:
            answers[c.name].append(result)
    return answers, models, settings


def _task(
    candidate: Candidate,
    product: Product,
    data: tuple[pd.DataFrame, np.ndarray],
    split: tuple[np.ndarray, np.ndarray] | None,
    options: dict[str, Any],
) -> Any:  # noqa: ANN401 - an outer fold's answers, or what `fit` returns
    fields, good = data
    if split is None:
        return fit(candidate, product, data, **options)
    train, test = split
    model, _ = fit(candidate, product, (fields.iloc[train], good[train]), **options)
    return model.predict_proba(fields.iloc[test])[:, 1]


def _table(
    competing: Sequence[Candidate], folds: dict[str, list[Figures]]
) -> tuple[CandidateRow, ...]:
    rows = []
    for candidate in competing:
        spreads = {}
        for metric in METRICS:
            values = np.array([getattr(f, metric) for f in folds[candidate.name]])
            spreads[metric] = Spread(mean=float(values.mean()), sd=float(values.std(ddof=1)))
        rows.append(CandidateRow(name=candidate.name, label=candidate.label, **spreads))
    return tuple(rows)
