"""How well a model has done, once it is known which loans were good."""

import math
from dataclasses import dataclass

import numpy as np

from ml.monitoring.logistic import fit_line, log_odds

# Good and bad loans, from which on the difference of two areas is nearly normal. Our own choice.
MIN_EACH = 30


@dataclass(frozen=True)
class Realised:
    """Figures of loans with a known outcome.

    Attributes
    ----------
    outcomes, good : int
        The number of loans, and of good ones.
    expected : float
        The number of good loans that the probabilities promised: their sum.
    brier : float
        The mean squared difference between the probability and the outcome (1 for good); lower is
        better.
    roc_auc : float or None
        How often a good loan has a higher probability than a bad one; None if all are equal.
    slope : float or None
        Of the log-odds of being good over those that were stated (Cox 1958, "Two further
        applications of a model for binary regression"). 1 if calibrated; below 1, the probabilities
        are too extreme. None if all loans are of one kind.
    """

    outcomes: int
    good: int
    expected: float
    brier: float
    roc_auc: float | None
    slope: float | None


@dataclass(frozen=True)
class Ranking:
    """How well a model ranks loans, compared with the training rows.

    Attributes
    ----------
    roc_auc, in_training : float
        Of the loans, and of the training rows that would have been granted.
    worse : float
        How much lower the first one is, in standard errors of the difference.
    """

    roc_auc: float
    in_training: float
    worse: float


def realised(probability: np.ndarray, good: np.ndarray) -> Realised:
    """Compute the figures of loans with a known outcome.

    Parameters
    ----------
    probability : ndarray of shape (n_samples,)
        The probabilities of being good when the loans were granted; at least one.
    good : ndarray of shape (n_samples,)
        Of bool.

    Returns
    -------
    Realised
    """
    return Realised(
        outcomes=len(good),
        good=int(good.sum()),
        expected=float(probability.sum()),
        brier=float(np.mean((probability - good) ** 2)),
        roc_auc=roc_auc(probability, good),
        slope=_slope(probability, good),
    )


def ranking(
    probability: np.ndarray, good: np.ndarray, *, reference: tuple[np.ndarray, np.ndarray]
) -> Ranking | None:
    """Compare how well a model ranks loans with how well it ranked training rows.

    Parameters
    ----------
    probability : ndarray of shape (n_samples,)
    good : ndarray of shape (n_samples,)
        Of bool.
    reference : (ndarray of shape (n_rows,), ndarray of shape (n_rows,))
        The same of the training rows that would have been granted.

    Returns
    -------
    Ranking or None
        None if the loans, or the training rows, have fewer than `MIN_EACH` of one kind.
    """
    numbers = [(int(labels.sum()), int((~labels).sum())) for labels in (good, reference[1])]
    now, before = roc_auc(probability, good), roc_auc(*reference)
    if now is None or before is None or min(map(min, numbers)) < MIN_EACH:
        return None
    # The area of the training rows in both errors, because the question is whether it still holds.
    apart = math.hypot(*(_standard_error(before, *both) for both in numbers))
    return Ranking(now, before, (before - now) / apart if apart else 0.0)


def _standard_error(area: float, n_good: int, n_bad: int) -> float:
    """Return that of an area under the ROC curve.

    Source: Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", equation 2.
    """
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area)
    variance += (n_good - 1) * (first - area**2) + (n_bad - 1) * (second - area**2)
    return math.sqrt(max(variance, 0.0) / (n_good * n_bad))


def _slope(probability: np.ndarray, good: np.ndarray) -> float | None:
    if good.all() or not good.any():
        return None
    return fit_line(log_odds(probability), good.astype(float)).slope


def roc_auc(probability: np.ndarray, good: np.ndarray) -> float | None:
    """Compute the area under the ROC curve: how often a good loan is ranked above a bad one.

    Parameters
    ----------
    probability : ndarray of shape (n_samples,)
        By which loans are ranked; equal ones count as half.
    good : ndarray of shape (n_samples,)
        1 or True for good, 0 or False for bad. Probabilities give the expected area.

    Returns
    -------
    float or None
        None if all loans are of one kind.
    """
    _, places = np.unique(probability, return_inverse=True)
    bad = np.bincount(places, weights=1.0 - good)
    below = np.cumsum(bad) - bad / 2
    with_itself = float((good * (1.0 - good)).sum())  # a loan is not compared with itself
    pairs = float(np.sum(good)) * float(bad.sum()) - with_itself
    if pairs <= 0:
        return None
    return (float((good * below[places]).sum()) - with_itself / 2) / pairs
