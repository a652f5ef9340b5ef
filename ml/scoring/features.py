"""The arithmetic from raw fields to a model's columns, in NumPy alone, for training and scoring."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ml.product.application import Application


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


def transform_one(value: float, transform: str | None) -> float:
    """Apply a field's transform to one value, as `transformed` does to many.

    Parameters
    ----------
    value : float
    transform : {"log", "sqrt"} or None

    Returns
    -------
    float
    """
    if transform == "log":
        return math.copysign(math.log1p(abs(value)), value)
    return math.sqrt(value) if transform == "sqrt" else value


def untransformed(value: float, transform: str | None) -> float:
    """Undo `transform_one`.

    Parameters
    ----------
    value : float
    transform : {"log", "sqrt"} or None

    Returns
    -------
    float
    """
    if transform == "log":
        return math.copysign(math.expm1(abs(value)), value)
    return value**2 if transform == "sqrt" else value


def ratio_one(application: Application, definition: tuple[Any, Any, Any, float, float]) -> float:
    """Compute a ratio of one application, as `ratio` does of many.

    Parameters
    ----------
    application : Application
    definition : (terms, times, over, low, high)

    Returns
    -------
    float
        NaN where an input is missing or a divisor is 0.
    """
    terms, times, over, low, high = definition
    value = 0.0
    for name, weight in terms:
        value += weight * number(application[name])
    for name in times:
        value *= number(application[name])
    for name in over:
        divisor = number(application[name])
        value = value / divisor if divisor else math.nan
    return value if math.isnan(value) else min(max(value, low), high)


def number(value: int | str | None) -> float:
    """Return an answer as a number.

    Parameters
    ----------
    value : int, str or None

    Returns
    -------
    float
        NaN for None.
    """
    return math.nan if value is None else float(value)


def codes_of(column: Iterable[Any], values: list[str], fill: str | None) -> np.ndarray:
    """Return each word's place among the values of its field.

    Parameters
    ----------
    column : iterable of length n_samples
    values : list of str
    fill : str or None
        What stands for a missing word.

    Returns
    -------
    ndarray of shape (n_samples,)
        Of int; -1 for an unseen word.
    """
    places: dict[Any, int] = {value: i for i, value in enumerate(values)}
    filled = places.get(fill, -1)
    words = np.asarray(column, dtype=object)
    return np.array(
        [filled if w is None or w != w else places.get(w, -1) for w in words], dtype=int
    )
