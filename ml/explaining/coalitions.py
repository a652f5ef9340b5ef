"""Exact Shapley values of a model that has no closed form, by all coalitions."""

from collections.abc import Sequence
from math import comb

import numpy as np

from ml.explaining.shapley import Groups
from ml.product.application import Application, as_columns
from ml.scoring.scorer import Scorer

ROWS_AT_ONCE = 2**16  # scored in one call: some 30 MB of fields


class CoalitionShares:
    """The definition itself, for a model that has no closed form: a sum over all coalitions.

    Against one background row only the players count whose values differ from the applicant's; each
    of their 2^k coalitions is scored once.

    Parameters
    ----------
    scorer : Scorer
    background : sequence of Application
    members : sequence of str
        The names of the fields and the ratios.
    players : sequence of sequence of int
        The members of each player.
    """

    def __init__(
        self,
        scorer: Scorer,
        background: Sequence[Application],
        *,
        members: Sequence[str],
        players: Groups,
    ) -> None:
        self._scorer, self._background, self._members = scorer, list(background), members
        fields = background[0]
        self._players = [[n for n in (members[m] for m in p) if n in fields] for p in players]

    def shares(self, application: Application, row: np.ndarray) -> np.ndarray:  # noqa: D102 - see Shares
        pool = as_columns([*self._background, application])
        values = {name: np.array(column, dtype=object) for name, column in pool.items()}
        shares = np.zeros((len(self._background), len(self._players)))
        step = max(1, ROWS_AT_ONCE >> len(self._players))
        differing = [self._differing(application, other) for other in self._background]
        unlike = [b for b, players in enumerate(differing) if players]
        for start in range(0, len(unlike), step):
            rows = unlike[start : start + step]
            mixed = [self._mix(b, differing[b]) for b in rows]
            ends = np.cumsum([len(m) for m in mixed])[:-1]
            margins = np.split(self._margins(values, np.concatenate(mixed)), ends)
            for b, worth in zip(rows, margins, strict=True):
                shares[b, differing[b]] = _by_definition(worth)
        return shares

    def _differing(self, application: Application, other: Application) -> list[int]:
        """Return the players that have another value in a background row."""
        return [
            number
            for number, names in enumerate(self._players)
            if any(application[name] != other[name] for name in names)
        ]

    def _mix(self, b: int, players: list[int]) -> np.ndarray:
        """Return for each coalition whose value each player takes: row b's, or the applicant's."""
        inside = np.indices((2,) * len(players)).reshape(len(players), -1).T
        whose = np.full((len(inside), len(self._players)), b)
        whose[:, players] = np.where(inside == 1, len(self._background), b)
        return whose

    def _margins(self, values: dict[str, np.ndarray], whose: np.ndarray) -> np.ndarray:
        return self._scorer.margins(
            {
                name: values[name][whose[:, number]]
                for number, names in enumerate(self._players)
                for name in names
            }
        )

    def effects(
        self, application: Application, row: np.ndarray, members: Sequence[int]
    ) -> np.ndarray:
        """Return them for fields alone: a ratio cannot change by itself, and so loses nothing."""
        names = [self._members[m] for m in members]
        mixed = [
            {**application, name: other[name]} if name in application else application
            for other in self._background
            for name in names
        ]
        margins = self._scorer.margins(as_columns([application, *mixed]))
        lost: np.ndarray = margins[0] - margins[1:].reshape(-1, len(names))
        return lost


def _by_definition(worth: np.ndarray) -> np.ndarray:
    """Return the Shapley values of k players whose 2^k coalitions are worth so much.

    Parameters
    ----------
    worth : ndarray of shape (2**k,)
        In the order of the binary numbers, the first player's digit first.

    Returns
    -------
    ndarray of shape (k,)
    """
    count = worth.size.bit_length() - 1
    worth = worth.reshape((2,) * count)
    sizes = np.indices(worth.shape[1:]).sum(axis=0)  # of the coalitions of all players but one
    weights = np.array([1 / (count * comb(count - 1, size)) for size in range(count)])
    gains = [np.diff(worth, axis=player).squeeze(player) for player in range(count)]
    return np.array([(weights[sizes] * gain).sum() for gain in gains])
