"""The population stability index: how far a distribution has moved from the training data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

# Customary limits of the index, whatever the number of rows (Siddiqi 2006, "Credit Risk
# Scorecards"): below the first one nothing has changed, above the second one it has.
SLIGHT, LARGE = 0.10, 0.25
BOUND_LEVEL = 0.95  # by convention
# Added to every count if one of them is 0, of which the index has no value (Agresti 2002,
# "Categorical Data Analysis", section 3.1).
FILL = 0.5


@dataclass(frozen=True)
class Stability:
    """A population stability index, and what it may be by chance.

    Attributes
    ----------
    index : float
        0 if the distributions are equal.
    bound : float
        A higher index is rarer than 1 in 20 where nothing has changed.
    rows : int
        The number of rows that were compared with the training data.
    """

    index: float
    bound: float
    rows: int

    @property
    def size(self) -> str:
        """The size of the change: ``none``, ``slight`` or ``large``.

        ``unknown`` if chance alone can reach the limit of a slight change, because of few rows.
        """
        if self.bound > SLIGHT:
            return "unknown"
        if self.index <= SLIGHT:
            return "none"
        return "slight" if self.index <= LARGE else "large"


def stability(expected: Sequence[int], actual: Sequence[int]) -> Stability | None:
    """Compare two distributions over the same bins.

    Parameters
    ----------
    expected : sequence of int of length n_bins
        The number of training rows in each bin.
    actual : sequence of int of length n_bins
        The number of rows in each bin.

    Returns
    -------
    Stability or None
        None if one of them has no rows.
    """
    old, new = (np.array(counts, dtype=float) for counts in (expected, actual))
    rows, seen = int(new.sum()), (old + new) > 0  # a bin that nobody is in says nothing
    if not rows or not old.sum():
        return None
    old, new = old[seen], new[seen]
    bound = stability_bound(old.sum(), rows, bins=len(old))
    if (old == 0).any() or (new == 0).any():
        old, new = old + FILL, new + FILL
    p, q = old / old.sum(), new / new.sum()
    return Stability(float(((q - p) * np.log(q / p)).sum()), bound, rows)


def stability_bound(expected: float, actual: float, *, bins: int) -> float:
    """Return the index that chance exceeds in one of 20 cases, if nothing has changed.

    Without a change, the index is close to (1/N + 1/M) times a chi-squared variable with
    ``bins - 1`` degrees of freedom (Yurdakul 2018, "Statistical Properties of Population Stability
    Index", theorem 3.2).

    Parameters
    ----------
    expected, actual : float
        The numbers of rows N and M.
    bins : int
        At least 1.

    Returns
    -------
    float
    """
    return (1 / expected + 1 / actual) * _chi_squared(bins - 1)


def _chi_squared(freedom: int) -> float:
    """Return the quantile of the chi-squared distribution at `BOUND_LEVEL`.

    For three and more degrees of freedom it is Wilson and Hilferty's approximation (1931, "The
    distribution of chi-square"), which is less than 0.6 % off.
    """
    if freedom < 1:
        return 0.0
    if freedom == 1:
        return NormalDist().inv_cdf((1 + BOUND_LEVEL) / 2) ** 2
    if freedom == 2:
        return -2 * math.log(1 - BOUND_LEVEL)
    part = 2 / (9 * freedom)
    root: float = 1 - part + NormalDist().inv_cdf(BOUND_LEVEL) * math.sqrt(part)
    return freedom * root**3
