"""Exact Shapley values of any model, by a sum over all coalitions of players."""

from collections.abc import Sequence
from math import comb

import numpy as np

from ml.explaining.attribution import Groups
from ml.product.application import Application, as_columns
from ml.scoring.scorer import Scorer

MAX_ROWS_PER_CALL = 2**16  # of the scorer, to limit memory: about 30 MB of fields


class CoalitionShares:
    """Shapley values of a model without a closed form, computed by their definition.

    Only the k players whose values differ between the applicant and a background row have a share
    against that row. Each of their 2^k coalitions is scored once.

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
        columns = as_columns([*self._background, application])
        values = {name: np.array(column, dtype=object) for name, column in columns.items()}
        shares = np.zeros((len(self._background), len(self._players)))
        step = max(1, MAX_ROWS_PER_CALL >> len(self._players))
        differing = [self._differing(application, other) for other in self._background]
        differing_rows = [b for b, players in enumerate(differing) if players]
        for start in range(0, len(differing_rows), step):
            rows = differing_rows[start : start + step]
            sources = [self._sources(b, differing[b]) for b in rows]
            ends = np.cumsum([len(s) for s in sources])[:-1]
            margins = np.split(self._margins(values, np.concatenate(sources)), ends)
            for b, coalition_margins in zip(rows, margins, strict=True):
                shares[b, differing[b]] = _shapley_values(coalition_margins)
        return shares

    def _differing(self, application: Application, other: Application) -> list[int]:
        """Return the players whose values differ in a background row."""
        return [
            number
            for number, names in enumerate(self._players)
            if any(application[name] != other[name] for name in names)
        ]

    def _sources(self, b: int, players: list[int]) -> np.ndarray:
        """Return, for each coalition, the row from which each player takes its values.

        That is row b of the background, or for members of the coalition the applicant, who comes
        after the last background row.
        """
        in_coalition = np.indices((2,) * len(players)).reshape(len(players), -1).T
        sources = np.full((len(in_coalition), len(self._players)), b)
        sources[:, players] = np.where(in_coalition == 1, len(self._background), b)
        return sources

    def _margins(self, values: dict[str, np.ndarray], sources: np.ndarray) -> np.ndarray:
        return self._scorer.margins(
            {
                name: values[name][sources[:, number]]
                for number, names in enumerate(self._players)
                for name in names
            }
        )

    def effects(
        self, application: Application, row: np.ndarray, members: Sequence[int]
    ) -> np.ndarray:
        """Return the effects of fields; a ratio cannot change by itself, so its effect is 0."""
        names = [self._members[m] for m in members]
        replaced = [
            {**application, name: other[name]} if name in application else application
            for other in self._background
            for name in names
        ]
        margins = self._scorer.margins(as_columns([application, *replaced]))
        effects: np.ndarray = margins[0] - margins[1:].reshape(-1, len(names))
        return effects


def _shapley_values(coalition_margins: np.ndarray) -> np.ndarray:
    """Return the Shapley values of k players, given the margin of each of their coalitions.

    Parameters
    ----------
    coalition_margins : ndarray of shape (2**k,)
        Ordered by the coalition as a binary number, whose first digit is the first player.

    Returns
    -------
    ndarray of shape (k,)
    """
    count = coalition_margins.size.bit_length() - 1
    margins = coalition_margins.reshape((2,) * count)
    sizes = np.indices(margins.shape[1:]).sum(axis=0)  # of the coalitions of all players but one
    weights = np.array([1 / (count * comb(count - 1, size)) for size in range(count)])
    gains = [np.diff(margins, axis=player).squeeze(player) for player in range(count)]
    return np.array([(weights[sizes] * gain).sum() for gain in gains])
