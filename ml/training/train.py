"""Trains a model: compares the candidates, selects the champion, calibrates and fits all."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import (
    RepeatedStratifiedKFold,
    StratifiedKFold,
    train_test_split,
)
from sklearn.pipeline import Pipeline

from ml.bundle.facts import CandidateRow, Effort, Settings, Spread
from ml.evaluation.performance import METRICS, figures
from ml.evaluation.reports import Bound, Figures, Importance
from ml.product.definition import Product
from ml.product.errors import InvalidData
from ml.product.texts import Text
from ml.training.candidates import LABELS, UNBOUND, Candidate, candidates
from ml.training.columns import columns_of
from ml.training.importance import importance
from ml.training.selection import choose, chosen_blind, explainable, keep_directions
from ml.training.tuning import best_settings

# Five folds select models well (Breiman and Spector 1992, "Submodel selection and evaluation in
# regression").
FOLDS = 5
SEED = 0


DEFAULT = Effort(search_rows=5_000)
THOROUGH = Effort(repeats=5, inner_folds=5, thorough=True)


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes
    ----------
    table : tuple of CandidateRow
        One row for each candidate.
    champion : str
        The name of the candidate that decides.
    reason : Text
        The numbers by which the rule selected the champion.
    models : dict of str to Pipeline
        Every candidate, calibrated and fitted on all rows.
    settings : dict of str to dict
        The settings that the search chose for each candidate.
    out_of_fold : ndarray of shape (n_samples,)
        The probability of each row of being good, by the champion fitted on the outer folds that
        the row is not in; from the first repeat.
    importance : tuple of Importance
        The importance of each field, the most important first.
    bound : tuple of Bound
        What the directions of the product cost each candidate that can keep to them.
    chosen_blind : Figures
        The result of `ml.training.selection.chosen_blind`.
    """

    table: tuple[CandidateRow, ...]
    champion: str
    reason: Text
    models: dict[str, Pipeline]
    settings: dict[str, Settings]
    out_of_fold: np.ndarray
    importance: tuple[Importance, ...]
    bound: tuple[Bound, ...]
    chosen_blind: Figures


def fit(
    candidate: Candidate,
    product: Product,
    data: tuple[pd.DataFrame, np.ndarray],
    *,
    effort: Effort,
    seed: int,
) -> tuple[Pipeline, Settings]:
    """Search the settings of a candidate, calibrate it and fit it, all on the given rows only.

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
        Computes the calibrated probability of being good from raw fields.
    settings : dict of str to object
        The settings that the search chose.
    """
    fields, good = data
    columns = columns_of(product)
    searched = _sample(data, effort.search_rows, seed=seed)
    inner = StratifiedKFold(effort.inner_folds, shuffle=True, random_state=seed)
    splits = list(inner.split(*searched))
    settings = best_settings(
        candidate.estimator,
        candidate.fittable(rows=min(len(s[0]) for s in splits), thorough=effort.thorough),
        (columns.transform(searched[0]), searched[1]),
        splits,
    )
    best = clone(candidate.estimator).set_params(**settings)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    calibrated = CalibratedClassifierCV(best, method="sigmoid", cv=folds, ensemble=False)
    model = Pipeline([("columns", columns), ("calibrated", calibrated)])
    return model.fit(fields, good), settings


