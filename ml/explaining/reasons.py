"""The reasons of a decision: the exact share of each field, with a sentence that describes it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ml.explaining.attribution import Attribution, Groups, Method, RowByRow, Shares
from ml.explaining.coalitions import CoalitionShares
from ml.explaining.linear import LinearAttribution
from ml.explaining.sentences import Sentences
from ml.explaining.shapley import KernelShares
from ml.explaining.typical import typical_values
from ml.product.application import Application, as_columns
from ml.product.definition import Field, Product
from ml.product.quantities import Ratio
from ml.product.texts import Text
from ml.scoring.margins import KernelMargin, LinearMargin
from ml.scoring.scorer import Scorer

# Regulation B, official comment 9(b)(2)-1: more than four principal reasons are not likely to help
# an applicant.
MAX_PRINCIPAL_REASONS = 4
# The smallest share of a principal reason, relative to the first reason. Our own choice.
MIN_RELATIVE_SHARE = 0.1
# A model without a closed form is scored on every coalition of players, of which there are 2 to
# the power of their number. With more players, one explanation takes minutes.
MAX_PLAYERS = 12
# Sums over the background of effects that are 0 but for rounding errors are below this. Our own
# choice: such sums are about 1e-13, and effects of 1e-10 decide nothing.
ROUNDING = 1e-10


class Reason(NamedTuple):
    """The contribution of a field to a decision.

    Attributes
    ----------
    field : str
        The name of the field, or of the ratio that combines several fields into one player.
    share : float
        The Shapley value: how far the field moves the margin from the mean margin of the
        background. A positive share counts for granting, a negative one for refusing.
    text : Text
        A sentence that describes the value of the field.
    principal : bool
        Whether the reason is one of those to name to a refused applicant.
    """

    field: str
    share: float
    text: Text
    principal: bool


class Explanation(NamedTuple):
    """The explanation of a decision.

    Attributes
    ----------
    margin, base : float
        The margin of the applicant, and the mean margin of the background. The shares add up to
        margin minus base.
    reasons : list of Reason
        One reason for each player. The one that counts most for the decision comes first.
    """

    margin: float
    base: float
    reasons: list[Reason]


class Explainer:
    """Explains a model's decisions against a background.

    Parameters
    ----------
    product : Product
    scorer : Scorer
    background : sequence of Application
        The applications to compare with: those that were only just granted. Regulation B, official
        comment 9(b)(2)-5, allows this comparison for the reasons of a refusal.

    Attributes
    ----------
    base : float
        The mean margin of the background.
    typical : dict of str to ml.explaining.typical.Typical
        What is typical of each field and ratio in the background.

    Raises
    ------
    ValueError
        The background has no rows, or the model has no closed form and the product has more than
        `MAX_PLAYERS` players.
    """

    def __init__(self, product: Product, scorer: Scorer, background: Sequence[Application]) -> None:
        if not background:
            raise ValueError("the background has no rows")
        self._scorer = scorer
        self.typical = typical_values(product, background)
        members = [name for player in product.players.values() for name in player]
        at = {name: i for i, name in enumerate(members)}
        self._players = {p: [at[name] for name in names] for p, names in product.players.items()}
        named: dict[str, Field | Ratio] = {**product.by_name, **{r.name: r for r in product.ratios}}
        self._sentences = [
            Sentences(named[n], counted_as=scorer.columns.counted_as) for n in members
        ]
        frame = as_columns([{f.name: a[f.name] for f in product.inputs} for a in background])
        self.base = float(scorer.margins(frame).mean())
        matrix = scorer.columns.matrix(frame)
        self._columns = [scorer.columns.names.index(name) for name in members]
        self._means = [_mean(matrix[:, c]) for c in self._columns]
        self._method = _method(scorer, background, matrix, members, list(self._players.values()))

    def explain(self, application: Application, *, granted: bool) -> Explanation:
        """Explain a decision.

        Parameters
        ----------
        application : Application
        granted : bool
            The decision. It determines the order of the reasons; only a refusal has principal ones.

        Returns
        -------
        Explanation
        """
        row = self._scorer.row(application)
        margin = self._scorer.margin_of(row, application)
        return Explanation(margin, self.base, self.reasons(application, row, granted=granted))

    def reasons(self, application: Application, row: list[float], *, granted: bool) -> list[Reason]:
        """Return the reasons of a decision.

        Parameters
        ----------
        application : Application
        row : list of float of length n_columns
            The attribute ``row`` of the application's `ml.scoring.scorer.Score`.
        granted : bool
            As for `explain`.

        Returns
        -------
        list of Reason
            As `Explanation.reasons`.
        """
        return self._order(
            application, row, self._method.attribute(application, row), granted=granted
        )

    def reasons_each(
        self, applications: Sequence[Application], rows: Sequence[list[float]], *, granted: bool
    ) -> list[list[Reason]]:
        """Return the reasons of many decisions, as `reasons` does of one.

        Parameters
        ----------
        applications : sequence of Application
            At least one.
        rows : sequence of list of float of length n_columns
            The attribute ``row`` of each application's `ml.scoring.scorer.Score`.
        granted : bool
            As for `explain`.

        Returns
        -------
        list of list of Reason
            Equal to the results of `reasons` but for rounding errors in the shares.
        """
        found = self._method.attribute_each(applications, rows)
        return [
            self._order(*of_one, granted=granted)
            for of_one in zip(applications, rows, found, strict=True)
        ]

    def _order(
        self, application: Application, row: list[float], found: Attribution, *, granted: bool
    ) -> list[Reason]:
        told = [
            (name, share, self._text(application, row, found, members, favours=share > 0))
            for (name, members), share in zip(self._players.items(), found.shares, strict=True)
        ]
        toward = 1 if granted else -1
        told.sort(key=lambda reason: -toward * reason[1])
        heaviest = -told[0][1]
        return [
            Reason(
                name,
                share,
                text,
                not granted and place < MAX_PRINCIPAL_REASONS and _weighs(share, heaviest),
            )
            for place, (name, share, text) in enumerate(told)
        ]

    def _text(
        self,
        application: Application,
        row: list[float],
        found: Attribution,
        members: list[int],
        *,
        favours: bool,
    ) -> Text:
        """Describe the member of a player with the largest effect in the direction of its share."""
        toward, member = 1 if favours else -1, members[0]
        if len(members) > 1:
            member = max(members, key=lambda m: toward * found.effects[m])
        lower, higher = toward * found.lower[member], toward * found.higher[member]
        # A value is called high if the background rows with lower values account for more of its
        # effect than those with higher values. If neither account for any, it is called high if it
        # is above the mean of the background.
        high = lower > higher
        if max(lower, higher) <= ROUNDING:
            high = row[self._columns[member]] > self._means[member]
        return self._sentences[member].describe(application, high=high, favours=favours)


def _mean(values: np.ndarray) -> float:
    """Return the mean, which is exact if all values are equal."""
    return float(values[0] + (values - values[0]).mean())


def _method(
    scorer: Scorer,
    background: Sequence[Application],
    matrix: np.ndarray,
    names: Sequence[str],
    players: Groups,
) -> Method:
    """Return the method for the scorer's kind of margin."""
    members = [[i for i, c in enumerate(scorer.columns.names) if c == name] for name in names]
    margin = scorer.margin
    if isinstance(margin, LinearMargin):
        return LinearAttribution(margin, matrix, members=members, players=players)
    shares: Shares
    if isinstance(margin, KernelMargin):
        shares = KernelShares(margin, matrix, members=members, players=players)
    elif len(players) > MAX_PLAYERS:
        raise ValueError(
            f"{len(players)} players, but a model without a closed form can have at most "
            f"{MAX_PLAYERS}"
        )
    else:
        shares = CoalitionShares(scorer, background, members=names, players=players)
    return RowByRow(shares, matrix, members=members, players=players)


def _weighs(share: float, heaviest: float) -> bool:
    return share < 0 and -share >= MIN_RELATIVE_SHARE * heaviest
