"""Computes the columns of a model from the raw fields of applications, as a pipeline step."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from ml.product.definition import Product
from ml.product.quantities import Ratio
from ml.scoring.features import ratio, transformed


class Columns(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Transformer from raw fields to the columns of a model; it has nothing to fit.

    Parameters
    ----------
    numbers : sequence of (name, transform)
        The integer fields and flags. ``"log"`` is sign(x)·log(1+|x|), ``"sqrt"`` the square root,
        None the value itself.
    ratios : sequence of (name, sum, times, over, minimum, maximum)
        The quantities computed from fields. A missing input or a divisor of 0 gives a missing
        value.
    choices : sequence of str
        The choice fields.

    Notes
    -----
    The parameters are tuples and not a `Product`, so that an old model can be unpickled after that
    class has changed.
    """

    def __init__(
        self,
        numbers: Sequence[tuple[str, str | None]],
        ratios: Sequence[tuple[str, Any, Any, Any, float, float]],
        choices: Sequence[str],
    ) -> None:
        self.numbers = numbers
        self.ratios = ratios
        self.choices = choices

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Do nothing.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_fields)
            Ignored.
        y : object
            Ignored.

        Returns
        -------
        Columns
        """
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Return that the transformer is always fitted."""
        return True

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803 - scikit-learn's name
        """Compute the columns.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_fields)
            Raw fields; fields that no column uses are ignored.

        Returns
        -------
        DataFrame of shape (n_samples, n_columns)
            Numbers as float64 and choices as objects, both with NaN for a missing value.
        """
        out: dict[str, object] = {}
        for name, transform in self.numbers:
            out[name] = transformed(as_floats(X[name]), transform)
        for name, terms, times, over, low, high in self.ratios:
            factors = {n: as_floats(X[n]) for n in (*(n for n, _ in terms), *times, *over)}
            out[name] = ratio(factors, terms=terms, times=times, over=over, bounds=(low, high))
        for name in self.choices:
            answers = X[name].astype(object)
            out[name] = answers.where(answers.notna(), np.nan)
        return pd.DataFrame(out, index=X.index)


def as_floats(column: pd.Series) -> np.ndarray:
    """Return a column of numbers as float64.

    Parameters
    ----------
    column : Series of shape (n_samples,)

    Returns
    -------
    ndarray of shape (n_samples,)
        NaN for a missing value.
    """
    return pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)


def columns_of(product: Product) -> Columns:
    """Return the transformer to the columns of a product's models.

    Parameters
    ----------
    product : Product

    Returns
    -------
    Columns
        It uses no protected field.
    """
    numbers = tuple((f.name, f.transform) for f in product.inputs if f.kind != "choice")
    choices = tuple(f.name for f in product.inputs if f.kind == "choice")
    return Columns(numbers, tuple(_plain(r) for r in product.ratios), choices)


def _plain(r: Ratio) -> tuple[str, Any, Any, Any, float, float]:
    return (r.name, tuple(r.sum.items()), r.times, r.over, r.minimum, r.maximum)