def _sample(
    data: tuple[pd.DataFrame, np.ndarray], count: int | None, *, seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a sample of at most `count` rows with the same share of good rows."""
    fields, good = data
    if count is None or len(good) <= count:
        return data
    some, _ = train_test_split(
        np.arange(len(good)), train_size=count, stratify=good, random_state=seed
    )
    return fields.iloc[some], good[some]


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
    """Compare the candidates by nested cross-validation, select the champion, and fit all.

    Parameters
    ----------
    product : Product
    data : (DataFrame of shape (n_samples, n_fields), ndarray of shape (n_samples,))
        Raw fields, and 1 for good or 0 for bad.
    threshold : float
        The lowest probability of being good at which a loan is granted.
    cost_ratio : float
        The cost of granting a bad loan, divided by the cost of refusing a good one.
    effort : Effort
    seed : int
        The seed of the folds and of every model.
    competing : sequence of Candidate
        The candidates to compare: both SVCs and any others. Empty for all of
        `ml.training.candidates.candidates`.
    progress : callable
        Takes an iterable of the results and their total number; yields the same results, and may
        show how many are finished.

    Returns
    -------
    Trained

    Raises
    ------
    InvalidData
        A class has fewer rows than the folds need, or a field has no value in any row.
    """
    _refuse_unusable(data)
    competing = competing or candidates(product, seed=seed)
    every = [*competing, *(c.without_directions() for c in competing if c.unbound is not None)]
    outer = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=effort.repeats, random_state=seed)
    splits = list(outer.split(*data))
    options = {"effort": effort, "seed": seed}
    runs = _compete(every, product, data, splits, options, progress)
    folds = {
        name: [
            figures(data[1][test], probability, threshold=threshold, cost_ratio=cost_ratio)
            for (_, test), (probability, _) in zip(splits, results, strict=False)
        ]
        for name, results in runs.items()
    }
    may_decide = explainable(product, (c.name for c in competing))
    blind = chosen_blind(folds, may_decide=may_decide, k=FOLDS)
    folds, bound = keep_directions(folds, k=FOLDS)
    champion, reason = choose(folds, may_decide=may_decide, k=FOLDS)
    estimators = {c.name: c.estimator for c in every}
    for name in (b.candidate for b in bound if not b.kept):
        runs[name], estimators[name] = runs[name + UNBOUND], estimators[name + UNBOUND]
    final = {c.name: runs[c.name][-1] for c in competing}
    decided = runs[champion][:FOLDS]  # the first repeat
    out_of_fold = np.empty(len(data[1]))
    for (_, test), (probability, _) in zip(splits, decided, strict=False):
        out_of_fold[test] = probability
    return Trained(
        table=_table(competing, folds),
        champion=champion,
        reason=reason,
        models={name: model for name, (model, _) in final.items()},
        settings={name: settings for name, (_, settings) in final.items()},
        out_of_fold=out_of_fold,
        importance=importance(
            estimators[champion],
            product,
            data,
            settings=[settings for _, settings in decided],
            splits=splits[:FOLDS],
            seed=seed,
        ),
        bound=bound,
        chosen_blind=blind,
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
) -> dict[str, list[Any]]:
    """Return the results of `_task` for each candidate: by outer fold, then for all rows."""
    plan = [(c, split) for split in [*splits, None] for c in competing]
    tasks = [delayed(_task)(c, product, data, split, options) for c, split in plan]
    runs: dict[str, list[Any]] = {c.name: [] for c in competing}
    results = Parallel(n_jobs=os.cpu_count(), return_as="generator")(tasks)
    for (c, _), result in zip(plan, progress(results, len(tasks)), strict=True):
        runs[c.name].append(result)
    return runs


def _task(
    candidate: Candidate,
    product: Product,
    data: tuple[pd.DataFrame, np.ndarray],
    split: tuple[np.ndarray, np.ndarray] | None,
    options: dict[str, Any],
) -> tuple[Any, Settings]:
    """Fit a candidate; return test probabilities (or the model without a split) and settings."""
    fields, good = data
    if split is None:
        return fit(candidate, product, data, **options)
    train, test = split
    model, settings = fit(candidate, product, (fields.iloc[train], good[train]), **options)
    return model.predict_proba(fields.iloc[test])[:, 1], settings


def _table(
    competing: Sequence[Candidate], folds: dict[str, list[Figures]]
) -> tuple[CandidateRow, ...]:
    rows = []
    for candidate in competing:
        spreads = {}
        for metric in METRICS:
            values = np.array([getattr(f, metric) for f in folds[candidate.name]])
            spreads[metric] = Spread(mean=float(values.mean()), sd=float(values.std(ddof=1)))
        rows.append(CandidateRow(name=candidate.name, label=LABELS[candidate.name], **spreads))
    return tuple(rows)
