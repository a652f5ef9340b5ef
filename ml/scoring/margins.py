"""Computes the margins of models stored as arrays: linear models with curves, and RBF kernels."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np

# Limits the memory of the kernel matrix: 14 MB for 1,700 vectors. Measured with one thread and with
# two, 64 to 2,048 rows differ in time by a factor of two at most.
CHUNK_ROWS = 1024


class LinearMargin:
    """A margin that is a sum over columns: curves for the first ones, weights for the others.

    Parameters
    ----------
    arrays : dict of str to ndarray
        ``weights``, ``intercept`` and, for each curve i, ``breaks_i`` of shape (n_breaks,) and
        ``pieces_i`` of shape (degree + 1, n_breaks - 1), the highest power first.
    curves : int
        The number of columns with a curve. A curve is a piecewise polynomial, constant beyond its
        first and its last break.

    Attributes
    ----------
    curves : list of (ndarray, ndarray)
        The breaks and the pieces of each curve.
    weights : ndarray of shape (n_columns - n_curves,)
    intercept : float
    """

    def __init__(self, arrays: dict[str, np.ndarray], *, curves: int) -> None:
        self.curves = [(arrays[f"breaks_{i}"], arrays[f"pieces_{i}"]) for i in range(curves)]
        self.weights = arrays["weights"]
        self.intercept = float(arrays["intercept"])
        self._weights = self.weights.tolist()
        self._curves = [_OneCurve(*curve) for curve in self.curves]

    def one(self, row: Sequence[float]) -> float:
        """Return the margin of one row of columns.

        Parameters
        ----------
        row : sequence of float of length n_columns

        Returns
        -------
        float
        """
        return self.intercept + sum(self.terms_of_one(row))

    def terms_of_one(self, row: Sequence[float]) -> list[float]:
        """Return what each column of one row adds to the margin.

        Parameters
        ----------
        row : sequence of float of length n_columns

        Returns
        -------
        list of float of length n_columns
        """
        terms = [curve(value) for curve, value in zip(self._curves, row, strict=False)]
        return terms + [w * v for w, v in zip(self._weights, row[len(terms) :], strict=True)]

    def many(
        self,
        scaled: list[np.ndarray],
        absent: list[np.ndarray],
        choices: list[tuple[np.ndarray, int]],
    ) -> np.ndarray:
        """Return the margins of many rows, which are given by column.

        Parameters
        ----------
        scaled, absent : list of ndarray of shape (n_samples,)
            Normalised numbers, and indicators of missing ones.
        choices : list of (ndarray of shape (n_samples,), int)
            For each choice, the index of its value, -1 for one not seen in training, and the number
            of its values.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        codes = [code for code, _ in choices]
        margin = np.full(len((scaled or absent or codes)[0]), self.intercept)
        for value, curve in zip(scaled, self.curves, strict=False):
            margin += _curve(value, *curve)
        weighted = [*scaled[len(self.curves) :], *absent]
        for weight, value in zip(self._weights, weighted, strict=False):
            margin += weight * value
        start = len(weighted)
        for code, count in choices:
            # The code -1 of an unseen value selects the appended weight 0.
            margin += np.append(self.weights[start : start + count], 0.0)[code]
            start += count
        return margin

    def terms(self, matrix: np.ndarray) -> np.ndarray:
        """Return what each column adds to the margin.

        Parameters
        ----------
        matrix : ndarray of shape (n_samples, n_columns)

        Returns
        -------
        ndarray of shape (n_samples, n_columns)
            The margin is the intercept plus their sum.
        """
        count = len(self.curves)
        curved = [_curve(matrix[:, i], *curve) for i, curve in enumerate(self.curves)]
        return np.column_stack([*curved, matrix[:, count:] * self.weights])


class KernelMargin:
    """A margin that is a weighted sum of RBF kernels around support vectors.

    Parameters
    ----------
    arrays : dict of str to ndarray
        ``vectors`` of shape (n_vectors, n_columns), ``dual`` of shape (n_vectors,), ``intercept``
        and ``gamma``.

    Attributes
    ----------
    vectors : ndarray of shape (n_vectors, n_columns)
    dual : ndarray of shape (n_vectors,)
    intercept, gamma : float
    """

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.vectors, self.dual = arrays["vectors"], arrays["dual"]
        self.intercept, self.gamma = float(arrays["intercept"]), float(arrays["gamma"])
        # -g|x - v|² = 2g x·v - g|v|² - g|x|²
        self._scaled_vectors = np.asfortranarray((2 * self.gamma * self.vectors).T)
        self._vector_norms = -self.gamma * (self.vectors * self.vectors).sum(axis=1)

    def one(self, row: Sequence[float]) -> float:
        """Return the margin of one row of columns.

        Parameters
        ----------
        row : sequence of float of length n_columns

        Returns
        -------
        float
        """
        return float(self._chunk(np.array([row]))[0])

    def many(self, matrix: np.ndarray) -> np.ndarray:
        """Return the margins of many rows.

        Parameters
        ----------
        matrix : ndarray of shape (n_samples, n_columns)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        starts = range(0, len(matrix), CHUNK_ROWS)
        chunks = [self._chunk(matrix[start : start + CHUNK_ROWS]) for start in starts]
        return np.concatenate(chunks or [np.empty(0)])

    def _chunk(self, matrix: np.ndarray) -> np.ndarray:
        kernel = matrix @ self._scaled_vectors
        kernel += self._vector_norms
        kernel -= self.gamma * np.einsum("ij,ij->i", matrix, matrix)[:, None]
        np.exp(kernel, out=kernel)
        margin: np.ndarray = kernel @ self.dual + self.intercept
        return margin


class _OneCurve:
    """A curve for one value at a time, with the same results as `_curve`."""

    def __init__(self, breaks: np.ndarray, pieces: np.ndarray) -> None:
        self._breaks: list[float] = breaks.tolist()
        self._pieces: list[list[float]] = pieces.T.tolist()
        self._lowest, self._highest = self._breaks[0], self._breaks[-1]
        self._first, self._last = map(float, _curve(breaks[[0, -1]], breaks, pieces))

    def __call__(self, value: float) -> float:
        if value <= self._lowest:
            return self._first
        if value >= self._highest:
            return self._last
        piece = bisect_right(self._breaks, value) - 1
        offset, term = value - self._breaks[piece], 0.0
        for coefficient in self._pieces[piece]:
            term = term * offset + coefficient
        return term


def _curve(value: np.ndarray, breaks: np.ndarray, pieces: np.ndarray) -> np.ndarray:
    clipped = np.clip(value, breaks[0], breaks[-1])
    piece = np.minimum(np.searchsorted(breaks, clipped, side="right"), pieces.shape[1]) - 1
    offset, term = clipped - breaks[piece], np.zeros(len(clipped))
    for coefficients in pieces:
        term = term * offset + coefficients[piece]
    return term


Margin = LinearMargin | KernelMargin


def read_margin(arrays: dict[str, np.ndarray], layout: dict[str, Any]) -> Margin | None:
    """Return the margin that the arrays of a bundle define.

    Parameters
    ----------
    arrays : dict of str to ndarray
    layout : dict
        The description of the arrays that `ml.training.export` writes.

    Returns
    -------
    LinearMargin, KernelMargin or None
        None for a model that has no array form; only its pipeline can score.
    """
    if layout["kind"] == "linear":
        return LinearMargin(arrays, curves=layout["curves"])
    return KernelMargin(arrays) if layout["kind"] == "rbf" else None
