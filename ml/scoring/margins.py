"""The margins of the models that have an array form: linear on curves, and the RBF kernel."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np

# Rows at a time, so that the kernel's intermediate matrix stays small: 14 MB for 1,700 vectors.
# Measured, with one thread and with two: 64 to 2,048 rows differ by a factor of two at most.
CHUNK = 1024


class LinearMargin:
    """A sum over columns: curves of the first ones, weights of the others.

    Parameters
    ----------
    arrays : dict of str to ndarray
        ``weights``, ``intercept`` and, for each curve i, ``breaks_i`` of shape (n_breaks,) and
        ``pieces_i`` of shape (degree + 1, n_breaks - 1), the highest power first.
    curves : int
        How many columns have a curve.

    Attributes
    ----------
    curves : list of (ndarray, ndarray)
        Breaks and pieces.
    weights : ndarray of shape (n_columns - n_curves,)
    intercept : float
    """

    def __init__(self, arrays: dict[str, np.ndarray], *, curves: int) -> None:
        self.curves = [(arrays[f"breaks_{i}"], arrays[f"pieces_{i}"]) for i in range(curves)]
        self.weights = arrays["weights"]
        self.intercept = float(arrays["intercept"])
        self._weights = self.weights.tolist()
        self._curves = [(breaks.tolist(), pieces.T.tolist()) for breaks, pieces in self.curves]

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
        terms = []
        for value, (breaks, pieces) in zip(row, self._curves, strict=False):
            inside = min(max(value, breaks[0]), breaks[-1])
            at = min(bisect_right(breaks, inside), len(pieces)) - 1
            step, total = inside - breaks[at], 0.0
            for coefficient in pieces[at]:
                total = total * step + coefficient
            terms.append(total)
        bent = len(terms)
        return terms + [w * v for w, v in zip(self._weights, row[bent:], strict=True)]

    def many(
        self,
        scaled: list[np.ndarray],
        absent: list[np.ndarray],
        words: list[tuple[np.ndarray, int]],
    ) -> np.ndarray:
        """Return the margins of many rows, column by column.

        Parameters
        ----------
        scaled, absent : list of ndarray of shape (n_samples,)
            Normalised numbers, and indicators of missing ones.
        words : list of (ndarray of shape (n_samples,), int)
            Of each choice the place of its word, -1 for an unseen one, and how many words it has.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        codes = [code for code, _ in words]
        margin = np.full(len((scaled or absent or codes)[0]), self.intercept)
        for value, curve in zip(scaled, self.curves, strict=False):
            margin += _curve(value, *curve)
        plain = [*scaled[len(self.curves) :], *absent]
        for weight, value in zip(self._weights, plain, strict=False):
            margin += weight * value
        at = len(plain)
        for code, count in words:
            # One place more than there are words: an unseen word has code -1 and weight 0.
            margin += np.append(self.weights[at : at + count], 0.0)[code]
            at += count
        return margin

    def terms(self, matrix: np.ndarray) -> np.ndarray:
        """Return what each column adds to the margin.

        Parameters
        ----------
        matrix : ndarray of shape (n_samples, n_columns)

        Returns
        -------
        ndarray of shape (n_samples, n_columns)
            Their sum and the intercept are the margin.
        """
        count = len(self.curves)
        bent = [_curve(matrix[:, i], *curve) for i, curve in enumerate(self.curves)]
        return np.column_stack([*bent, matrix[:, count:] * self.weights])


class KernelMargin:
    """A weighted sum of RBF kernels around support vectors.

    Parameters
    ----------
    arrays : dict of str to ndarray
        ``vectors`` of shape (n_vectors, n_columns), ``dual`` of shape (n_vectors,), ``intercept``
        and ``gamma``.

    Attributes
    ----------
    vectors, dual : ndarray
    intercept, gamma : float
    """

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.vectors, self.dual = arrays["vectors"], arrays["dual"]
        self.intercept, self.gamma = float(arrays["intercept"]), float(arrays["gamma"])
        # exp(-g|x - v|²) = exp(2g x·v - g|v|²) · exp(-g|x|²)
        self._twice = np.asfortranarray((2 * self.gamma * self.vectors).T)
        self._lengths = -self.gamma * (self.vectors * self.vectors).sum(axis=1)

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
        parts = [self._chunk(matrix[i : i + CHUNK]) for i in range(0, len(matrix), CHUNK)]
        return np.concatenate(parts or [np.empty(0)])

    def _chunk(self, matrix: np.ndarray) -> np.ndarray:
        kernel = matrix @ self._twice
        kernel += self._lengths
        kernel -= self.gamma * np.einsum("ij,ij->i", matrix, matrix)[:, None]
        np.exp(kernel, out=kernel)
        margin: np.ndarray = kernel @ self.dual + self.intercept
        return margin


def _curve(value: np.ndarray, breaks: np.ndarray, pieces: np.ndarray) -> np.ndarray:
    inside = np.clip(value, breaks[0], breaks[-1])
    at = np.minimum(np.searchsorted(breaks, inside, side="right"), pieces.shape[1]) - 1
    step, total = inside - breaks[at], np.zeros(len(inside))
    for row in pieces:
        total = total * step + row[at]
    return total


Margin = LinearMargin | KernelMargin


def read_margin(arrays: dict[str, np.ndarray], layout: dict[str, Any]) -> Margin | None:
    """Return the margin that a bundle's arrays hold.

    Parameters
    ----------
    arrays : dict of str to ndarray
    layout : dict
        What the export says of them.

    Returns
    -------
    LinearMargin, KernelMargin or None
        None where only the pipeline itself can tell.
    """
    if layout["kind"] == "linear":
        return LinearMargin(arrays, curves=layout["curves"])
    return KernelMargin(arrays) if layout["kind"] == "rbf" else None
