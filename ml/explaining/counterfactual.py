"""What would change a refusal: the nearest values, in the product's steps, that are granted."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ml.product.application import Application, Value
from ml.product.definition import Field, Product
from ml.product.quantities import PolicyRule
from ml.scoring.features import number, ratio
from ml.scoring.scorer import Scorer

# The probabilities of many rows and of one differ by rounding, about 1e-15: a value this near to
# the threshold is scored alone as well.
ROUNDING = 1e-9
# Pairs are scored from the nearest on, so many in one call: a call costs more than its first rows.
PAIRS_AT_ONCE = 2_000


class Suggestion(NamedTuple):
    """Other values with which the application is granted.

    Attributes
    ----------
    values : dict of str to int
        By the names of the fields that differ: one, or the amount and one other.
    probability : float
        What the Scorer says of the application with these values.
    """

    values: dict[str, int]
    probability: float


class Changes(NamedTuple):
    """What would change a refusal.

    Attributes
    ----------
    suggestions : list of Suggestion
        In the product's order; of one field the lower value first.
    searched : dict of str to (int, int)
        For each field with other values: the lowest and the highest value tried alone.
    """

    suggestions: list[Suggestion]
    searched: dict[str, tuple[int, int]]


def nearest_granted(
    product: Product,
    scorer: Scorer,
    application: Application,
    *,
    threshold: float,
    ranges: Mapping[str, tuple[int, int]],
) -> Changes:
    """Find what would have been granted instead, all else equal.

    The values are multiples of each field's step, within the field's own range and that of the
    training data. They pass no limit that another field sets, and break no policy rule; a rule is
    broken too where one of its fields has no value. Every such value is scored.

    One field is changed at a time: the amount to the nearest lower value that is granted, any
    other integer that the applicant can change to the nearest lower and the nearest higher one,
    and an empty one to the lowest. Where none of these is granted, the amount is changed together
    with one other field. The nearest pair has the smallest reduction of the amount, and then the
    smallest change of the other field; of two equal changes, the lower value is taken.

    Parameters
    ----------
    product : Product
    scorer : Scorer
    application : Application
        A refused one.
    threshold : float
        The probability from which on an application is granted.
    ranges : mapping of str to (int, int)
        The smallest and the largest value of each such field in training.

    Returns
    -------
    Changes
    """
    search = _Search(product, scorer, application, threshold)
    fields = [f for f in product.inputs if f.changeable and f.kind == "integer"]
    values = {f.name: search.values(f, ranges[f.name]) for f in fields}
    alone = [
        search.first({name: side})
        for name, tried in values.items()
        for side in _sides(tried, application[name])
    ]
    suggestions = [suggestion for suggestion in alone if suggestion]
    if not suggestions and product.amount in values:
        amounts = values[product.amount][::-1]
        others = {n: v for n, v in values.items() if n != product.amount}
        suggestions = search.pairs(amounts, others)
    searched = {n: (int(v[0]), int(v[-1])) for n, v in values.items() if len(v)}
    return Changes(suggestions, searched)


def _sides(values: np.ndarray, applied: Value) -> list[np.ndarray]:
    """Return the values below and above the one applied for, the nearest first."""
    if not isinstance(applied, int):
        return [values]
    return [values[values < applied][::-1], values[values > applied]]


class _Search:
    """Looks for granted values of one application."""

    def __init__(
        self, product: Product, scorer: Scorer, application: Application, threshold: float
    ) -> None:
        self._product, self._scorer, self._application = product, scorer, application
        self._threshold = threshold

    def values(self, field: Field, trained: tuple[int, int]) -> np.ndarray:
        """Return the other values that a field may have alone, in ascending order."""
        applied = self._application[field.name]
        values = np.array([v for v in field.suggested if trained[0] <= v <= trained[1]], dtype=int)
        if isinstance(applied, int):
            lower_alone = field.name == self._product.amount
            values = values[values < applied if lower_alone else values != applied]
        within: np.ndarray = values[self._within_limits({field.name: values})]
        return within

    def pairs(self, amounts: np.ndarray, others: Mapping[str, np.ndarray]) -> list[Suggestion]:
        """Return the nearest pair that is granted, if there is one."""
        found: list[Suggestion] = []
        for name, values in others.items():
            applied = self._application[name]
            apart = values - applied if isinstance(applied, int) else values
            nearest = values[np.argsort(np.abs(apart), kind="stable")]
            columns = {
                self._product.amount: np.repeat(amounts, len(nearest)),
                name: np.tile(nearest, len(amounts)),
            }
            for start in range(0, len(columns[name]), PAIRS_AT_ONCE):
                part = {n: v[start : start + PAIRS_AT_ONCE] for n, v in columns.items()}
                pair = self.first(part)
                if pair:
                    found.append(pair)
                    break
        return sorted(found, key=lambda pair: -pair.values[self._product.amount])[:1]

    def first(self, columns: Mapping[str, np.ndarray]) -> Suggestion | None:
        """Return the first of the rows of values that is granted and may be suggested."""
        may = self._within_limits(columns) & self._within_rules(columns)
        columns = {name: values[may] for name, values in columns.items()}
        count = int(may.sum())
        if not count:
            return None
        same = {
            name: np.full(count, value, dtype=None if isinstance(value, int) else object)
            for name, value in self._application.items()
        }
        probability = self._scorer.score_many({**same, **columns})
        for row in np.flatnonzero(probability >= self._threshold - ROUNDING):
            values = {name: int(column[row]) for name, column in columns.items()}
            alone = self._scorer.score({**self._application, **values}).probability
            if alone >= self._threshold:
                return Suggestion(values, alone)
        return None

    def _within_limits(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        numbers = self._numbers(columns)
        limited = [(f.name, f.at_most) for f in self._product.inputs if f.at_most]
        # A missing answer limits nothing and is not limited.
        return _all([~(numbers[name] > numbers[limit]) for name, limit in limited], columns)

    def _within_rules(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        numbers = self._numbers(columns)
        return _all([_kept(rule, numbers) for rule in self._product.policy_rules], columns)

    def _numbers(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        integers = [f.name for f in self._product.inputs if f.kind == "integer"]
        same = {n: np.array(number(self._application[n])) for n in integers}
        return {**same, **columns}


def _kept(rule: PolicyRule, numbers: Mapping[str, np.ndarray]) -> np.ndarray:
    low = -np.inf if rule.below is None else rule.below
    high = np.inf if rule.above is None else rule.above
    terms, unclipped = list(rule.sum.items()), (-np.inf, np.inf)
    value = ratio(numbers, terms=terms, times=rule.times, over=rule.over, bounds=unclipped)
    kept: np.ndarray = (low <= value) & (value <= high)  # a value that is not known is in no range
    return kept


def _all(conditions: Sequence[np.ndarray], columns: Mapping[str, np.ndarray]) -> np.ndarray:
    rows = len(next(iter(columns.values())))
    every = np.ones(rows, dtype=bool)
    for condition in conditions:
        every &= condition
    return every
