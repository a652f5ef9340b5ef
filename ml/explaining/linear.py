"""Exact interventional Shapley values of linear margins against a background."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

from ml.explaining.attribution import Attribution, Groups
from ml.product.application import Application
from ml.scoring.margins import LinearMargin


class LinearAttribution:
    """Attributes a margin that is a sum over columns, in closed form.

    The effect of a member against a background row is the difference of their terms. So sums over
    the background need only the sums of its terms, which are computed once.

    Parameters
    ----------
    margin : LinearMargin
    background : ndarray of shape (n_background, n_columns)
    members : sequence of sequence of int
        The columns of each field and each ratio.
    players : sequence of sequence of int
        The members of each player, which are numbered in this order.
    """

    def __init__(
        self, margin: LinearMargin, background: np.ndarray, *, members: Groups, players: Groups
    ) -> None:
        self._margin, self._players = margin, players
        terms = margin.terms(background)
        self._members = [
            _Member(columns, background[:, columns[0]], terms[:, list(columns)].sum(axis=1))
            for columns in members
        ]

    def attribute(self, application: Application, row: list[float]) -> Attribution:  # noqa: D102 - see Method
        terms = self._margin.terms_of_one(row)
        found = [member.against_background(row, terms) for member in self._members]
        means, effects, lower, higher = map(list, zip(*found, strict=True))
        shares = [sum(means[m] for m in player) for player in self._players]
        return Attribution(shares, effects, lower, higher)

    def attribute_each(  # noqa: D102 - see Method
        self, applications: Sequence[Application], rows: Sequence[list[float]]
    ) -> list[Attribution]:
        matrix = np.array(rows)
        terms = self._margin.terms(matrix)
        found = [member.against_background_each(matrix, terms) for member in self._members]
        # Of shape (n_samples, n_members) each.
        means, effects, lower, higher = (np.column_stack(part) for part in zip(*found, strict=True))
        shares = np.column_stack([means[:, player].sum(axis=1) for player in self._players])
        parts = (part.tolist() for part in (shares, effects, lower, higher))
        return [Attribution(*of_row) for of_row in zip(*parts, strict=True)]


class _Member:
    """A member, and sums over the background of its terms.

    Parameters
    ----------
    columns : sequence of int
    values : ndarray of shape (n_background,)
        The first of these columns in the background.
    terms : ndarray of shape (n_background,)
        The sum of the terms of these columns in the background.
    """

    def __init__(self, columns: Sequence[int], values: np.ndarray, terms: np.ndarray) -> None:
        self._columns, self._first = columns, columns[0]
        self._count = len(values)
        # Exact if all terms are equal: then the share of an equal applicant is exactly 0.
        self._mean = float(terms[0] + (terms - terms[0]).mean())
        distinct, which = np.unique(values, return_inverse=True)
        self._values: list[float] = distinct.tolist()
        self._table = _sides(np.bincount(which), np.bincount(which, terms))
        self._sides: list[list[float]] = self._table.tolist()

    def against_background(
        self, row: Sequence[float], terms: Sequence[float]
    ) -> tuple[float, float, float, float]:
        """Return the mean effect, and as in `Attribution` the effects, ``lower`` and ``higher``."""
        term = sum([terms[c] for c in self._columns])
        value, values = row[self._first], self._values
        place = bisect_left(values, value) + bisect_right(values, value)
        lower, lower_terms, higher, higher_terms = self._sides[place]
        mean = term - self._mean
        return mean, mean * self._count, lower * term - lower_terms, higher * term - higher_terms

    def against_background_each(
        self, matrix: np.ndarray, terms: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the results of `against_background` for many rows and their terms."""
        term = terms[:, self._columns].sum(axis=1)
        value, values = matrix[:, self._first], self._values
        place = np.searchsorted(values, value) + np.searchsorted(values, value, side="right")
        lower, lower_terms, higher, higher_terms = self._table[place].T
        mean = term - self._mean
        return mean, mean * self._count, lower * term - lower_terms, higher * term - higher_terms


def _sides(counts: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Return, for each place among ascending values, how many rows are on its sides.

    Parameters
    ----------
    counts, terms : ndarray of shape (n_values,)
        The number of rows with each value, and the sum of their terms.

    Returns
    -------
    ndarray of shape (2 * n_values + 1, 4)
        The number of rows with lower values and the sum of their terms, then the same for higher
        values. The places are: below the first value, at it, between it and the second, and so on.
    """
    places = np.arange(2 * len(counts) + 1)
    until = np.append(np.zeros((2, 1)), np.cumsum([counts, terms], axis=1), axis=1)
    lower, higher = until[:, places // 2], until[:, -1:] - until[:, (places + 1) // 2]
    return np.concatenate([lower, higher]).T
