"""Exact interventional Shapley values of RBF kernel margins against a background."""

from collections.abc import Sequence

import numpy as np

from ml.explaining.attribution import Groups
from ml.product.application import Application
from ml.scoring.margins import KernelMargin


class KernelShares:
    """Shapley values of a margin of RBF kernels, by quadrature.

    The kernel is a product over players, so the Shapley value of player j against the background
    row b is

        Σ_i a_i (p_ij - q_bij) ∫₀¹ Π_{l≠j} (q_bil + t (p_il - q_bil)) dt

    where p and q are the players' factors of the kernel between support vector i and the applicant
    or row b. The integrand is a polynomial in t whose degree is one below the number of players, so
    Gauss-Legendre quadrature with half as many nodes as players is exact (QuadraSHAP, arXiv
    2605.05870). A player with the same value in row b as the applicant has the share 0 against that
    row and is a constant factor there, so only the other players are integrated.

    Players are taken in pairs: the two factors of a pair form one quadratic in t, and most of the
    work becomes matrix products. With an odd number of players, the last one is paired with a dummy
    player whose factor is always 1.

    Parameters
    ----------
    margin : KernelMargin
    background : ndarray of shape (n_background, n_columns)
    members : sequence of sequence of int
        The columns of each field and each ratio.
    players : sequence of sequence of int
        The members of each player.
    """

    def __init__(
        self, margin: KernelMargin, background: np.ndarray, *, members: Groups, players: Groups
    ) -> None:
        self._margin, self._members, self._background = margin, members, background
        self._players = [*players, ()]  # the last is the dummy: a product over no members is 1
        self._columns = [[c for m in player for c in members[m]] for player in players]
        self._member_factors = self._factors(background)
        self._player_factors = self._by_player(self._member_factors).swapaxes(0, 1).copy()
        self._bases = [_bases(count) for count in range(1, len(self._players) // 2 + 1)]

    def shares(self, application: Application, row: np.ndarray) -> np.ndarray:  # noqa: D102 - see Shares
        applicant = self._by_player(self._factors(row[None]))[:, 0]
        differs = [(self._background[:, c] != row[c]).any(axis=1) for c in self._columns]
        patterns, pattern_of_row = np.unique(np.column_stack(differs), axis=0, return_inverse=True)
        dummy = len(differs)
        shares = np.zeros((len(self._background), dummy + 1))
        max_pairs = len(self._bases)
        # Allocated once a call: to allocate them for every row takes as long as to fill them.
        buffers = [np.empty((n, max_pairs, applicant.shape[1])) for n in (4, max_pairs, max_pairs)]
        for number, pattern in enumerate(patterns):
            rows = np.flatnonzero(pattern_of_row == number)
            active = np.flatnonzero(pattern).tolist()
            if len(active) % 2:
                active.append(dummy)
            if active:
                weights = self._margin.dual * applicant[:dummy][~pattern].prod(axis=0)
                shares[rows[:, None], active] = self._integrate(
                    rows, active, applicant, weights, buffers
                )
        return shares[:, :dummy]

    def effects(  # noqa: D102 - see Shares
        self, application: Application, row: np.ndarray, members: Sequence[int]
    ) -> np.ndarray:
        applicant = self._factors(row[None])[:, 0]
        effects = np.empty((len(self._background), len(members)))
        for column, m in enumerate(members):
            weights = self._margin.dual * np.delete(applicant, m, axis=0).prod(axis=0)
            effects[:, column] = applicant[m] @ weights - self._member_factors[m] @ weights
        return effects

    def _integrate(
        self,
        rows: np.ndarray,
        active: list[int],
        applicant: np.ndarray,
        weights: np.ndarray,
        buffers: Sequence[np.ndarray],
    ) -> np.ndarray:
        """Return the shares of an even number of players against rows where only they differ."""
        first, second, count = active[0::2], active[1::2], len(active) // 2
        linear, quadratic = self._bases[count - 1]
        products, at_nodes, other_pairs = (buffer[:, :count] for buffer in buffers)
        at_nodes, other_pairs = at_nodes[:count], other_pairs[:count]
        by_pair = products.swapaxes(0, 1)
        # The products of a pair's two factors, each from the background row or the applicant: row
        # and row, row and applicant, applicant and row, applicant and applicant.
        p1, p2 = applicant[first], applicant[second]
        np.multiply(p1, p2, out=products[3])
        shares = np.empty((len(rows), len(active)))
        for b, row_shares in zip(rows, shares, strict=True):
            q1, q2 = self._player_factors[b, first], self._player_factors[b, second]
            np.multiply(q1, q2, out=products[0])
            np.multiply(q1, p2, out=products[1])
            np.multiply(p1, q2, out=products[2])
            np.matmul(quadratic, by_pair, out=at_nodes)
            _leave_one_out_products(at_nodes, weights, out=other_pairs)
            # Of shape (n_pairs, 2, 4): the integral of each product with 1 - t or t.
            integrals = linear @ (other_pairs @ by_pair.swapaxes(1, 2))
            low, high = integrals[:, 0], integrals[:, 1]
            row_shares[0::2] = low[:, 2] - low[:, 0] + high[:, 3] - high[:, 1]
            row_shares[1::2] = low[:, 1] - low[:, 0] + high[:, 3] - high[:, 2]
        return shares

    def _factors(self, matrix: np.ndarray) -> np.ndarray:
        """Return the members' factors of the kernel, of shape (n_members, n_samples, n_vectors)."""
        vectors = self._margin.vectors
        factors = np.empty((len(self._members), len(matrix), len(vectors)))
        for number, columns in enumerate(self._members):
            distance = np.zeros(factors.shape[1:])
            for c in columns:
                distance += (matrix[:, c, None] - vectors[:, c]) ** 2
            np.exp(-self._margin.gamma * distance, out=factors[number])
        return factors

    def _by_player(self, factors: np.ndarray) -> np.ndarray:
        return np.stack([factors[list(player)].prod(axis=0) for player in self._players])


def _bases(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two polynomial bases at the nodes of Gauss-Legendre quadrature on [0, 1].

    The linear one, 1 - t and t, is multiplied by the weights of the nodes and has the shape
    (2, count). The quadratic one, (1 - t)², (1 - t) t, t (1 - t) and t², has the shape (count, 4).
    """
    nodes, weights = np.polynomial.legendre.leggauss(count)
    linear = np.stack([1 - nodes, 1 + nodes], axis=1) / 2
    quadratic = linear[:, :, None] * linear[:, None, :]
    return (linear.T * (weights / 2)).copy(), quadratic.reshape(-1, 4)


def _leave_one_out_products(factors: np.ndarray, weights: np.ndarray, *, out: np.ndarray) -> None:
    """Set ``out[i]`` to the product of the weights and all factors but the i-th; no division."""
    out[0] = weights
    for i in range(1, len(factors)):
        np.multiply(out[i - 1], factors[i - 1], out=out[i])
    suffix = factors[-1].copy()
    for i in range(len(factors) - 2, 0, -1):
        out[i] *= suffix
        suffix *= factors[i]
    if len(factors) > 1:
        out[0] *= suffix
