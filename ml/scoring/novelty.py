"""Measures how far an application is from the training rows of a model."""

import io
import math
from collections.abc import Sequence

import numpy as np

NEIGHBOURS = 5  # our own choice: a single odd training row makes no application usual
# A squared distance below this share of the application's squared length is computed again from
# differences, because |r|² - 2 r·a + |a|² has lost most of its digits there. The error of any other
# distance is then at most about 1e-12 of that length. Our own choice.
NEAR = 1e-6
# Their squared distances to the training rows of the bundle then fit into a processor cache.
CHUNK_ROWS = 64


class Novelty:
    """Measures the novelty of applications.

    The distance of an application is the Euclidean distance to its fifth nearest training row, in
    the columns of the model: a number counts in standard deviations, and a different value of a
    choice counts √2. An application is far from the training rows if its distance exceeds the
    limit that `ml.training.reference` computes, or if one number lies outside the usual range of
    the training rows. The second test is needed for fields with long tails: they make the
    distances between training rows so large that one extreme number does not exceed the limit.

    Parameters
    ----------
    content : bytes
        The content of a bundle's ``novelty.npz``: ``rows`` of shape (n_rows, n_columns), ``limit``,
        and the usual range of the numbers, which are the first columns: ``lowest`` and ``highest``
        of shape (n_numbers,).

    Attributes
    ----------
    limit : float
        The distance above which an application is far from the training rows.

    Raises
    ------
    ValueError
        The limit is not a positive number.
    """

    def __init__(self, content: bytes) -> None:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            rows = arrays["rows"]
            self.limit = float(arrays["limit"])
            self._lowest, self._highest = arrays["lowest"], arrays["highest"]
        self._ranges = list(zip(self._lowest.tolist(), self._highest.tolist(), strict=True))
        if not 0 < self.limit < math.inf:
            raise ValueError("the limit of the distance must be a positive number")
        # One matrix-vector product gives |r|² - 2 r·a for each training row r. By columns, BLAS
        # computes it faster.
        lengths = np.einsum("ij,ij->i", rows, rows)
        self._products = np.asfortranarray(np.column_stack([-2 * rows, lengths]))
        self._last = min(NEIGHBOURS, len(rows)) - 1

    def distance(self, row: list[float]) -> float:
        """Return the distance of an application to its fifth nearest training row.

        Parameters
        ----------
        row : list of float of length n_columns
            The attribute ``row`` of `ml.scoring.scorer.Score`.

        Returns
        -------
        float
            With fewer than five training rows, the distance to the farthest one.
        """
        squares = np.dot(self._products, np.array([*row, 1.0]))
        squares.partition(self._last)
        length = sum([value * value for value in row])
        square = squares.item(self._last) + length
        return self._small_distance(np.array(row)) if square <= NEAR * length else math.sqrt(square)

    def measure(self, row: list[float]) -> float:
        """Return the novelty of an application.

        Parameters
        ----------
        row : list of float of length n_columns
            The attribute ``row`` of the application's `ml.scoring.scorer.Score`.

        Returns
        -------
        float
            The distance divided by the limit. If a number is outside its usual range, at least 1
            plus the excess in standard deviations. Above 1, the application is far from the
            training rows.
        """
        novelty = self.distance(row) / self.limit
        numbers = zip(self._ranges, row, strict=False)  # the first columns
        excess = max([max(low - value, value - high) for (low, high), value in numbers], default=0)
        return max(novelty, 1 + excess) if excess > 0 else novelty

    def measure_each(self, rows: Sequence[list[float]]) -> list[float]:
        """Return the novelty of many applications.

        For a few applications `measure` is faster: each function of NumPy takes several
        microseconds when it is not in the processor's cache.

        Parameters
        ----------
        rows : sequence of list of float of length n_columns
            As for `measure`; at least one.

        Returns
        -------
        list of float of length n_samples
            Equal to the results of `measure` but for rounding errors of about 1e-12 times the
            length of a row.
        """
        matrix = np.array(rows)
        distances = self._distances(matrix)
        numbers = matrix[:, : len(self._lowest)]
        beyond = np.maximum(self._lowest - numbers, numbers - self._highest)
        excess = beyond.max(axis=1, initial=0.0)
        novelty: list[float] = np.maximum(
            distances / self.limit, np.where(excess > 0, 1 + excess, 0.0)
        ).tolist()
        return novelty

    def _distances(self, matrix: np.ndarray) -> np.ndarray:
        """Return the distances of many applications, each as `distance` does."""
        lengths = np.einsum("ij,ij->i", matrix, matrix)
        extended = np.column_stack([matrix, np.ones(len(matrix))])
        squares = np.empty(len(matrix))
        # Allocated once: to allocate it for every chunk takes as long as to fill it.
        buffer = np.empty((min(CHUNK_ROWS, len(matrix)), len(self._products)))
        for start in range(0, len(matrix), CHUNK_ROWS):
            chunk = extended[start : start + CHUNK_ROWS]
            products = np.matmul(chunk, self._products.T, out=buffer[: len(chunk)])
            for _ in range(self._last):  # for five neighbours and many rows faster than a partition
                products[np.arange(len(chunk)), products.argmin(axis=1)] = np.inf
            squares[start : start + CHUNK_ROWS] = products.min(axis=1)
        squares += lengths
        distances = np.sqrt(np.maximum(squares, 0.0))
        for i in np.flatnonzero(squares <= NEAR * lengths):
            distances[i] = self._small_distance(matrix[i])
        return distances

    def _small_distance(self, row: np.ndarray) -> float:
        rows = self._products[:, :-1] / -2  # exact, because 2 is a power of 2
        squares = ((rows - row) ** 2).sum(axis=1)
        return math.sqrt(np.partition(squares, self._last)[self._last])
