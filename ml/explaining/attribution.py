"""Attribution: the Shapley values of one application, and what its members account for."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ml.product.application import Application

Groups = Sequence[Sequence[int]]


class Attribution(NamedTuple):
    """The Shapley values of one application, and the effects of its members.

    The effect of a member against a background row is how much the margin falls when the member
    takes its value from that row; of a player's only member, it is the player's share against that
    row.

    Attributes
    ----------
    shares : list of float of length n_players
        The Shapley values against the whole background.
    effects : list of float of length n_members
        The sum of each member's effects over the background.
    lower, higher : list of float of length n_members
        The parts of these sums over the background rows in which the member's first column is lower
        or higher than the applicant's.
    """

    shares: list[float]
    effects: list[float]
    lower: list[float]
    higher: list[float]


class Method(Protocol):
    """A method that attributes the margin of one kind of model."""

    def attribute(self, application: Application, row: list[float]) -> Attribution:
        """Attribute the margin of an application.

        Parameters
        ----------
        application : Application
        row : list of float of length n_columns
            The application in the model's columns.

        Returns
        -------
        Attribution
        """

    def attribute_each(
        self, applications: Sequence[Application], rows: Sequence[list[float]]
    ) -> list[Attribution]:
        """Attribute the margins of many applications.

        Parameters
        ----------
        applications : sequence of Application
            At least one.
        rows : sequence of list of float of length n_columns
            The applications in the model's columns.

        Returns
        -------
        list of Attribution
            Equal to the results of `attribute` but for rounding errors.
        """


class Shares(Protocol):
    """A method that computes Shapley values against each background row."""

    def shares(self, application: Application, row: np.ndarray) -> np.ndarray:
        """Return each player's Shapley value against each background row.

        Parameters
        ----------
        application : Application
        row : ndarray of shape (n_columns,)
            The application in the model's columns.

        Returns
        -------
        ndarray of shape (n_background, n_players)
            The mean over the rows is the Shapley value against the whole background.
        """

    def effects(
        self, application: Application, row: np.ndarray, members: Sequence[int]
    ) -> np.ndarray:
        """Return how much the margin falls when one member takes its value from a background row.

        Parameters
        ----------
        application : Application
        row : ndarray of shape (n_columns,)
            The application in the model's columns.
        members : sequence of int
            The members whose values are replaced, one member at a time.

        Returns
        -------
        ndarray of shape (n_background, len(members))
            The margin, minus the margin with the value of that member replaced.
        """


class RowByRow:
    """Attributes a margin by a method that compares with each background row.

    Parameters
    ----------
    shares : Shares
    background : ndarray of shape (n_background, n_columns)
    members : sequence of sequence of int
        The columns of each member.
    players : sequence of sequence of int
        The members of each player, which are numbered in this order.
    """

    def __init__(
        self, shares: Shares, background: np.ndarray, *, members: Groups, players: Groups
    ) -> None:
        self._shares = shares
        self._columns = [columns[0] for columns in members]
        self._background = background[:, self._columns]
        self._sizes = [len(player) for player in players]
        self._tied = [m for player in players if len(player) > 1 for m in player]

    def attribute(self, application: Application, row: list[float]) -> Attribution:  # noqa: D102 - see Method
        here = np.array(row)
        against = self._shares.shares(application, here)
        effects = np.repeat(against, self._sizes, axis=1)
        if self._tied:
            effects[:, self._tied] = self._shares.effects(application, here, self._tied)
        apart = here[self._columns] - self._background
        lower, higher = ((effects * side).sum(axis=0) for side in (apart > 0, apart < 0))
        return Attribution(
            against.mean(axis=0).tolist(),
            effects.sum(axis=0).tolist(),
            lower.tolist(),
            higher.tolist(),
        )

    def attribute_each(  # noqa: D102 - see Method
        self, applications: Sequence[Application], rows: Sequence[list[float]]
    ) -> list[Attribution]:
        return [self.attribute(*pair) for pair in zip(applications, rows, strict=True)]
