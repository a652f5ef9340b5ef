"""Exact interventional Shapley values of a model's margin over a fixed background."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ml.product.application import Application
from ml.scoring.margins import KernelMargin, LinearMargin

Groups = Sequence[Sequence[int]]


class Shares(Protocol):
    """How the shares of one kind of model are computed."""

    def shares(self, application: Application, row: np.ndarray) -> np.ndarray:
        """Return each player's Shapley value against each background row.

        Parameters
        ----------
        application : Application
        row : ndarray of shape (n_columns,)
            What the model sees of it.

        Returns
        -------
        ndarray of shape (n_background, n_players)
            Their mean over the rows is the Shapley value against the whole background.
        """

    def effects(
        self, application: Application, row: np.ndarray, members: Sequence[int]
    ) -> np.ndarray:
        """Return what is lost when one member takes the value it has in a background row.

        Parameters
        ----------
        application : Application
        row : ndarray of shape (n_columns,)
        members : sequence of int
            Which ones to replace, each alone.

        Returns
        -------
        ndarray of shape (n_background, len(members))
            The margin less the margin with that one value replaced.
        """


class LinearShares:
    """The closed form of a margin that is a sum over columns.

    Parameters
    ----------
    margin : LinearMargin
    background : ndarray of shape (n_background, n_columns)
    members : sequence of sequence of int
        The columns of each field and each ratio.
    players : sequence of sequence of int
        The members of each player.
    """

    def __init__(
        self, margin: LinearMargin, background: np.ndarray, *, members: Groups, players: Groups
    ) -> None:
        self._margin = margin
        self._by_member = _sums(members, of=background.shape[1])
        self._by_player = _sums(players, of=len(members))
        self._terms = margin.terms(background) @ self._by_member

    def shares(self, application: Application, row: np.ndarray) -> np.ndarray:  # noqa: D102 - see Shares
        shares: np.ndarray = self._lost(row) @ self._by_player
        return shares

    def effects(  # noqa: D102 - see Shares
        self, application: Application, row: np.ndarray, members: Sequence[int]
    ) -> np.ndarray:
        return self._lost(row)[:, members]

    def _lost(self, row: np.ndarray) -> np.ndarray:
        terms = np.array(self._margin.terms_of_one(row.tolist()))
        lost: np.ndarray = terms @ self._by_member - self._terms
        return lost


class KernelShares:
    """The quadrature for a margin of RBF kernels.

    The kernel is a product over players, so the share of player j against the background row b is

        Σ_i a_i (p_ij - q_bij) ∫₀¹ Π_{l≠j} (q_bil + t (p_il - q_bil)) dt

    with p and q the players' factors of the kernel between support vector i and the applicant or
    row b. The integrand is a polynomial in t, of a degree one below the number of players, and so
    Gauss-Legendre quadrature with half as many nodes is exact (QuadraSHAP, arXiv 2605.05870). A
    player with the same value in row b as the applicant gets nothing from that row and is a
    constant factor there, which leaves fewer players and nodes.

    Players are taken in pairs, which leaves most of the work to matrix products: the two factors
    of a pair are one quadratic in t. An odd one is paired with nobody, who is the same everywhere.

    Parameters
    ----------
    margin : KernelMargin
    background : ndarray of shape (n_background, n_columns)
    members, players
        As for `LinearShares`.
    """

    def __init__(
        self, margin: KernelMargin, background: np.ndarray, *, members: Groups, players: Groups
    ) -> None:
        self._margin, self._members, self._background = margin, members, background
        self._players = [*players, ()]  # the last is nobody
        self._columns = [[c for m in player for c in members[m]] for player in players]
        self._member_factors = self._factors(background)
        self._player_factors = self._by_player(self._member_factors).swapaxes(0, 1).copy()
        self._nodes = [_nodes(count) for count in range(1, len(self._players) // 2 + 1)]

    def shares(self, application: Application, row: np.ndarray) -> np.ndarray:  # noqa: D102 - see Shares
        own = self._by_player(self._factors(row[None]))[:, 0]
        differ = [(self._background[:, c] != row[c]).any(axis=1) for c in self._columns]
        patterns, of = np.unique(np.column_stack(differ), axis=0, return_inverse=True)
        nobody = len(differ)
        shares = np.zeros((len(self._background), nobody + 1))
        most = len(self._nodes)
        # To work in: made anew for every row they would take as long to make as to fill.
        room = [np.empty((n, most, own.shape[1])) for n in (4, most, most)]
        for number, pattern in enumerate(patterns):
            rows, active = np.flatnonzero(of == number), np.flatnonzero(pattern).tolist()
            if len(active) % 2:
                active.append(nobody)
            if active:
                weights = self._margin.dual * own[:nobody][~pattern].prod(axis=0)
                shares[rows[:, None], active] = self._integrate(rows, active, own, weights, room)
        return shares[:, :nobody]

    def effects(  # noqa: D102 - see Shares
        self, application: Application, row: np.ndarray, members: Sequence[int]
    ) -> np.ndarray:
        own = self._factors(row[None])[:, 0]
        effects = np.empty((len(self._background), len(members)))
        for at, m in enumerate(members):
            weights = self._margin.dual * np.delete(own, m, axis=0).prod(axis=0)
            effects[:, at] = own[m] @ weights - self._member_factors[m] @ weights
        return effects

    def _integrate(
        self,
        rows: np.ndarray,
        active: list[int],
        own: np.ndarray,
        weights: np.ndarray,
        room: Sequence[np.ndarray],
    ) -> np.ndarray:
        """Return the shares of an even number of players against rows that differ in just those."""
        first, second, count = active[0::2], active[1::2], len(active) // 2
        moments, squares = self._nodes[count - 1]
        products, values, others = (part[:, :count] for part in room)
        values, others = values[:count], others[:count]
        of_pair = products.swapaxes(0, 1)
        # Of a pair's factors: both of the row, the row's with its own, and so on.
        mine = own[first], own[second]
        np.multiply(mine[0], mine[1], out=products[3])
        shares = np.empty((len(rows), len(active)))
        for b, found in zip(rows, shares, strict=True):
            theirs = self._player_factors[b, first], self._player_factors[b, second]
            np.multiply(theirs[0], theirs[1], out=products[0])
            np.multiply(theirs[0], mine[1], out=products[1])
            np.multiply(mine[0], theirs[1], out=products[2])
            np.matmul(squares, of_pair, out=values)
            _all_but_one(values, weights, out=others)
            # Of shape (pairs, 2, 4): each product's integral with the others, times 1 - t or t.
            rest = moments @ (others @ of_pair.swapaxes(1, 2))
            found[0::2] = rest[:, 0, 2] - rest[:, 0, 0] + rest[:, 1, 3] - rest[:, 1, 1]
            found[1::2] = rest[:, 0, 1] - rest[:, 0, 0] + rest[:, 1, 3] - rest[:, 1, 2]
        return shares

    def _factors(self, matrix: np.ndarray) -> np.ndarray:
        """Return the members' factors of the kernel, of shape (n_members, n_samples, n_vectors)."""
        vectors = self._margin.vectors
        out = np.empty((len(self._members), len(matrix), len(vectors)))
        for number, columns in enumerate(self._members):
            distance = np.zeros(out.shape[1:])
            for c in columns:
                distance += (matrix[:, c, None] - vectors[:, c]) ** 2
            np.exp(-self._margin.gamma * distance, out=out[number])
        return out

    def _by_player(self, factors: np.ndarray) -> np.ndarray:
        return np.stack([factors[list(player)].prod(axis=0) for player in self._players])


