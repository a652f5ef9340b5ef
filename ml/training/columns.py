"""The columns that a model sees, from the raw fields of applications."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from ml.product.definition import Product
from ml.product.quantities import Ratio
from ml.scoring.features import ratio, transformed


class Columns(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """The columns of a model from the raw fields of applications; it learns nothing.

    Parameters
    ----------
    numbers : sequence of (name, transform)
        Fields that hold numbers. ``"log"`` is sign(x)·log(1+|x|), ``"sqrt"`` the square root,
        None the value.
    ratios : sequence of (name, sum, times, over, minimum, maximum)
        Quantities computed from fields. Missing or zero divisors give a missing value, never an
        infinite one.
    choices : sequence of str
        Fields that hold one of several words.

    Notes
    -----
    It holds plain tuples and no `Product`, so that an old model can be opened whatever a product
    looks like by then.
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
        """Learn nothing.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_fields)
            Raw fields.
        y : object
            Ignored.

        Returns
        -------
        Columns
        """
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Say that there is nothing to fit."""
        return True

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803 - scikit-learn's name
        """Compute the columns.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_fields)
            Raw fields; others are ignored.

        Returns
        -------
        DataFrame of shape (n_samples, n_columns)
            Numbers as float64 with NaN for missing, choices as objects with NaN for missing.
        """
        out: dict[str, object] = {}
        for name, transform in self.numbers:
            out[name] = transformed(as_floats(X[name]), transform)
        for name, terms, times, over, low, high in self.ratios:
            factors = {n: as_floats(X[n]) for n in (*(n for n, _ in terms), *times, *over)}
            out[name] = ratio(factors, terms=terms, times=times, over=over, bounds=(low, high))
        for name in self.choices:
            words = X[name].astype(object)
            out[name] = words.where(words.notna(), np.nan)
        return pd.DataFrame(out, index=X.index)


def as_floats(column: pd.Series) -> np.ndarray:
    """Return a column of numbers with NaN for missing.

    Parameters
    ----------
    column : Series of shape (n_samples,)

    Returns
    -------
    ndarray of shape (n_samples,)
        float64.
    """
    return pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)


def columns_of(product: Product) -> Columns:
    """Return the columns that a product's models see.

    Parameters
    ----------
    product : Product

    Returns
    -------
    Columns
        Without any protected field.
    """
    numbers = tuple((f.name, f.transform) for f in product.inputs if f.kind != "choice")
    choices = tuple(f.name for f in product.inputs if f.kind == "choice")
    return Columns(numbers, tuple(_plain(r) for r in product.ratios), choices)


def _plain(r: Ratio) -> tuple[str, Any, Any, Any, float, float]:
    return (r.name, tuple(r.sum.items()), r.times, r.over, r.minimum, r.maximum)
