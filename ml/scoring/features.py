"""Computes a model's columns from raw fields, with NumPy alone, for training and scoring."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ml.product.application import Application


def transformed(values: np.ndarray, transform: str | None) -> np.ndarray:
    """Apply the transform of a field.

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
    """Compute a ratio: a weighted sum of fields, multiplied and divided by other fields.

    Parameters
    ----------
    fields : mapping of str to ndarray of shape (n_samples,)
        At least the fields that the ratio is computed from.
    terms : sequence of (str, float)
        The fields of the sum with their weights.
    times, over : sequence of str
        The fields that multiply the sum, and those that divide it.
    bounds : (float, float)
        The lowest and the highest value; others are clipped to them.

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
    """Apply the transform of a field to one value, as `transformed` does to many.

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
    """Apply the inverse of `transform_one`.

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
    """Compute a ratio of one application, as `ratio` does for many.

    Parameters
    ----------
    application : Application
    definition : (terms, times, over, low, high)
        As for `ratio`; ``low`` and ``high`` are the bounds.

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
    """Return the value of a field as a number.

    Parameters
    ----------
    value : int, str or None

    Returns
    -------
    float
        NaN for None.

    Raises
    ------
    ValueError
        The value is a text that is not a number.
    """
    return math.nan if value is None else float(value)


def codes_of(column: Iterable[Any], values: list[str], fill: str | None) -> np.ndarray:
    """Return the index of each answer to a choice field among the field's values.

    Parameters
    ----------
    column : iterable of length n_samples
        The answers; None or NaN for a missing one.
    values : list of str
        The values of the field.
    fill : str or None
        The value to use for a missing answer.

    Returns
    -------
    ndarray of shape (n_samples,)
        Of int; -1 for an answer that is not among the values.
    """
    indices: dict[Any, int] = {value: i for i, value in enumerate(values)}
    filled = indices.get(fill, -1)
    answers = np.asarray(column, dtype=object)
    return np.array(
        [filled if a is None or a != a else indices.get(a, -1) for a in answers], dtype=int
    )
