"""How well a model has done, once it is known which loans were good."""

from dataclasses import dataclass

import numpy as np


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
    """

    outcomes: int
    good: int
    expected: float
    brier: float
    roc_auc: float | None


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
        roc_auc=_roc_auc(probability, good),
    )


def _roc_auc(probability: np.ndarray, good: np.ndarray) -> float | None:
    """Return the area under the ROC curve from the ranks (Hanley and McNeil 1982)."""
    n_good, n_bad = int(good.sum()), int((~good).sum())
    if not n_good or not n_bad:
        return None
    _, inverse, counts = np.unique(probability, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]  # the mean rank of equal probabilities
    return float((ranks[good].sum() - n_good * (n_good + 1) / 2) / (n_good * n_bad))
