"""The reasons of a decision: the exact share of each field, with a sentence that describes it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ml.explaining.coalitions import CoalitionShares
from ml.explaining.shapley import KernelShares, LinearShares, Shares
from ml.product.application import Application
from ml.product.definition import Field, Product
from ml.product.formats import decimal, format_integer
from ml.product.quantities import Ratio
from ml.product.texts import COUNTED, LANGUAGES, Case, Text
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

    Raises
    ------
    ValueError
        The background has no rows, or the model has no closed form and the product has more than
        `MAX_PLAYERS` players.
    """

    def __init__(self, product: Product, scorer: Scorer, background: Sequence[Application]) -> None:
        if not background:
            raise ValueError("the background has no rows")
        self._product, self._scorer = product, scorer
        self._players = product.players
        self._members = [name for player in self._players.values() for name in player]
        self._sizes = [len(names) for names in self._players.values()]
        sizes = np.repeat(self._sizes, self._sizes)
        self._tied = np.flatnonzero(sizes > 1).tolist()  # members of players with several members
        self._ratios = {r.name: r for r in product.ratios}
        self._texts_by_key: dict[tuple[str, Case, Text | None, bool], Text] = {}
        frame = {f.name: [a[f.name] for a in background] for f in product.inputs}
        self._background = scorer.matrix(frame)
        self.base = float(scorer.margins(frame).mean())
        self._columns = [scorer.columns.index(name) for name in self._members]
        self._shares = self._method(background)

    def _method(self, background: Sequence[Application]) -> Shares:
        at = {name: i for i, name in enumerate(self._members)}
        members = [
            [i for i, column in enumerate(self._scorer.columns) if column == name]
            for name in self._members
        ]
        players = [[at[name] for name in player] for player in self._players.values()]
        margin = self._scorer.margin
        if isinstance(margin, LinearMargin):
            return LinearShares(margin, self._background, members=members, players=players)
        if isinstance(margin, KernelMargin):
            return KernelShares(margin, self._background, members=members, players=players)
        if len(players) > MAX_PLAYERS:
            raise ValueError(
                f"{len(players)} players, but a model without a closed form can have at most "
                f"{MAX_PLAYERS}"
            )
        return CoalitionShares(self._scorer, background, members=self._members, players=players)

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
        columns = self._scorer.row(application)
        row = np.array(columns)
        against = self._shares.shares(application, row)
        shares = against.mean(axis=0).tolist()
        texts = self._texts(application, row, against)
        toward = 1 if granted else -1
        order = sorted(zip(self._players, shares, strict=True), key=lambda s: -toward * s[1])
        heaviest = -order[0][1]
        reasons = [
            Reason(
                name,
                share,
                texts[name],
                not granted and place < MAX_PRINCIPAL_REASONS and _weighs(share, heaviest),
            )
            for place, (name, share) in enumerate(order)
        ]
        return Explanation(self._scorer.margin_of(columns, application), self.base, reasons)

    def _texts(
        self, application: Application, row: np.ndarray, against: np.ndarray
    ) -> dict[str, Text]:
        sides = np.where(against.mean(axis=0) > 0, 1, -1)
        favours = dict(zip(self._players, sides > 0, strict=True))
        # The effect of each member in the direction of its player's share, for each background row.
        # A player's only member has the whole share.
        effects = np.repeat(against, self._sizes, axis=1)
        if self._tied:
            effects[:, self._tied] = self._shares.effects(application, row, self._tied)
        effects *= np.repeat(sides, self._sizes)
        total = dict(zip(self._members, effects.sum(axis=0).tolist(), strict=True))
        high = dict(zip(self._members, self._counts_as_high(row, effects), strict=True))
        texts = {}
        for player, names in self._players.items():
            # The sentence describes the member with the largest effect.
            member = max(names, key=total.__getitem__)
            texts[player] = self._say(
                member, application, high=high[member], favours=bool(favours[player])
            )
        return texts

    def _counts_as_high(self, row: np.ndarray, effects: np.ndarray) -> list[bool]:
        """Return, for each member, whether a sentence should call its value high and not low.

        A value is called high if the background rows with lower values account for more of its
        effect than those with higher values. If neither account for any, it is called high if it is
        above the mean of the background. The result has no meaning for a choice.
        """
        apart = row[self._columns] - self._background[:, self._columns]
        above, below = ((effects * side).sum(axis=0) for side in (apart > 0, apart < 0))
        high: list[bool] = np.where(
            np.maximum(above, below) <= 0, apart.mean(axis=0) > 0, above > below
        ).tolist()
        return high

    def _say(self, name: str, application: Application, *, high: bool, favours: bool) -> Text:
        member: Field | Ratio = self._ratios.get(name) or self._product.by_name[name]
        value, choice = application.get(name), None
        case: Case = "high" if high else "low"
        if _is_missing(member, application):
            case = "missing"
        elif isinstance(member, Field) and member.kind == "flag":
            case = "yes" if value else "no"
        elif isinstance(member, Field) and member.kind == "choice":
            choice = next((c.label for c in member.choices if c.value == value), None)
            case = "value" if choice else "missing"
        substituted = favours and case == "missing" and value is None
        key = (name, case, choice, substituted)
        if key not in self._texts_by_key:  # a product has a few dozen, and each is slow to build
            text = member.reasons.say(case, label=member.label, choice=choice)
            self._texts_by_key[key] = self._with_substitute(text, member) if substituted else text
        return self._texts_by_key[key]

    def _with_substitute(self, text: Text, member: Field | Ratio) -> Text:
        """Add the value that the model uses for a missing answer."""
        value = _in_words(member, self._scorer.counted_as(member.name))
        return Text(
            **{
                language: COUNTED.in_language(language).format(
                    text=text.in_language(language), value=value.in_language(language)
                )
                for language in LANGUAGES
            }
        )


def _is_missing(member: Field | Ratio, application: Application) -> bool:
    """Return whether a field has no value, or a ratio lacks an input or has a divisor of 0."""
    if isinstance(member, Field):
        return application[member.name] is None
    inputs, divisors = ({application[n] for n in names} for names in (member.inputs, member.over))
    return None in inputs or 0 in divisors


def _in_words(member: Field | Ratio, value: float | str) -> Text:
    """Return a value that the model uses for a missing answer, in words."""
    if isinstance(value, str):
        choices = member.choices if isinstance(member, Field) else ()
        return next(c.label for c in choices if c.value == value)
    if isinstance(member, Field) and member.kind == "flag":
        return Text(en="yes", fr="oui") if value >= 0.5 else Text(en="no", fr="non")
    return Text(**{language: _number(member, value, language) for language in LANGUAGES})


def _number(member: Field | Ratio, value: float, language: str) -> str:
    if isinstance(member, Ratio):
        return decimal(value, language, places=2)
    unit = member.unit_of(round(value))
    suffix = f"\u00a0{unit.in_language(language)}" if unit else ""
    return format_integer(round(value), language) + suffix


def _weighs(share: float, heaviest: float) -> bool:
    return share < 0 and -share >= MIN_RELATIVE_SHARE * heaviest
