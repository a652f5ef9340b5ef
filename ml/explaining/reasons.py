"""Why a decision fell as it did: each field's exact share, in plain words, weightiest first."""

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

# More than four principal reasons are not likely to help an applicant: Regulation B, official
# comment 9(b)(2)-1.
MAX_PRINCIPAL_REASONS = 4
# A reason that weighs less than a tenth of the first is no principal one: our own choice.
MIN_RELATIVE_SHARE = 0.1
# What has no closed form is explained by every coalition of players, 2 to their number; with more
# than these one explanation takes minutes.
MAX_PLAYERS = 12


class Reason(NamedTuple):
    """A field's part in a decision.

    Attributes
    ----------
    field : str
        Its name, or that of the ratio that ties several fields into one.
    share : float
        Its Shapley value: how much it moves the margin away from the background's mean, up for
        granting and down for refusing.
    text : Text
        What it says of the value.
    principal : bool
        Whether it is one of the reasons to name to a refused applicant.
    """

    field: str
    share: float
    text: Text
    principal: bool


class Explanation(NamedTuple):
    """A decision taken apart.

    Attributes
    ----------
    margin, base : float
        The applicant's margin, and the mean of the background's. The shares add up to their
        difference.
    reasons : list of Reason
        Every player once; those that weigh most for the decision come first.
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
        Applications that were granted, just so: a refusal is then told by what set it apart from
        them, as Regulation B's official comment 9(b)(2)-5 has it.

    Raises
    ------
    ValueError
        The background has no rows, or the model no closed form and the product more than
        `MAX_PLAYERS` players.
    """

    def __init__(self, product: Product, scorer: Scorer, background: Sequence[Application]) -> None:
        if not background:
            raise ValueError("nothing to compare with")
        self._product, self._scorer = product, scorer
        self._players = product.players
        self._members = [name for player in self._players.values() for name in player]
        self._sizes = [len(names) for names in self._players.values()]
        sizes = np.repeat(self._sizes, self._sizes)
        self._tied = np.flatnonzero(sizes > 1).tolist()  # the members that are not alone
        self._ratios = {r.name: r for r in product.ratios}
        self._said: dict[tuple[str, Case, Text | None, bool], Text] = {}
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
            raise ValueError(f"{len(players)} players and no closed form: at most {MAX_PLAYERS}")
        return CoalitionShares(self._scorer, background, members=self._members, players=players)

    def explain(self, application: Application, *, granted: bool) -> Explanation:
        """Take a decision apart.

        Parameters
        ----------
        application : Application
        granted : bool

        Returns
        -------
        Explanation
        """
        seen = self._scorer.row(application)
        row = np.array(seen)
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
        return Explanation(self._scorer.margin_of(seen, application), self.base, reasons)

    def _texts(
        self, application: Application, row: np.ndarray, against: np.ndarray
    ) -> dict[str, Text]:
        sides = np.where(against.mean(axis=0) > 0, 1, -1)
        favours = dict(zip(self._players, sides > 0, strict=True))
        # How much each member does of what its player does, background row by row: one that is
        # alone does all of it.
        effects = np.repeat(against, self._sizes, axis=1)
        if self._tied:
            effects[:, self._tied] = self._shares.effects(application, row, self._tied)
        effects *= np.repeat(sides, self._sizes)
        total = dict(zip(self._members, effects.sum(axis=0).tolist(), strict=True))
        high = dict(zip(self._members, self._speaks_high(row, effects), strict=True))
        texts = {}
        for player, names in self._players.items():
            # Of a block, the member that does most of what the block does is spoken of.
            member = max(names, key=total.__getitem__)
            texts[player] = self._say(
                member, application, high=high[member], favours=bool(favours[player])
            )
        return texts

    def _speaks_high(self, row: np.ndarray, effects: np.ndarray) -> list[bool]:
        """Say of each member whether it speaks by being higher than the background's values.

        That is so where the rows that it is above of give more of its effect than those that it is
        below of; where neither give any, its place among them tells. Only a number's answer means
        something.
        """
        apart = row[self._columns] - self._background[:, self._columns]
        above, below = ((effects * side).sum(axis=0) for side in (apart > 0, apart < 0))
        speaks: list[bool] = np.where(
            np.maximum(above, below) <= 0, apart.mean(axis=0) > 0, above > below
        ).tolist()
        return speaks

    def _say(self, name: str, application: Application, *, high: bool, favours: bool) -> Text:
        said: Field | Ratio = self._ratios.get(name) or self._product.by_name[name]
        value, choice = application.get(name), None
        case: Case = "high" if high else "low"
        if _is_missing(said, application):
            case = "missing"
        elif isinstance(said, Field) and said.kind == "flag":
            case = "yes" if value else "no"
        elif isinstance(said, Field) and said.kind == "choice":
            choice = next((c.label for c in said.choices if c.value == value), None)
            case = "value" if choice else "missing"
        noted = favours and case == "missing" and value is None
        key = (name, case, choice, noted)
        if key not in self._said:  # some dozens for a product, and slow to put together
            text = said.reasons.say(case, label=said.label, choice=choice)
            self._said[key] = self._with_stand_in(text, said) if noted else text
        return self._said[key]

    def _with_stand_in(self, text: Text, said: Field | Ratio) -> Text:
        value = _in_words(said, self._scorer.counted_as(said.name))
        return Text(
            **{
                language: COUNTED.in_language(language).format(
                    text=text.in_language(language), value=value.in_language(language)
                )
                for language in LANGUAGES
            }
        )


def _is_missing(said: Field | Ratio, application: Application) -> bool:
    """Say whether an answer was not given, or a ratio lacks one or has nothing to be divided by."""
    if isinstance(said, Field):
        return application[said.name] is None
    return None in {application[n] for n in said.inputs} or 0 in {application[n] for n in said.over}


def _in_words(said: Field | Ratio, value: float | str) -> Text:
    """Return what a missing answer counts as, in words."""
    if isinstance(value, str):
        choices = said.choices if isinstance(said, Field) else ()
        return next(c.label for c in choices if c.value == value)
    if isinstance(said, Field) and said.kind == "flag":
        return Text(en="yes", fr="oui") if value >= 0.5 else Text(en="no", fr="non")
    return Text(**{language: _number(said, value, language) for language in LANGUAGES})


def _number(said: Field | Ratio, value: float, language: str) -> str:
    if isinstance(said, Ratio):
        return decimal(value, language, places=2)
    unit = said.unit_of(round(value))
    suffix = f"\u00a0{unit.in_language(language)}" if unit else ""
    return format_integer(round(value), language) + suffix


def _weighs(share: float, heaviest: float) -> bool:
    return share < 0 and -share >= MIN_RELATIVE_SHARE * heaviest
