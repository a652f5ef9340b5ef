"""Computes confidence intervals of proportions and of their differences."""

import math
from statistics import NormalDist

from ml.evaluation.fairness_reports import Ratio
from ml.evaluation.reports import Estimate

CONFIDENCE_LEVEL = 0.95  # by convention


def wilson(count: int, *, total: int) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion, which is always between 0 and 1.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Parameters
    ----------
    count : int
        The number of cases with the property.
    total : int
        The number of all cases, at least 1.

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
    # The bounds 0 and 1 are exact in these cases, but rounding errors would change them slightly.
    return low if count else 0.0, high if count < total else 1.0


def difference(own: Estimate, base: Estimate) -> Estimate:
    """Return the difference of the proportions of two independent groups, with its interval.

    The interval is Newcombe's hybrid score interval (Newcombe 1998, "Interval estimation for the
    difference between independent proportions", method 10).

    Parameters
    ----------
    own, base : Estimate
        The two proportions with the intervals of `wilson`.

    Returns
    -------
    Estimate
        `own` minus `base`.
    """
    value = own.value - base.value
    below = math.hypot(own.value - own.low, base.high - base.value)
    above = math.hypot(own.high - own.value, base.value - base.low)
    return Estimate(value=value, low=value - below, high=value + above)


def ratio(own: int, own_total: int, base: int, base_total: int) -> Ratio:
    """Return the ratio of the proportions of two independent groups, with its interval.

    The interval is Katz's on the logarithm (Katz, Baptista, Azen and Pike 1978, "Obtaining
    confidence intervals for the risk ratio in cohort studies").

    Parameters
    ----------
    own, base : int
        The numbers of cases with the property; `base` at least 1.
    own_total, base_total : int
        The numbers of all cases, at least 1.

    Returns
    -------
    Ratio
        `own` over `base`. The interval has no bounds if no case of the group has the property, and
        no width if every case of both groups has it: the bounds are None then.
    """
    value = (own / own_total) / (base / base_total)
    if not own or (own, base) == (own_total, base_total):
        return Ratio(value=value, low=None, high=None)
    error = math.sqrt(1 / own - 1 / own_total + 1 / base - 1 / base_total)
    half = NormalDist().inv_cdf((1 + CONFIDENCE_LEVEL) / 2) * error
    return Ratio(value=value, low=value * math.exp(-half), high=value * math.exp(half))
