"""Confidence intervals of proportions and of their differences."""

import math
from statistics import NormalDist

from ml.evaluation.reports import Estimate

CONFIDENCE_LEVEL = 0.95


def wilson(count: int, *, total: int) -> tuple[float, float]:
    """Return the score interval of a proportion (Wilson 1927), which stays within 0 and 1.

    Parameters
    ----------
    count : int
        The number of cases that have the property.
    total : int
        The number of all cases, at least one.

    Returns
    -------
    (float, float)
        The lower and the upper bound at `CONFIDENCE_LEVEL`.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE_LEVEL) / 2)
    share, weight = count / total, z * z / total
    centre = share + weight / 2
    half = math.sqrt(weight * (share * (1 - share) + weight / 4))
    low, high = (centre - half) / (1 + weight), (centre + half) / (1 + weight)
    # Rounding errors would leave the exact bounds 0 and 1 just missed.
    return low if count else 0.0, high if count < total else 1.0


def difference(own: Estimate, base: Estimate) -> Estimate:
    """Return a proportion less another of other cases, by Newcombe's hybrid score (1998).

    Parameters
    ----------
    own, base : Estimate
        With the intervals of `wilson`.

    Returns
    -------
    Estimate
    """
    value = own.value - base.value
    below = math.hypot(own.value - own.low, base.high - base.value)
    above = math.hypot(own.high - own.value, base.value - base.low)
    return Estimate(value=value, low=value - below, high=value + above)
