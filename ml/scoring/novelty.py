"""Measures how far an application is from the training rows of a model."""

import io
import math

import numpy as np

NEIGHBOURS = 5  # our own choice: a single odd training row makes no application usual
# A squared distance below this share of the application's squared length is computed again from
# differences, because |r|² - 2 r·a + |a|² has lost most of its digits there. The error of any other
# distance is then at most about 1e-12 of that length. Our own choice.
NEAR = 1e-6


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
            lowest, highest = arrays["lowest"], arrays["highest"]
        if not 0 < self.limit < math.inf:
            raise ValueError("the limit of the distance must be a positive number")
        # One matrix-vector product gives |r|² - 2 r·a for each training row r. By columns, BLAS
        # computes it faster.
        lengths = np.einsum("ij,ij->i", rows, rows)
        self._products = np.asfortranarray(np.column_stack([-2 * rows, lengths]))
        self._last = min(NEIGHBOURS, len(rows)) - 1
        self._usual = list(zip(lowest.tolist(), highest.tolist(), strict=True))

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
        here = np.array([*row, 1.0])
        squares = self._products @ here
        squares.partition(self._last)
        columns = here[:-1]
        length = float(columns.dot(columns))
        square = float(squares[self._last]) + length
        return math.sqrt(square) if square > NEAR * length else self._small_distance(row)

    def measure(self, row: list[float]) -> float:
        """Return the novelty of an application.

        Parameters
        ----------
        row : list of float of length n_columns
            The attribute ``row`` of `ml.scoring.scorer.Score`.

        Returns
        -------
        float
            The distance divided by the limit. If a number is outside its usual range, at least 1
            plus the excess in standard deviations. Above 1, the application is far from the
            training rows.
        """
        excess = self._excess(row)
        return max(self.distance(row) / self.limit, 1 + excess if excess > 0 else 0.0)

    def _small_distance(self, row: list[float]) -> float:
        rows = self._products[:, :-1] / -2  # exact, because 2 is a power of 2
        squares = ((rows - row) ** 2).sum(axis=1)
        return math.sqrt(np.partition(squares, self._last)[self._last])

    def _excess(self, row: list[float]) -> float:
        """Return how far the most unusual number is outside its usual range."""
        excess = 0.0
        for value, (lowest, highest) in zip(row, self._usual, strict=False):
            if value < lowest or value > highest:
                excess = max(excess, lowest - value, value - highest)
        return excess
