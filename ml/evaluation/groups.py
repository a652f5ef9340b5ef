"""Tests the calibration and measures the ranking of probabilities within groups of rows."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from scipy.stats import rankdata

from ml.evaluation.intervals import CONFIDENCE_LEVEL
from ml.evaluation.reports import Estimate

FEWEST_OF_EACH = 10  # good rows, and bad rows, that a ROC-AUC needs; our own choice


def miscalibration(good: np.ndarray, probability: np.ndarray) -> float:
    """Test whether the number of good rows agrees with the probabilities.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad.
    probability : ndarray of shape (n_samples,)
        The probabilities of being good.

    Returns
    -------
    float
        The two-sided p-value, by the normal approximation. If the probabilities are right, the
        number of good rows has the mean Σp and the variance Σp(1 − p).
    """
    deviation = math.sqrt(float((probability * (1 - probability)).sum()))
    difference = abs(float((good - probability).sum()))
    if not deviation:
        return 0.0 if difference else 1.0
    return math.erfc(difference / deviation / math.sqrt(2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple tests by Holm's method.

    Parameters
    ----------
    p_values : sequence of float

    Returns
    -------
    list of float
        The corrected p-values in the same order. If every hypothesis with a corrected p-value of at
        most α is rejected, the probability that any true one is rejected is at most α (Holm 1979,
        "A simple sequentially rejective multiple test procedure").
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for place, i in enumerate(order):
        highest = max(highest, min((len(order) - place) * p_values[i], 1.0))
        corrected[i] = highest
    return corrected


def area(good: np.ndarray, probability: np.ndarray) -> Estimate | None:
    """Return the area under a group's ROC curve with its interval.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad.
    probability : ndarray of shape (n_samples,)
        The probabilities of being good.

    Returns
    -------
    Estimate or None
        The area with a normal interval, clipped to 0 and 1, from the variance of DeLong, DeLong and
        Clarke-Pearson (1988, "Comparing the areas under two or more correlated receiver operating
        characteristic curves"). None with fewer than `FEWEST_OF_EACH` good or bad rows.
    """
    parts = probability[good == 1], probability[good == 0]
    n_good, n_bad = (len(part) for part in parts)
    if min(n_good, n_bad) < FEWEST_OF_EACH:
        return None
    ranks = rankdata(np.concatenate(parts))
    # For each good row, the share of bad rows below it; for each bad row, of good rows above it.
    below = (ranks[:n_good] - rankdata(parts[0])) / n_bad
    above = 1 - (ranks[n_good:] - rankdata(parts[1])) / n_good
    value = float(below.mean())
    error = math.sqrt(below.var(ddof=1) / n_good + above.var(ddof=1) / n_bad)
    half = NormalDist().inv_cdf((1 + CONFIDENCE_LEVEL) / 2) * error
    return Estimate(value=value, low=max(value - half, 0.0), high=min(value + half, 1.0))
