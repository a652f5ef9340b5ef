"""The interval in which a share may lie when only so many cases have been seen."""

import math
from statistics import NormalDist

CONFIDENCE = 0.95


def wilson(count: int, *, total: int) -> tuple[float, float]:
    """Return Wilson's interval of a share (1927), which never leaves 0 to 1.

    Parameters
    ----------
    count : int
        The cases in which it was so.
    total : int
        All cases, at least one.

    Returns
    -------
    (float, float)
        The lowest and the highest share that 95 % confidence leaves.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, weight = count / total, z * z / total
    centre = share + weight / 2
    half = math.sqrt(weight * (share * (1 - share) + weight / 4))
    low, high = (centre - half) / (1 + weight), (centre + half) / (1 + weight)
    return low if count else 0.0, high if count < total else 1.0  # rounding would miss the ends
