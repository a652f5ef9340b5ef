"""Computes the performance of probabilities and of the decisions that follow from them."""

import math

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    log_loss,
    roc_auc_score,
)

from ml.evaluation.intervals import wilson
from ml.evaluation.reports import (
    Calibration,
    CalibrationBin,
    Comparison,
    CountedFigures,
    Estimate,
    Evidence,
    Figures,
    Judged,
    ThresholdRow,
)

METRICS = tuple(Figures.model_fields)
BINS = 10  # with equal numbers of rows, as in Hosmer and Lemeshow 1980
STEPS = 20  # the table of thresholds has every multiple of 1/20; our own choice


def threshold_for(cost_ratio: float) -> float:
    """Return the lowest probability of being good at which granting costs no more than refusing.

    Parameters
    ----------
    cost_ratio : float
        The cost r of granting a bad loan, divided by the cost of refusing a good one.

    Returns
    -------
    float
        r / (1 + r), the solution p of p = (1 − p)·r (Elkan 2001, "The foundations of cost-sensitive
        learning").
    """
    return cost_ratio / (1 + cost_ratio)


def figures(
    good: np.ndarray, probability: np.ndarray, *, threshold: float, cost_ratio: float
) -> Figures:
    """Compute the metrics of probabilities and of the decisions that follow from them.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad; both must occur.
    probability : ndarray of shape (n_samples,)
        The probabilities of being good.
    threshold : float
        The lowest probability at which a loan is granted.
    cost_ratio : float
        The cost of granting a bad loan, divided by the cost of refusing a good one.

    Returns
    -------
    Figures
    """
    granted = probability >= threshold
    return Figures(
        expected_cost=_expected_cost(good, granted, cost_ratio),
        log_loss=float(log_loss(good, probability, labels=[0, 1])),
        accuracy=float(accuracy_score(good, granted)),
        balanced_accuracy=float(balanced_accuracy_score(good, granted)),
        roc_auc=float(roc_auc_score(good, probability)),
        pr_auc_refused=float(average_precision_score(1 - good, 1 - probability)),
        brier=float(brier_score_loss(good, probability)),
    )


def _expected_cost(good: np.ndarray, granted: np.ndarray, cost_ratio: float) -> float:
    bad_granted, good_refused = granted & (good == 0), ~granted & (good == 1)
    return float(np.mean(cost_ratio * bad_granted + good_refused))


def compare(
    good: np.ndarray, probability: np.ndarray, *, threshold: float, cost_ratio: float
) -> Comparison:
    """Compare decisions with labels, which may be all good or all bad.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad; at least one row.
    probability : ndarray of shape (n_samples,)
        The probabilities of being good.
    threshold : float
        The lowest probability at which a loan is granted.
    cost_ratio : float
        The cost of granting a bad loan, divided by the cost of refusing a good one.

    Returns
    -------
    Comparison
        A figure is None if it needs both good and bad rows and only one kind occurs.
    """
    granted = probability >= threshold
    bad = good == 0
    both = 0 < bad.sum() < len(bad)
    measured = None
    if both:
        measured = figures(good, probability, threshold=threshold, cost_ratio=cost_ratio)
    return Comparison(
        n=len(good),
        expected_cost=_expected_cost(good, granted, cost_ratio),
        log_loss=float(log_loss(good, probability, labels=[0, 1])),
        accuracy=float(np.mean(granted == (good == 1))),
        balanced_accuracy=measured.balanced_accuracy if measured else None,
        roc_auc=measured.roc_auc if measured else None,
        brier=float(np.mean((probability - good) ** 2)),
        recall_refused=float(np.mean(~granted[bad])) if bad.any() else None,
        grant_rate=float(granted.mean()),
        threshold=threshold,
    )


def judged(good: np.ndarray, probability: np.ndarray, *, threshold: float) -> Judged:
    """Compute the accuracy of the decisions on some rows; there may be none.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad.
    probability : ndarray of shape (n_samples,)
        The probabilities of being good.
    threshold : float
        The lowest probability at which a loan is granted.

    Returns
    -------
    Judged
    """
    n = len(good)
    if not n:
        return Judged(n=0, accuracy=None)
    right = int(((probability >= threshold) == good).sum())
    low, high = wilson(right, total=n)
    return Judged(n=n, accuracy=Estimate(value=right / n, low=low, high=high))


def evidence(
    *, good: np.ndarray, probability: np.ndarray, threshold: float, cost_ratio: float
) -> Evidence:
    """Compute the figures, the calibration and the table of thresholds for a model card.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad; both must occur.
    probability : ndarray of shape (n_samples,)
        The probabilities of being good, each by a model that was not fitted on the row.
    threshold : float
        The lowest probability at which a loan is granted.
    cost_ratio : float
        The cost of granting a bad loan, divided by the cost of refusing a good one.

    Returns
    -------
    Evidence
    """
    used = _decided(good, probability, threshold=threshold, cost_ratio=cost_ratio, used=True)
    measured = figures(good, probability, threshold=threshold, cost_ratio=cost_ratio)
    return Evidence(
        figures=CountedFigures(**dict(measured), n=len(good), n_good=int(good.sum())),
        calibration=_calibration(good, probability),
        thresholds=_thresholds(good, probability, used, cost_ratio=cost_ratio),
        threshold=threshold,
        cost_ratio=cost_ratio,
    )


def _calibration(good: np.ndarray, probability: np.ndarray) -> Calibration:
    rising = np.argsort(probability, kind="stable")
    bins = []
    for rows in np.array_split(rising, min(BINS, len(good))):
        n, n_good = len(rows), int(good[rows].sum())
        low, high = wilson(n_good, total=n)
        bins.append(
            CalibrationBin(
                n=n,
                expected=float(probability[rows].mean()),
                observed=n_good / n,
                low=low,
                high=high,
            )
        )
    apart = sum(b.n * abs(b.expected - b.observed) for b in bins)
    return Calibration(bins=tuple(bins), expected_error=apart / len(good))


def _thresholds(
    good: np.ndarray, probability: np.ndarray, used: ThresholdRow, *, cost_ratio: float
) -> tuple[ThresholdRow, ...]:
    steps = [step / STEPS for step in range(1, STEPS)]
    others = [
        _decided(good, probability, threshold=step, cost_ratio=cost_ratio, used=False)
        for step in steps
        if not math.isclose(step, used.threshold)
    ]
    return tuple(sorted([*others, used], key=lambda row: row.threshold))


def _decided(
    good: np.ndarray, probability: np.ndarray, *, threshold: float, cost_ratio: float, used: bool
) -> ThresholdRow:
    """Count the grants and the wrong decisions of a threshold."""
    grants = probability >= threshold
    granted, bad_granted = int(grants.sum()), int((grants & (good == 0)).sum())
    good_refused = int((~grants & (good == 1)).sum())
    cost = cost_ratio * bad_granted + good_refused
    return ThresholdRow(
        threshold=threshold,
        grant_rate=granted / len(good),
        granted=granted,
        bad_granted=bad_granted,
        bad_rate=bad_granted / granted if granted else None,
        good_refused=good_refused,
        cost=cost,
        cost_per_1000=1000 * cost / len(good),
        used=used,
    )
