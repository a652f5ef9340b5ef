"""Training: compare the candidates, choose one by a stated rule, calibrate and fit it."""

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold, StratifiedKFold
from sklearn.pipeline import Pipeline

from ml.candidates import SVC_KERNELS, Candidate, candidates, columns_of
from ml.product import Product
from ml.rows import InvalidData

FOLDS = 5  # enough to choose among models (Breiman and Spector 1992)
SEED = 0
METRICS = ("accuracy", "balanced_accuracy", "roc_auc", "pr_auc_refused", "brier")
RULE = (
    "The SVC with the higher mean accuracy decides, unless another candidate's mean accuracy is "
    "better than its by more than one standard error: its standard deviation over the n folds "
    "times the root of 1/n + 1/(k - 1) in k-fold cross-validation, since folds share their "
    "training rows (Nadeau and Bengio 2003). Then the most accurate candidate does."
)


@dataclass(frozen=True)
class Effort:
    """How much work a training does.

    Attributes
    ----------
    repeats : int
        How often the outer cross-validation is repeated with other folds.
    inner_folds : int
        Folds of the search for settings within a training fold.
    thorough : bool
        Whether the fine grids are searched.
    """

    repeats: int = 1
    inner_folds: int = 3
    thorough: bool = False


DEFAULT = Effort()
THOROUGH = Effort(repeats=5, inner_folds=5, thorough=True)


@dataclass(frozen=True)
class Trained:
    """All that a training found out.

    Attributes
    ----------
    table : list of dict
        A row a candidate: its mean figures and their standard deviations over the outer folds.
    champion : str
        The name of the candidate that decides.
    reason : str
        How the rule led to it.
    models : dict of str to Pipeline
        Every candidate, calibrated and fitted on every row.
    settings : dict of str to dict
        The settings that the search chose for each.
    """

    table: list[dict[str, Any]]
    champion: str
    reason: str
    models: dict[str, Pipeline]
    settings: dict[str, dict[str, Any]]


def threshold_for(cost_ratio: float) -> float:
    """Return the least probability of being good at which granting costs no more than refusing.

    Parameters
    ----------
    cost_ratio : float
        What a bad loan granted costs, over what a good loan refused costs.

    Returns
    -------
    float
        r / (1 + r): grant when p·1 ≥ (1 − p)·r (Elkan 2001, "The foundations of cost-sensitive
        learning").
    """
    return cost_ratio / (1 + cost_ratio)


def figures(good: np.ndarray, probability: np.ndarray, *, threshold: float) -> dict[str, float]:
    """Return how well probabilities and the decisions that follow from them agree with the truth.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad.
    probability : ndarray of shape (n_samples,)
        Of being good.
    threshold : float
        From which on a loan is granted.

    Returns
    -------
    dict of str to float
        One figure for each of `METRICS`.
    """
    granted = probability >= threshold
    return {
        "accuracy": float(accuracy_score(good, granted)),
        "balanced_accuracy": float(balanced_accuracy_score(good, granted)),
        "roc_auc": float(roc_auc_score(good, probability)),
        "pr_auc_refused": float(average_precision_score(1 - good, 1 - probability)),
        "brier": float(brier_score_loss(good, probability)),
    }


def fit(
    candidate: Candidate,
    product: Product,
    data: tuple[pd.DataFrame, np.ndarray],
    *,
    effort: Effort,
    seed: int,
) -> tuple[Pipeline, dict[str, Any]]:
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
    search = GridSearchCV(
        clone(candidate.estimator),
        candidate.fine_grid if effort.thorough else candidate.grid,
        scoring="roc_auc",
        cv=inner,
        refit=False,
    )
    search.fit(columns.transform(fields), good)
    best = clone(candidate.estimator).set_params(**search.best_params_)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    calibrated = CalibratedClassifierCV(best, method="sigmoid", cv=folds, ensemble=False)
    model = Pipeline([("columns", columns), ("calibrated", calibrated)])
    return model.fit(fields, good), search.best_params_


