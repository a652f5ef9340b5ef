"""Whether an application is like those that a model has learned from."""

import io
import math

import numpy as np

NEIGHBOURS = 5


class Novelty:
    """Tells applications that are far from all training data.

    The distance of an application is the one to its fifth nearest training row: Euclidean, between
    what the model sees of each, so in standard deviations for a number, and apart by √2 for
    another word of a choice. It is far if that is more than for all but a hundredth of the
    training rows themselves, or if one number alone is beyond nearly all of theirs: fields with
    long tails make the distances between training rows too large to show that.

    Parameters
    ----------
    content : bytes
        Of a bundle's ``novelty.npz``: ``rows`` of shape (n_rows, n_columns), ``limit``, and the
        ``lowest`` and ``highest`` usual values of the first columns, the numbers.
    """

    def __init__(self, content: bytes) -> None:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            self._rows: np.ndarray = arrays["rows"]
            self.limit = float(arrays["limit"])
            self._lowest, self._highest = arrays["lowest"], arrays["highest"]
        self._lengths = np.einsum("ij,ij->i", self._rows, self._rows)
        self._last = min(NEIGHBOURS, len(self._rows)) - 1

    def distance(self, row: list[float]) -> float:
        """Return how far an application is from the training data.

        Parameters
        ----------
        row : list of float of length n_columns
            As `ml.scoring.scorer.Score` has it.

        Returns
        -------
        float
        """
        here = np.array(row)
        squares = self._lengths - 2 * (self._rows @ here)
        near = np.partition(squares, self._last)[self._last] + here @ here
        return float(np.sqrt(max(near, 0.0)))

    def measure(self, row: list[float]) -> float:
        """Return an application's novelty: its distance over the limit, or more for one number.

        Parameters
        ----------
        row : list of float of length n_columns

        Returns
        -------
        float
            Above 1 there are few training rows like it. A number beyond the usual ones makes it at
            least 1 and the excess, in standard deviations. Infinite if it differs from rows that
            are all alike.
        """
        distance, excess = self.distance(row), self._excess(row)
        if self.limit > 0:
            return max(distance / self.limit, 1 + excess if excess > 0 else 0.0)
        return math.inf if distance > 0 else 0.0

    def _excess(self, row: list[float]) -> float:
        """Return how far the most unusual number is beyond the usual ones."""
        numbers = np.array(row[: len(self._lowest)])
        beyond = np.maximum(self._lowest - numbers, numbers - self._highest)
        return float(beyond.max(initial=0.0))
