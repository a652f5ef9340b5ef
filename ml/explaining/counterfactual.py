"""Finds the changes that would reverse a refusal: the nearest values that would be granted."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ml.product.application import Application, Value
from ml.product.conditions import PolicyRule
from ml.product.definition import Field, Product
from ml.scoring.features import number, ratio
from ml.scoring.scorer import Scorer

# `score_many` and `score` differ by rounding errors of about 1e-15. A row of values whose
# probability is this close to the threshold is scored again by `score`, as a decision is.
ROUNDING = 1e-9
# Pairs are scored in order of their distance, so many in one call, because a call has a fixed cost.
# Our own choice.
PAIRS_AT_ONCE = 2_000
# How many values that would be granted are found to be unusual before a search ends, which takes
# about a tenth of a second. Nearly always the application is then unusual in other fields. Our own
# choice.
MAX_UNUSUAL = 300


class Suggestion(NamedTuple):
    """A change with which the application would be granted.

    Attributes
    ----------
    values : dict of str to int
        The new values by the names of the fields that change: one field, or the amount and one
        other.
    probability : float
        The probability of being good with these values.
    """

    values: dict[str, int]
    probability: float


class Changes(NamedTuple):
    """The changes that would reverse a refusal.

    Attributes
    ----------
    suggestions : list of Suggestion
        In the order of the product's fields; the lower value of a field comes first.
    searched : dict of str to (int, int)
        The lowest and the highest value tried for each field that was changed alone.
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
    usual: Callable[[list[float]], bool] = lambda row: True,
) -> Changes:
    """Find the changes of a refused application that would be granted, all else equal.

    The values tried are multiples of the field's step, within the range of the field and the range
    of the training data. They respect every `at_most` and break no policy rule. A rule counts as
    broken if a field of its sum has no value. Every such value is scored. A value with which the
    application is unusual is passed over; after `MAX_UNUSUAL` of them nothing more is found.

    First, one field is changed at a time. The amount is changed to the nearest lower value that
    would be granted. Any other changeable integer field is changed to the nearest lower and to the
    nearest higher value that would be granted; if it is empty, to the lowest such value.

    If no single change would be granted, the amount is changed together with one other field. The
    pair returned has the smallest reduction of the amount, and among those the smallest change of
    the other field. Of two equal changes, the lower value is returned.

    Parameters
    ----------
    product : Product
    scorer : Scorer
    application : Application
        A refused application.
    threshold : float
        The lowest probability of being good at which an application is granted.
    ranges : mapping of str to (int, int)
        The smallest and the largest training value, at least of each changeable integer field.
    usual : callable, optional
        Given the attribute ``row`` of a `Score`, whether such an application is usual enough to be
        granted. Default: every one is.

    Returns
    -------
    Changes
    """
    search = _Search(product, scorer, application, threshold, usual)
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
    """Return the values below and above the value applied for, the nearest first."""
    if not isinstance(applied, int):
        return [values]
    return [values[values < applied][::-1], values[values > applied]]


class _Search:
    """Searches for values with which one application would be granted."""

    def __init__(
        self,
        product: Product,
        scorer: Scorer,
        application: Application,
        threshold: float,
        usual: Callable[[list[float]], bool],
    ) -> None:
        self._product, self._scorer, self._application = product, scorer, application
        self._threshold, self._usual = threshold, usual
        self._unusual_left = MAX_UNUSUAL

    def values(self, field: Field, trained: tuple[int, int]) -> np.ndarray:
        """Return the values to try for a field that is changed alone, in ascending order."""
        applied = self._application[field.name]
        values = np.array([v for v in field.suggested if trained[0] <= v <= trained[1]], dtype=int)
        if isinstance(applied, int):
            lower_alone = field.name == self._product.amount
            values = values[values < applied if lower_alone else values != applied]
        within: np.ndarray = values[self._within_limits({field.name: values})]
        return within

    def pairs(self, amounts: np.ndarray, others: Mapping[str, np.ndarray]) -> list[Suggestion]:
        """Return the nearest pair that would be granted, or nothing."""
        granted: list[Suggestion] = []
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
                    granted.append(pair)
                    break
        return sorted(granted, key=lambda pair: -pair.values[self._product.amount])[:1]

    def first(self, columns: Mapping[str, np.ndarray]) -> Suggestion | None:
        """Return the first row of values that may be suggested and would be granted."""
        valid = self._within_limits(columns) & self._within_rules(columns)
        columns = {name: values[valid] for name, values in columns.items()}
        count = int(valid.sum())
        if not count:
            return None
        same = {
            name: np.full(count, value, dtype=None if isinstance(value, int) else object)
            for name, value in self._application.items()
        }
        probability = self._scorer.score_many({**same, **columns})
        for row in np.flatnonzero(probability >= self._threshold - ROUNDING):
            values = {name: int(column[row]) for name, column in columns.items()}
            alone = self._scorer.score({**self._application, **values})
            if alone.probability >= self._threshold and self._is_usual(alone.row):
                return Suggestion(values, alone.probability)
        return None

    def _is_usual(self, row: list[float]) -> bool:
        if not self._unusual_left:
            return False
        usual = self._usual(row)
        self._unusual_left -= not usual
        return usual

    def _within_limits(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        numbers = self._numbers(columns)
        limited = [(f.name, f.at_most) for f in self._product.inputs if f.at_most]
        # A comparison with a missing value (NaN) is false, so it never exceeds a limit.
        return _all([~(numbers[name] > numbers[limit]) for name, limit in limited], columns)

    def _within_rules(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        numbers = self._numbers(columns)
        values = {**self._application, **dict.fromkeys(columns, 0)}  # none of these is missing
        rules = [r for r in self._product.policy_rules if r.may_hold(values)]
        return _all([_kept(rule, numbers) for rule in rules], columns)

    def _numbers(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        integers = [f.name for f in self._product.inputs if f.kind == "integer"]
        same = {n: np.array(number(self._application[n])) for n in integers}
        return {**same, **columns}


def _kept(rule: PolicyRule, numbers: Mapping[str, np.ndarray]) -> np.ndarray:
    if not rule.sum:
        return np.zeros((), dtype=bool)
    low = -np.inf if rule.below is None else rule.below
    high = np.inf if rule.above is None else rule.above
    terms, unclipped = list(rule.sum.items()), (-np.inf, np.inf)
    value = ratio(numbers, terms=terms, times=rule.times, over=rule.over, bounds=unclipped)
    kept: np.ndarray = (low <= value) & (value <= high)  # False for NaN, a value that is missing
    return kept


def _all(conditions: Sequence[np.ndarray], columns: Mapping[str, np.ndarray]) -> np.ndarray:
    rows = len(next(iter(columns.values())))
    every = np.ones(rows, dtype=bool)
    for condition in conditions:
        every &= condition
    return every
