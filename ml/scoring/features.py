"""The arithmetic from raw fields to a model's columns, in NumPy alone, for training and scoring."""

from collections.abc import Mapping, Sequence

import numpy as np


def transformed(values: np.ndarray, transform: str | None) -> np.ndarray:
    """Apply a field's transform.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
    transform : {"log", "sqrt"} or None

    Returns
    -------
    ndarray of shape (n_samples,)
        ``"log"`` is sign(x)·log(1+|x|), ``"sqrt"`` the square root, None the values themselves.
    """
    if transform == "log":
        logarithm: np.ndarray = np.sign(values) * np.log1p(np.abs(values))
        return logarithm
    return np.sqrt(values) if transform == "sqrt" else values


def ratio(
    fields: Mapping[str, np.ndarray],
    *,
    terms: Sequence[tuple[str, float]],
    times: Sequence[str],
    over: Sequence[str],
    bounds: tuple[float, float],
) -> np.ndarray:
    """Compute a ratio.

    Parameters
    ----------
    fields : mapping of str to ndarray of shape (n_samples,)
        The fields it is computed from.
    terms, times, over
        Its weighted sum, its factors and its divisors.
    bounds : (float, float)
        What it is clipped to.

    Returns
    -------
    ndarray of shape (n_samples,)
        NaN where an input is missing or a divisor is 0.
    """
    value = sum(weight * fields[name] for name, weight in terms)
    for name in times:
        value = value * fields[name]
    for name in over:
        divisor = fields[name]
        value = value / np.where(divisor == 0, np.nan, divisor)
    return np.clip(value, *bounds)