def _nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what so many pairs need at as many nodes.

    The values of 1 - t and t, each times the node's weight, of shape (2, count); and the values of
    (1 - t)², (1 - t) t, t (1 - t) and t², of shape (count, 4).
    """
    places, weights = np.polynomial.legendre.leggauss(count)
    lines = np.stack([1 - places, 1 + places], axis=1) / 2
    squares = lines[:, :, None] * lines[:, None, :]
    return (lines.T * (weights / 2)).copy(), squares.reshape(-1, 4)


def _all_but_one(factors: np.ndarray, weights: np.ndarray, *, out: np.ndarray) -> None:
    """Put the product of the weights and of all the others for each factor; nothing is divided."""
    out[0] = weights
    for i in range(1, len(factors)):
        np.multiply(out[i - 1], factors[i - 1], out=out[i])
    after = factors[-1].copy()
    for i in range(len(factors) - 2, 0, -1):
        out[i] *= after
        after *= factors[i]
    if len(factors) > 1:
        out[0] *= after


def _sums(groups: Groups, *, of: int) -> np.ndarray:
    """Return the matrix of zeros and ones that adds up the columns of each group."""
    matrix = np.zeros((of, len(groups)))
    for number, group in enumerate(groups):
        matrix[list(group), number] = 1
    return matrix