def _outer_fold(
    candidate: Candidate,
    product: Product,
    data: tuple[pd.DataFrame, np.ndarray],
    split: tuple[np.ndarray, np.ndarray],
    options: dict[str, Any],
) -> tuple[str, dict[str, float]]:
    fields, good = data
    train, test = split
    part = (fields.iloc[train], good[train])
    model, _ = fit(candidate, product, part, effort=options["effort"], seed=options["seed"])
    probability = model.predict_proba(fields.iloc[test])[:, 1]
    return candidate.name, figures(good[test], probability, threshold=options["threshold"])


def _refit(
    candidate: Candidate,
    product: Product,
    data: tuple[pd.DataFrame, np.ndarray],
    options: dict[str, Any],
) -> tuple[str, Pipeline, dict[str, Any]]:
    model, settings = fit(candidate, product, data, effort=options["effort"], seed=options["seed"])
    return candidate.name, model, settings


def choose(folds: dict[str, list[dict[str, float]]]) -> tuple[str, str]:
    """Apply `RULE`.

    Parameters
    ----------
    folds : dict of str to list of dict
        For each candidate its figures in every outer fold, in the same order of folds.

    Returns
    -------
    champion : str
    reason : str
        One sentence with the numbers that decided.
    """

    def mean(name: str) -> float:
        return float(np.mean([f["accuracy"] for f in folds[name]]))

    svc = max(SVC_KERNELS, key=mean)
    best = max(folds, key=mean)
    accuracies = np.array([f["accuracy"] for f in folds[svc]])
    error = math.sqrt((1 / len(accuracies) + 1 / (FOLDS - 1)) * accuracies.var(ddof=1))
    gain = mean(best) - mean(svc)
    by = f"standard error {error:.4f}"
    if gain > error:
        return best, f"{best} decides: more accurate than {svc} by {gain:.4f}, {by}."
    return svc, f"{svc} decides: the most accurate candidate is better by {gain:.4f}, {by}."


def train(
    product: Product,
    data: tuple[pd.DataFrame, np.ndarray],
    *,
    threshold: float,
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
    effort : Effort
    seed : int
        Of the folds and of every model.
    competing : sequence of Candidate
        Both SVCs and any others; empty for all of `ml.candidates.candidates`.
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
    fields, good = data
    if np.bincount(good, minlength=2).min() < FOLDS**2:
        raise InvalidData(f"at least {FOLDS**2} good and {FOLDS**2} bad rows are needed")
    empty = [str(name) for name in fields if fields[name].isna().all()]
    if empty:
        raise InvalidData(f"no row has a value for {', '.join(empty)}")
    competing = competing or candidates(product, seed=seed)
    outer = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=effort.repeats, random_state=seed)
    splits = list(outer.split(fields, good))
    options = {"effort": effort, "seed": seed, "threshold": threshold}
    tasks = [delayed(_outer_fold)(c, product, data, s, options) for s in splits for c in competing]
    tasks += [delayed(_refit)(c, product, data, options) for c in competing]
    folds: dict[str, list[dict[str, float]]] = {c.name: [] for c in competing}
    models, settings = {}, {}
    parallel = Parallel(n_jobs=os.cpu_count(), return_as="generator")
    for result in progress(parallel(tasks), len(tasks)):
        if len(result) == 2:
            folds[result[0]].append(result[1])
        else:
            name, models[name], settings[name] = result[0], result[1], result[2]
    champion, reason = choose(folds)
    return Trained(_table(competing, folds), champion, reason, models, settings)


def _table(
    competing: Sequence[Candidate], folds: dict[str, list[dict[str, float]]]
) -> list[dict[str, Any]]:
    rows = []
    for candidate in competing:
        row: dict[str, Any] = {"name": candidate.name, "label": candidate.label}
        for metric in METRICS:
            values = np.array([f[metric] for f in folds[candidate.name]])
            row[metric] = {"mean": float(values.mean()), "sd": float(values.std(ddof=1))}
        rows.append(row)
    return rows
