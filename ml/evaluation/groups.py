"""How well probabilities fit one group of rows: calibration and ranking."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from scipy.stats import rankdata

from ml.evaluation.intervals import CONFIDENCE_LEVEL
from ml.evaluation.reports import Estimate

FEWEST_OF_EACH = 10  # good rows, and bad ones, below which no area is given: our own choice


def miscalibration(good: np.ndarray, probability: np.ndarray) -> float:
    """Test whether as many rows are good as their probabilities say.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad.
    probability : ndarray of shape (n_samples,)
        Of being good.

    Returns
    -------
    float
        The two-sided p-value of the number of good rows, whose mean is Σp and whose variance is
        Σp(1 − p) if the probabilities are right, by the normal approximation.
    """
    spread = math.sqrt(float((probability * (1 - probability)).sum()))
    apart = abs(float((good - probability).sum()))
    if not spread:
        return 0.0 if apart else 1.0
    return math.erfc(apart / spread / math.sqrt(2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979).

    Parameters
    ----------
    p_values : sequence of float

    Returns
    -------
    list of float
        In the same order. To reject those of at most α is wrong with probability α at most, be it
        about one of them or about more.
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
        Of being good.

    Returns
    -------
    Estimate or None
        The variance is that of DeLong, DeLong and Clarke-Pearson (1988, "Comparing the areas under
        two or more correlated receiver operating characteristic curves"), the interval normal and
        cut at 0 and 1. None with fewer than `FEWEST_OF_EACH` good or bad rows.
    """
    parts = probability[good == 1], probability[good == 0]
    n_good, n_bad = (len(part) for part in parts)
    if min(n_good, n_bad) < FEWEST_OF_EACH:
        return None
    ranks = rankdata(np.concatenate(parts))
    # Of each good row the share of bad rows below it, of each bad one that of good rows above it.
    below = (ranks[:n_good] - rankdata(parts[0])) / n_bad
    above = 1 - (ranks[n_good:] - rankdata(parts[1])) / n_good
    value = float(below.mean())
    error = math.sqrt(below.var(ddof=1) / n_good + above.var(ddof=1) / n_bad)
    half = NormalDist().inv_cdf((1 + CONFIDENCE_LEVEL) / 2) * error
    return Estimate(value=value, low=max(value - half, 0.0), high=min(value + half, 1.0))
